/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The table of a matrix: rows from run folders, and what of them each format shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/util.h"
#include "matrix/table.h"

#define RUNS "tests/fixtures/runs/"

static struct run_record *load(const char *name)
{
	_cleanup_free_ char *dir = xasprintf(RUNS "%s", name);
	struct run_record *r = NULL;
	error *e = run_record_load(dir, &r);

	if (e)
		fail_msg("%s", e->msg);
	return r;
}

static void clear_row(struct matrix_row *row)
{
	for (int k = 0; k < TEXT_COUNT; k++)
		free(row->text[k]);
}

static void a_row_from_a_record(void **state)
{
	_cleanup_(run_record_freep) struct run_record *sleep = load("sleep"), *idle = load("idle");
	struct matrix_row row;

	(void)state;
	matrix_row_of(&sleep, 1, &row);
	assert_true(row.median[NUMBER_SLEEP] == 1);
	assert_true(row.median[NUMBER_KVM] == 0);
	assert_true(row.median[NUMBER_ARCH] == 64);
	assert_true(row.median[NUMBER_ROUNDS] == 1);
	assert_true(row.median[NUMBER_MVMS] ==
		    csv_cell(sleep->intervals, sleep->intervals->rows - 1, "vm_count"));
	assert_true(isnan(row.median[NUMBER_BOOT])); /* that column is not in the fixture */
	assert_string_equal(row.text[TEXT_STOP], "threshold: ram");
	assert_string_equal(row.text[TEXT_PRESET], "dense");
	assert_string_equal(row.text[TEXT_LAUNCH], "clone");
	assert_string_equal(row.text[TEXT_QEMU], "7.2.22");
	clear_row(&row);
	matrix_row_of(&idle, 1, &row);
	assert_true(row.median[NUMBER_SLEEP] == 0);
	clear_row(&row);
}

static void rounds_make_a_median(void **state)
{
	_cleanup_(run_record_freep) struct run_record *a = load("sleep"), *b = load("short"),
						      *c = load("limit");
	struct run_record *const all[] = { a, b, c };
	struct matrix_row row;
	double low = INFINITY, high = 0;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		double n = csv_cell(all[i]->intervals, all[i]->intervals->rows - 1, "vm_count");

		low = fmin(low, n);
		high = fmax(high, n);
	}
	matrix_row_of(all, 3, &row);
	assert_true(row.min[NUMBER_MVMS] == low && row.max[NUMBER_MVMS] == high);
	assert_true(row.median[NUMBER_MVMS] > low && row.median[NUMBER_MVMS] < high);
	assert_true(row.median[NUMBER_ROUNDS] == 3);
	assert_non_null(strstr(row.text[TEXT_STOP], " / "));
	clear_row(&row);
	matrix_row_of(all, 0, &row);
	assert_true(isnan(row.median[NUMBER_MVMS]) && row.median[NUMBER_ROUNDS] == 0);
	assert_null(row.text[TEXT_STOP]);
}

static void set_text(struct run_record *r, const char *object, const char *key, const char *value)
{
	json_t *o = json_object_get(r->meta, object);

	if (!o) {
		json_object_set_new(r->meta, object, json_object());
		o = json_object_get(r->meta, object);
	}
	if (value)
		json_object_set_new(o, key, json_string(value));
	else
		json_object_del(o, key);
}

/* A text that is part of another one is another one. */
static void texts_are_sets(void **state)
{
	_cleanup_(run_record_freep) struct run_record *a = load("sleep"), *b = load("sleep"),
						      *c = load("sleep");
	struct run_record *const all[] = { a, b, c };
	static const char *const versions[] = { "7.2.22", "7.2.2", "2.22" };
	struct matrix_row row;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		set_text(all[i], "backend", "version", versions[i]);
		set_text(all[i], "backend", "name", "qemu");
		set_text(all[i], "stop", "metric", NULL);
		set_text(all[i], "stop", "kind", i == 0 ? "limit" : "max");
		set_text(all[i], "stop", "limit", i == 0 ? "pid_max" : NULL);
	}
	matrix_row_of(all, 3, &row);
	assert_string_equal(row.text[TEXT_QEMU], "7.2.22 / 7.2.2 / 2.22");
	assert_string_equal(row.text[TEXT_STOP], "limit: pid_max / max");
	clear_row(&row);
}

