/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "base/util.h"
#include "model/fit.h"

#define assert_near(a, b, within) assert_true(fabs((a) - (b)) <= (within))
#define ROWS 40

/* A small generator of its own, so that every platform sees the same noise. */
static double noise(void)
{
	static uint32_t s = 1;
	double sum = 0;

	for (int i = 0; i < 12; i++) {
		s = s * 1664525 + 1013904223;
		sum += (double)(s >> 8) / (1 << 24);
	}
	return sum - 6;
}

static void line_is_found(void **state)
{
	double x[ROWS], y[ROWS], at, lower, upper;
	struct line_fit f;

	(void)state;
	for (size_t i = 0; i < ROWS; i++) {
		x[i] = 1000.0 * (double)i;
		y[i] = 2 + 0.003 * x[i] + 0.1 * noise();
	}
	y[7] = 60; /* an outlier must not count */
	assert_true(fit_line(x, y, ROWS, &f));
	assert_false(f.theil_sen);
	assert_near(f.a, 2, 0.15);
	assert_near(f.b, 0.003, 1e-5);
	assert_true(fit_rises(&f));
	assert_true(fit_inverse(&f, 90, &at, &lower, &upper));
	assert_near(at, 88 / 0.003, 150);
	assert_true(lower < at && at < upper && upper - lower < 3000);
}

/* 95 % intervals hold the true crossing in about 95 of 100 tries. */
static void interval_covers(void **state)
{
	unsigned held = 0;

	(void)state;
	for (int k = 0; k < 400; k++) {
		double x[12], y[12], at, lower, upper;
		struct line_fit f;

		for (size_t i = 0; i < 12; i++) {
			x[i] = 100.0 * (double)i;
			y[i] = 5 + 0.05 * x[i] + noise();
		}
		assert_true(fit_line(x, y, 12, &f));
		assert_true(fit_inverse(&f, 90 + noise(), &at, &lower, &upper));
		held += lower <= 1700 && 1700 <= upper;
	}
	assert_in_range(held, 360, 396);
}

static void few_points_use_theil_sen(void **state)
{
	const double x[] = { 0, 10, 20, 30 }, y[] = { 1, 2, 3, 40 };
	struct line_fit f;

	(void)state;
	assert_true(fit_line(x, y, 4, &f));
	assert_true(f.theil_sen);
	assert_false(fit_line(x, y, 2, &f));
	const double same[] = { 5, 5, 5, 5 };
	assert_false(fit_line(same, y, 4, &f));
	const double gaps[] = { 1, NAN, 3, NAN };
	assert_false(fit_line(x, gaps, 4, &f));
}

static void flat_has_no_crossing(void **state)
{
	double x[ROWS], y[ROWS], at, lower, upper;
	struct line_fit f;

	(void)state;
	for (size_t i = 0; i < ROWS; i++) {
		x[i] = (double)i;
		y[i] = 3;
	}
	assert_true(fit_line(x, y, ROWS, &f));
	assert_false(fit_inverse(&f, 90, &at, &lower, &upper));
	for (size_t i = 0; i < ROWS; i++)
		y[i] = 3 + noise();
	assert_true(fit_line(x, y, ROWS, &f));
	assert_false(fit_inverse(&f, 90, &at, &lower, &upper));
	for (size_t i = 0; i < ROWS; i++)
		y[i] = 50 - (double)i;
	assert_true(fit_line(x, y, ROWS, &f));
	assert_false(fit_inverse(&f, 90, &at, &lower, &upper));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(line_is_found),
		cmocka_unit_test(interval_covers),
		cmocka_unit_test(few_points_use_theil_sen),
		cmocka_unit_test(flat_has_no_crossing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
