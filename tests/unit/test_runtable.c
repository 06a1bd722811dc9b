/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "report/runtable.h"

static struct csv *intervals(const char *rows)
{
	_cleanup_free_ char *text = xasprintf(
		"vm_count,cpu_pct_mean,cpu_guests_pct_mean,mem_per_vm_kb,guest_rss_kb_mean,boot_p50_ms\n%s",
		rows);
	struct csv *t = NULL;

	assert_null(csv_parse(text, "intervals", &t));
	return t;
}

static struct run_record record(const char *name, const char *rows)
{
	return (struct run_record){
		.dir = (char *)"runs/x",
		.meta = json_pack("{s:s,s:s,s:{s:s,s:s,s:s,s:s},s:{s:s}}", "name", name, "profile", "sleep",
				  "backend", "name", "qemu", "binary", "/usr/bin/qemu-system-x86_64",
				  "version", "7.2.22", "accel", "tcg", "launch", "mode", "clone"),
		.intervals = intervals(rows),
	};
}

static void cleared(struct run_record *r)
{
	json_decref(r->meta);
	csv_free(r->intervals);
}

static char *rendered(struct run_record *r, enum table_format format)
{
	struct run_record *const runs[] = { r };
	char *text = NULL;

	assert_null(runtable_render(runs, 1, format, &text));
	return text;
}

static void the_last_interval_counts(void **state)
{
	struct run_record r =
		record("a|b, \"c\"", "0,1.5,0,,,\n10,2,0.25,500,30,4.5\n20,3.5,0.5,480,32,4.25\n");
	_cleanup_free_ char *csv = rendered(&r, TABLE_CSV), *md = rendered(&r, TABLE_MARKDOWN);
	_cleanup_free_ char *json = rendered(&r, TABLE_JSON), *text = rendered(&r, TABLE_TEXT);
	json_auto_t *parsed = json_loads(json, 0, NULL);
	json_t *row = json_array_get(parsed, 0);

	(void)state;
	assert_non_null(strstr(
		csv, "\"a|b, \"\"c\"\"\",qemu,qemu-system-x86_64 7.2.22,tcg,clone,sleep,20,,480,,32,,,4.25"));
	assert_non_null(strstr(csv, ",0.50,2.00\n"));
	assert_non_null(strstr(md, "| a\\|b, \"c\" | qemu |"));
	assert_non_null(strstr(md, "| 480 | 32 | 4.25 |"));
	assert_non_null(strstr(text, "RAM/VM kB"));
	assert_null(strstr(text, "PSS kB")); /* no run has it */
	assert_true(json_is_null(json_object_get(row, "pss_kb")));
	assert_true(json_number_value(json_object_get(row, "vms")) > 19.9);
	cleared(&r);
}

static void without_a_baseline_nothing_is_subtracted(void **state)
{
	struct run_record r = record("late", "10,2,0.25,500,30,4.5\n");
	_cleanup_free_ char *csv = rendered(&r, TABLE_CSV);

	(void)state;
	assert_non_null(strstr(csv, ",0.25,\n"));
	cleared(&r);
}

static void a_run_without_vms_is_told(void **state)
{
	struct run_record r = record("none", "0,1,0,,,\n");
	struct run_record *const runs[] = { &r };
	char *text = NULL;
	error *e = runtable_render(runs, 1, TABLE_TEXT, &text);

	(void)state;
	assert_non_null(e);
	assert_int_equal(e->code, EXIT_BAD_INPUT);
	assert_non_null(strstr(e->msg, "runs/x"));
	err_free(e);
	cleared(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_interval_counts),
		cmocka_unit_test(without_a_baseline_nothing_is_subtracted),
		cmocka_unit_test(a_run_without_vms_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
