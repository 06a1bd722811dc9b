/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/csv.h"
#include "base/util.h"
#include "record/hosts.h"

static struct csv *parsed(const char *text)
{
	struct csv *t = NULL;
	_cleanup_err_ error *e = csv_parse(text, "some.csv", &t);

	if (e)
		fail_msg("%s", e->msg);
	return t;
}

static void refused(const char *text, const char *word)
{
	struct csv *t = NULL;
	_cleanup_err_ error *e = csv_parse(text, "some.csv", &t);

	assert_non_null(e);
	assert_null(t);
	assert_int_equal(e->code, EXIT_BAD_INPUT);
	assert_non_null(strstr(e->msg, "some.csv"));
	if (!strstr(e->msg, word))
		fail_msg("'%s' lacks '%s'", e->msg, word);
}

static void reads_cells_by_name(void **state)
{
	(void)state;
	_cleanup_(csv_freep) struct csv *t = parsed("a,b,c\n1,2.5,-3e2\n4,,x\n");

	assert_int_equal(t->rows, 2);
	assert_int_equal(t->columns, 3);
	assert_false(t->truncated);
	assert_int_equal(csv_column(t, "c"), 2);
	assert_int_equal(csv_column(t, "d"), -1);
	assert_true(csv_cell(t, 0, "c") == -300);
	assert_true(csv_cell(t, 1, "a") == 4);
	assert_true(isnan(csv_cell(t, 1, "b")));
	assert_true(isnan(csv_cell(t, 1, "c")));
	assert_true(isnan(csv_cell(t, 0, "d")));
	assert_true(isnan(csv_cell(t, 2, "a")));
}

/* A writer may be killed at any byte: whole rows stay, the cut one goes. */
static void cut_anywhere(void **state)
{
	static const char *const whole = "a,b\n10,20\n30,40\n";

	(void)state;
	for (size_t len = strlen("a,b\n"); len <= strlen(whole); len++) {
		_cleanup_free_ char *text = xasprintf("%.*s", (int)len, whole);
		_cleanup_(csv_freep) struct csv *t = parsed(text);
		size_t newlines = 0;

		for (const char *c = text; *c; c++)
			newlines += *c == '\n';
		assert_int_equal(t->rows, newlines - 1);
		assert_int_equal(t->truncated, text[len - 1] != '\n');
	}
}

static void damage_is_named(void **state)
{
	(void)state;
	refused("", "empty");
	refused("a,b", "header");
	refused("a,b\n1,2\n1,2,3\n", "line 3 has 3 fields, the header has 2");
	refused("a,b\n1\n", "line 2 has 1 fields");
	refused("a,b\n1,2\n\n3,4\n", "line 3");
}

static void other_line_ends(void **state)
{
	(void)state;
	_cleanup_(csv_freep) struct csv *t = parsed("a,b\r\n1,2\r\n");

	assert_int_equal(csv_column(t, "b"), 1);
	assert_true(csv_cell(t, 0, "b") == 2);
	csv_free(NULL);
}

#define HOSTS "time_s,interval,repeat,host,state,vm_count,ram_pct_mean,threshold_pct\n"

static void hosts_are_told_apart(void **state)
{
	struct host_curves h;

	(void)state;
	assert_null(host_curves_parse(HOSTS "1,0,0,a,up,0,5.5,90\n1,0,0,7,up,0,,60\n"
					    "2,1,0,a,full,3,91,90\n2,1,0,7,lost,0,,60\n3,2,0,a,fu",
				      "hosts.csv", &h));
	assert_int_equal(h.count, 2);
	assert_string_equal(h.items[0].name, "a");
	assert_int_equal(h.items[0].count, 2);
	assert_true(h.items[0].full && !h.items[0].lost);
	assert_true(h.items[0].points[1].vms == 3 && h.items[0].points[1].ram == 91);
	assert_true(isnan(h.items[0].points[1].cpu)); /* no such column */
	assert_string_equal(h.items[1].name, "7");
	assert_true(h.items[1].lost && h.items[1].threshold_pct == 60);
	host_curves_clear(&h);
}

static void damaged_hosts_are_named(void **state)
{
	struct host_curves h;

	(void)state;
	_cleanup_err_ error *fields = host_curves_parse(HOSTS "1,2\n", "hosts.csv", &h);
	assert_non_null(strstr(fields->msg, "hosts.csv: line 2"));
	_cleanup_err_ error *columns = host_curves_parse("host,state\na,up\n", "hosts.csv", &h);
	assert_non_null(strstr(columns->msg, "vm_count"));
	_cleanup_err_ error *empty = host_curves_parse("", "hosts.csv", &h);
	assert_non_null(strstr(empty->msg, "empty"));
	assert_int_equal(h.count, 0);
}

/* As a spreadsheet writes it: a byte order mark, quotes where a field has a comma, blanks beside the commas.
 */
static void other_writers(void **state)
{
	(void)state;
	_cleanup_(csv_freep) struct csv *t = parsed("\xef\xbb\xbf"
						    "\"a, b\", c ,\"d\"\"e\"\n\"x, y\", 2 ,\"3\"\n");

	assert_int_equal(t->columns, 3);
	assert_int_equal(csv_column(t, "a, b"), 0);
	assert_int_equal(csv_column(t, "c"), 1);
	assert_int_equal(csv_column(t, "d\"e"), 2);
	assert_true(isnan(csv_cell(t, 0, "a, b")));
	assert_true(csv_cell(t, 0, "c") == 2);
	assert_true(csv_cell(t, 0, "d\"e") == 3);
	refused("a,b\n\"1,2\n", "line 2 has 1 fields");
}

static void last_line_by_hand(void **state)
{
	(void)state;
	char path[] = "/tmp/mvm-csv-XXXXXX";
	int fd = mkstemp(path);
	struct csv *t = NULL;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "a,b\n1,2\n3,4", 11), 11);
	close(fd);
	_cleanup_err_ error *e = csv_load_whole(path, &t);
	unlink(path);
	assert_null(e);
	assert_int_equal(t->rows, 2);
	assert_true(csv_cell(t, 1, "b") == 4);
	csv_free(t);
}

/* The quick way reads what strtod() reads, to the last bit. */
static void numbers_are_those_of_strtod(void **state)
{
	static const char *const odd[] = { "0",
					   "-0",
					   "0.1",
					   "5.",
					   ".5",
					   "-.25",
					   "123456789012345",
					   "0.123456789012345",
					   "99999999999999.9",
					   "1e3",
					   "1e-7",
					   "00.10" };
	uint64_t s = 88172645463325252;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		char text[40];

		s ^= s << 13;
		s ^= s >> 7;
		s ^= s << 17;
		snprintf(text, sizeof(text), "%.*f", (int)(s % 9), (double)(int64_t)s / 1e13);
		const char *word = i < (int)ARRAY_LEN(odd) ? odd[i] : text;
		_cleanup_free_ char *table = xasprintf("a\n%s\n", word);
		_cleanup_(csv_freep) struct csv *t = parsed(table);
		double v = csv_cell(t, 0, "a"), want = strtod(word, NULL);

		/* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): bit by bit, NAN and -0 too */
		if (memcmp(&v, &want, sizeof(v)) != 0)
			fail_msg("%s is read as %.17g", word, v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_those_of_strtod),
		cmocka_unit_test(reads_cells_by_name),
		cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(damage_is_named),
		cmocka_unit_test(other_line_ends),
		cmocka_unit_test(hosts_are_told_apart),
		cmocka_unit_test(damaged_hosts_are_named),
		cmocka_unit_test(other_writers),
		cmocka_unit_test(last_line_by_hand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
