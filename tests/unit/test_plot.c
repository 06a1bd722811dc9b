/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/fs.h"
#include "base/text.h"
#include "report/plot.h"
#include "report/plot_text.h"

#define assert_near(a, b, within) assert_true(fabs((a) - (b)) <= (within))
#define RUNS "tests/fixtures/runs/"

static void same(char *got, const char *want)
{
	assert_string_equal(got, want);
	free(got);
}

static void strings_are_quoted(void **state)
{
	(void)state;
	same(plot_quote("it's a_b"), "\"it\\047s a_b\"");
	same(plot_quote("`x` \"y\" \\n @m"), "\"\\140x\\140 \\042y\\042 \\134n \\100m\"");
	same(plot_quote("a\nb\tc\x7f"), "\"a b c \"");
	same(plot_quote("caf\xc3\xa9"), "\"caf\xc3\xa9\"");
	same(plot_quote("bad\xff\xc3"), "\"bad?\x3f\"");
	same(plot_quote(""), "\"\"");
}

static void numbers_are_separated(void **state)
{
	(void)state;
	same(text_thousands(0, 0), "0");
	same(text_thousands(999, 0), "999");
	same(text_thousands(46000, 0), "46,000");
	same(text_thousands(1234567.25, 2), "1,234,567.25");
	same(text_thousands(-1000, 0), "-1,000");
	same(text_thousands(-0.0001, 2), "0.00");
}

static void ticks_are_round(void **state)
{
	(void)state;
	assert_near(plot_tick_step(100, 5), 20, 1e-9);
	assert_near(plot_tick_step(46000, 5), 10000, 1e-6);
	assert_near(plot_tick_step(1, 5), 0.2, 1e-12);
	assert_near(plot_tick_step(0, 5), 1, 0);
	assert_near(plot_tick_step(NAN, 5), 1, 0);
	assert_int_equal(plot_ticks_width(""), 0);
	assert_int_equal(plot_ticks_width("'0' 0, '12,500' 12500, '900' 900"), 6);
	same(plot_ticks(0, 2500, 5),
	     "'0' 0 , '500' 500 , '1,000' 1000 , '1,500' 1500 , '2,000' 2000 , '2,500' 2500");
	same(plot_ticks(0.9, 1.15, 5),
	     "'0.90' 0.9 , '0.95' 0.95 , '1.00' 1 , '1.05' 1.05 , '1.10' 1.1 , '1.15' 1.15");
}

static void words_are_cut_and_wrapped(void **state)
{
	struct strlist parts = { 0 }, lines = { 0 };

	(void)state;
	same(plot_cut("abcdef", 6), "abcdef");
	same(plot_cut("abcdefg", 6), "abcde\u2026");
	same(plot_cut("\u00e9\u00e9\u00e9", 2), "\u00e9\u2026");
	strlist_add(&parts, "2 cores");
	strlist_add(&parts, "24 GiB");
	strlist_add(&parts, "a part that is far too long for any line");
	plot_wrap(&parts, 16, &lines);
	assert_int_equal(lines.count, 2);
	assert_string_equal(lines.items[0], "2 cores, 24 GiB");
	assert_string_equal(lines.items[1], "a part that is \u2026");
	strlist_clear(&parts);
	strlist_clear(&lines);
}

static struct run_record *loaded(const char *name)
{
	_cleanup_free_ char *dir = xasprintf(RUNS "%s", name);
	struct run_record *r = NULL;

	assert_null(run_record_load(dir, &r));
	return r;
}

static void subtitle_says_what_differs(void **state)
{
	struct run_record *runs[] = { loaded("sleep"), loaded("limit"), loaded("idle") };
	struct strlist parts = { 0 };

	(void)state;
	plot_subtitle(runs, 3, &parts);
	_cleanup_free_ char *text = strlist_join(&parts);
	assert_string_equal(
		text,
		"Intel Xeon Platinum 8375C 2 cores 24 GiB RAM no swap Linux 6.18.5 QEMU 7.2.22 (tcg, isapc) / 7.2.22 (kvm, microvm) preset dense guest sleep / idle launch clone / exec / fork");
	same(plot_title(runs, 1, NULL), "46,000 sleep VMs, stopped by RAM at 90 %");
	same(plot_title(runs + 1, 1, NULL), "6,480 sleep VMs, stopped by pid_max");
	same(plot_title(runs, 3, NULL), "Host use of 3 runs up to 46,000 VMs");
	same(plot_title(runs, 1, "slab"), "slab up to 46,000 VMs");
	/* two runs of one label go by their folders */
	same(plot_run_name(runs, 3, 0), "sleep");
	same(plot_run_name(runs, 3, 1), "limit");
	same(plot_run_name(runs, 3, 2), "qemu dense idle");
	strlist_clear(&parts);
	for (size_t i = 0; i < 3; i++)
		run_record_free(runs[i]);
}

static void bad_requests_are_refused(void **state)
{
	struct run_record *r = loaded("sleep");
	struct run_record *many[] = { r, r, r, r, r, r };
	static const struct {
		size_t n;
		const char *metric, *path, *word;
	} cases[] = {
		{ 1, NULL, "plot.gif", ".svg, .png or .pdf" },
		{ 1, NULL, "plot", ".svg, .png or .pdf" },
		{ 6, NULL, "plot.svg", "1 to 5 runs" },
		{ 0, NULL, "plot.svg", "1 to 5 runs" },
		{ 1, "no_such", "plot.svg", "no metric 'no_such'" },
		{ 1, "anon_kb", "plot.svg", "no interval has a value" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		_cleanup_err_ error *e = plot_runs(many, cases[i].n, cases[i].metric, NULL, cases[i].path);

		assert_non_null(e);
		assert_int_equal(e->code, EXIT_BAD_INPUT);
		assert_non_null(strstr(e->msg, cases[i].word));
	}
	run_record_free(r);
}

static void missing_gnuplot_is_said(void **state)
{
	_cleanup_free_ char *path = xstrdup(getenv("PATH"));
	struct run_record *r = loaded("sleep");

	(void)state;
	setenv("PATH", "/nonexistent", 1);
	_cleanup_err_ error *e = plot_runs(&r, 1, NULL, NULL, "/nonexistent/plot.svg");
	setenv("PATH", path, 1);
	assert_non_null(e);
	assert_int_equal(e->code, EXIT_CANNOT);
	assert_non_null(strstr(e->msg, "gnuplot"));
	run_record_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strings_are_quoted),
		cmocka_unit_test(numbers_are_separated),
		cmocka_unit_test(ticks_are_round),
		cmocka_unit_test(words_are_cut_and_wrapped),
		cmocka_unit_test(subtitle_says_what_differs),
		cmocka_unit_test(bad_requests_are_refused),
		cmocka_unit_test(missing_gnuplot_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