/* Two rows: one measured in two rounds, one that cannot run. */
static void make_table(struct matrix_table *t)
{
	*t = (struct matrix_table){ .name = xstrdup("m_1"),
				    .title = xstrdup("50% & more"),
				    .host = xstrdup("h") };
	t->rows = xcalloc(2, sizeof(*t->rows));
	t->count = 2;
	for (size_t i = 0; i < 2; i++)
		for (int k = 0; k < NUMBER_COUNT; k++)
			t->rows[i].median[k] = t->rows[i].min[k] = t->rows[i].max[k] = (double)NAN;
	struct matrix_row *r = &t->rows[0];
	r->median[NUMBER_SLEEP] = 1;
	r->median[NUMBER_KVM] = 0;
	r->median[NUMBER_ARCH] = 32;
	r->median[NUMBER_MVMS] = r->min[NUMBER_MVMS] = r->max[NUMBER_MVMS] = 1234;
	r->median[NUMBER_CPU] = 12.34;
	r->min[NUMBER_CPU] = 12;
	r->max[NUMBER_CPU] = 13;
	r->median[NUMBER_ROUNDS] = 2;
	r->text[TEXT_CELL] = xstrdup("a_b|c");
	r->text[TEXT_STATE] = xstrdup("done");
	r->text[TEXT_SOURCE] = xstrdup("here");
	t->rows[1].text[TEXT_CELL] = xstrdup("other");
	t->rows[1].text[TEXT_STATE] = xstrdup("cannot");
	t->rows[1].text[TEXT_NOTE] = xstrdup("no such program, sadly");
}

static void renders(enum table_format f, const char *const *words)
{
	struct matrix_table t;

	make_table(&t);
	_cleanup_free_ char *text = matrix_table_render(&t, f);
	for (size_t i = 0; words[i]; i++)
		if (!strstr(text, words[i]))
			fail_msg("'%s' is not in:\n%s", words[i], text);
	matrix_table_clear(&t);
}

static void formats(void **state)
{
	(void)state;
	renders(TABLE_TEXT,
		(const char *const[]){ "m_1: 50% & more\nh\n", "configuration  sleep  KVM  arch  MVMs",
				       "a_b|c             on  off    32  1234  12.3 ±0.5",
				       "other: cannot: no such program, sadly\n", NULL });
	renders(TABLE_MARKDOWN, (const char *const[]){ "| configuration | sleep | KVM |", "| --- | ---: |",
						       "| a\\_b\\|c | on | off | 32 | 1234 | 12.3 ±0.5 |",
						       "- other: cannot: no such program", NULL });
	renders(TABLE_LATEX,
		(const char *const[]){ "\\begin{tabular}{lrrrr", "\\hline\nconfiguration & sleep", "\\%CPU",
				       "a\\_b\\textbar{}c & on & off & 32 & 1234 & 12.3 $\\pm$ 0.5",
				       " \\\\\n", "\\end{tabular}\n", "% other: cannot: no such", NULL });
	renders(TABLE_CSV, (const char *const[]){
				   "sleep,kvm,arch_bits,mvms,cpu_pct,ram_pct,swap_pct,size_kb,minutes,",
				   "\n1,0,32,1234,12.34,,", ",a_b|c,", ",no such program; sadly,", NULL });
	renders(TABLE_JSON,
		(const char *const[]){ "\"mvms\": 1234.0", "\"ram_pct\": null", "\"cpu_pct_max\": 13.0",
				       "\"note\": \"no such program, sadly\"", NULL });
}

/* What is written is read again: a table can stand beside another. */
static void csv_can_stand_beside(void **state)
{
	struct matrix_table t, other;
	struct csv *csv = NULL;

	(void)state;
	make_table(&t);
	make_table(&other);
	_cleanup_free_ char *text = matrix_table_render(&t, TABLE_CSV);
	assert_null(csv_parse(text, "table.csv", &csv));
	assert_int_equal(csv->rows, 2);
	assert_null(matrix_table_add_beside(&other, csv, "there"));
	assert_int_equal(other.count, 4);
	assert_true(other.rows[2].median[NUMBER_MVMS] == 1234);
	assert_true(isnan(other.rows[2].median[NUMBER_RAM]));
	assert_string_equal(other.rows[2].text[TEXT_CELL], "there row 1");
	assert_string_equal(other.rows[2].text[TEXT_SOURCE], "there");
	csv_free(csv);
	csv = NULL;
	assert_null(csv_parse("a,b\n1,2\n", "x.csv", &csv));
	_cleanup_err_ error *e = matrix_table_add_beside(&other, csv, "x");
	assert_non_null(e);
	assert_non_null(strstr(e->msg, "no column 'mvms'"));
	assert_int_equal(other.count, 4);
	csv_free(csv);
	matrix_table_clear(&t);
	matrix_table_clear(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_are_sets),	cmocka_unit_test(a_row_from_a_record),
		cmocka_unit_test(rounds_make_a_median), cmocka_unit_test(formats),
		cmocka_unit_test(csv_can_stand_beside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
