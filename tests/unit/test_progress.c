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

#include "base/text.h"
#include "base/util.h"
#include "run/progress.h"

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

static size_t shown_width(const char *text)
{
	size_t n = 0;

	for (; *text; text++) {
		if (*text == '\033')
			text = strchr(text, 'm');
		else
			n++;
	}
	return n;
}

/* At any width the line fits, begins with how far it is, and says the CPU where there is room for that. */
static void fits_every_width(void **state)
{
	const struct forecast will = {
		.ok = true, .resource = "ram", .vms = 9e6, .lower = 8e6, .upper = 1e7
	};

	(void)state;
	for (int k = 0; k < 64; k++) {
		bool big = k & 1, swap = k & 2, colour = k & 4, high = k & 8, forecast = k & 16,
		     unknown = k & 32;
		struct run_status s = { .stage = big ? STAGE_BASELINE : STAGE_LAUNCH,
					.ready = big ? 9999999 : 7,
					.target = big ? 10000000 : 20,
					.max = 10000000,
					.rate_per_s = big ? 12345 : NAN,
					.predicted_end = 900000,
					.cpu_pct = unknown ? NAN
						   : high  ? 100
							   : 3.2,
					.ram_pct = high ? 95.5 : 12,
					.swap_pct = high ? 100 : 0,
					.has_swap = swap,
					.threshold_pct = 90,
					.eta_s = unknown ? NAN : 359999 };

		if (forecast)
			s.forecast = will;
		for (int width = 1; width <= 200; width++) {
			_cleanup_free_ char *text = progress_line(&s, width, colour);
			size_t n = shown_width(text);

			assert_true(n <= (size_t)width);
			assert_null(strchr(text, '\n'));
			assert_true(colour || !strchr(text, '\033'));
			if (width < 20)
				continue;
			assert_non_null(strstr(text, big ? "9999999/10" : "7/20"));
			if (width >= 26)
				assert_non_null(strstr(text, "CPU"));
		}
	}
}

/* What an 80 column terminal shows, and what is left of it. */
static void parts_go_one_by_one(void **state)
{
	struct run_status s = { .stage = STAGE_LAUNCH,
				.ready = 10,
				.target = 20,
				.rate_per_s = 15,
				.cpu_pct = 12.5,
				.ram_pct = 40,
				.threshold_pct = 90,
				.eta_s = 45 };
	static const struct {
		int width;
		const char *want;
	} rows[] = {
		{ 120, "launch   10/20 VMs 15/s  CPU [#........|] 12.5%  RAM [####.....|] 40.0%  ETA 45 s" },
		{ 79, "launch   10/20 VMs 15/s  CPU [#...] 12.5%  RAM [##..] 40.0%  ETA 45 s" },
		{ 50, "launch 10/20 VMs 15/s CPU 12% RAM 40% ETA 45 s" },
		{ 44, "launch 10/20 VMs CPU 12% RAM 40% ETA 45 s" },
		{ 36, "launch 10/20 VMs CPU 12% RAM 40%" },
		{ 24, "10/20 CPU 12% RAM 40%" },
		{ 20, "10/20 CPU 12%" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_free_ char *text = progress_line(&s, rows[i].width, false);

		assert_string_equal(text, rows[i].want);
	}
}

static void terminals_are_known_by_name(void **state)
{
	static const char *const none[] = { NULL, "", "dumb" };
	_cleanup_fclose_ FILE *f = fopen("/dev/ptmx", "r+e");
	_cleanup_free_ char *old = getenv("TERM") ? xstrdup(getenv("TERM")) : NULL;

	(void)state;
	if (!f || !isatty(fileno(f)))
		skip();
	setenv("TERM", "xterm", 1);
	assert_true(text_terminal(f));
	for (size_t i = 0; i < ARRAY_LEN(none); i++) {
		if (none[i])
			setenv("TERM", none[i], 1);
		else
			unsetenv("TERM");
		assert_false(text_terminal(f));
		assert_false(text_colour(f));
	}
	if (old)
		setenv("TERM", old, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bars),
		cmocka_unit_test(durations),
		cmocka_unit_test(plain_when_piped),
		cmocka_unit_test(quiet_says_nothing),
		cmocka_unit_test(fits_every_width),
		cmocka_unit_test(parts_go_one_by_one),
		cmocka_unit_test(terminals_are_known_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
