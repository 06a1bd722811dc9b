/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "report/progress.h"

static void bar_is(double pct, double threshold, const char *want)
{
	char buf[13];

	memset(buf, 'x', sizeof(buf));
	progress_bar(buf, 10, pct, threshold);
	assert_string_equal(buf, want);
}

static void bars(void **state)
{
	(void)state;
	bar_is(0, 90, "[.........|]");
	bar_is(40, 90, "[####.....|]");
	bar_is(100, 90, "[##########]");
	bar_is(250, 90, "[##########]");
	bar_is(-5, 50, "[.....|....]");
	bar_is(NAN, 50, "[.....|....]");
	bar_is(20, 100, "[##........]");
}

static void duration_is(double seconds, const char *want)
{
	char buf[40];

	progress_duration(buf, seconds);
	assert_string_equal(buf, want);
}

static void durations(void **state)
{
	(void)state;
	duration_is(0, "0 s");
	duration_is(45.4, "45 s");
	duration_is(89, "89 s");
	duration_is(200, "3 min 20 s");
	duration_is(7500, "2 h 05 min");
	duration_is(NAN, "?");
	duration_is(-1, "?");
	duration_is(INFINITY, "100000 h 00 min");
}

static char *shown(bool quiet)
{
	char *text = NULL;
	size_t size;
	FILE *f = tmpfile();
	struct progress p;
	struct run_status s = { .stage = STAGE_LAUNCH,
				.interval = 1,
				.intervals = 20,
				.ready = 10,
				.target = 20,
				.max = 200,
				.cpu_pct = 12.5,
				.ram_pct = NAN,
				.swap_pct = 0,
				.has_swap = false,
				.threshold_pct = 90,
				.eta_s = NAN };

	assert_non_null(f);
	progress_init(&p, f, quiet);
	progress_status(&p, &s);
	progress_notice(&p, "a notice");
	progress_interval(&p, &s, NAN, true);
	progress_interval(&p, &s, 512, false);
	s.forecast =
		(struct forecast){ .ok = true, .resource = "ram", .vms = 900, .lower = 850, .upper = 960 };
	progress_interval(&p, &s, 513, true);
	progress_clear(&p);
	size = (size_t)ftell(f);
	rewind(f);
	text = xcalloc(size + 1, 1);
	assert_int_equal(fread(text, 1, size, f), size);
	fclose(f);
	return text;
}

/* No terminal: a line per interval, and not one control character. */
static void plain_when_piped(void **state)
{
	(void)state;
	_cleanup_free_ char *text = shown(false);

	assert_null(strchr(text, '\033'));
	assert_null(strchr(text, '\r'));
	assert_non_null(strstr(text, "a notice\n"));
	assert_non_null(strstr(text, "kB per VM"));
	assert_null(strstr(strstr(text, "kB per VM") + 1, "kB per VM"));
	assert_non_null(strstr(text, "1/20"));
	assert_non_null(strstr(text, "none"));
	assert_non_null(strstr(text, "512  no\n"));
	assert_non_null(strstr(text, "513  yes  stop at 900 (850 to 960) by ram\n"));
}

static void quiet_says_nothing(void **state)
{
	(void)state;
	_cleanup_free_ char *text = shown(true);

	assert_string_equal(text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bars),
		cmocka_unit_test(durations),
		cmocka_unit_test(plain_when_piped),
		cmocka_unit_test(quiet_says_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
