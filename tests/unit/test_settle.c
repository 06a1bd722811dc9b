/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "model/settle.h"

#define CPU_TOLERANCE 1.0
#define RAM_TOLERANCE 0.1

static bool quiet_after(size_t n, double cpu0, double cpu_slope, double cpu_noise, double ram_slope)
{
	struct settle s = { 0 };

	for (size_t i = 0; i < n; i++)
		settle_add(&s, (double)i * 0.25,
			   cpu0 + cpu_slope * (double)i + (i % 2 ? cpu_noise : -cpu_noise),
			   50 + ram_slope * (double)i);
	return settle_quiet(&s, CPU_TOLERANCE, RAM_TOLERANCE);
}

static void too_few_readings(void **state)
{
	(void)state;
	for (size_t n = 0; n < SETTLE_POINTS; n++)
		assert_false(quiet_after(n, 3, 0, 0, 0));
}

static void flat_is_quiet(void **state)
{
	(void)state;
	assert_true(quiet_after(SETTLE_POINTS, 3, 0, 0, 0));
	assert_true(quiet_after(SETTLE_POINTS, 99, 0, 0, 0));
	assert_true(quiet_after(50, 3, 0, 0, 0));
}

static void drift_is_not(void **state)
{
	(void)state;
	assert_false(quiet_after(SETTLE_POINTS, 3, 2, 0, 0));
	assert_false(quiet_after(SETTLE_POINTS, 90, -2, 0, 0));
	assert_false(quiet_after(SETTLE_POINTS, 3, 0, 0, 0.1));
	assert_false(quiet_after(SETTLE_POINTS, 3, 0, 0, -0.1));
	assert_true(quiet_after(SETTLE_POINTS, 3, 0.1, 0, 0.01));
}

/* Scatter of CPU readings is no drift, however wide; a drift below the scatter is not told from it. */
static void noise_is_not_drift(void **state)
{
	(void)state;
	assert_true(quiet_after(SETTLE_POINTS, 50, 0, 20, 0));
	assert_true(quiet_after(SETTLE_POINTS, 50, 0.3, 5, 0));
	assert_false(quiet_after(SETTLE_POINTS, 50, 3, 1, 0));
}

/* Only the latest readings count. */
static void storm_passes(void **state)
{
	struct settle s = { 0 };

	(void)state;
	for (int i = 0; i < 20; i++)
		settle_add(&s, i, 100 - 5 * i, 10 + i);
	assert_false(settle_quiet(&s, CPU_TOLERANCE, RAM_TOLERANCE));
	for (int i = 20; i < 20 + SETTLE_POINTS; i++)
		settle_add(&s, i, 1, 30);
	assert_true(settle_quiet(&s, CPU_TOLERANCE, RAM_TOLERANCE));
}

static void absent_readings_are_not_quiet(void **state)
{
	struct settle s = { 0 };

	(void)state;
	for (int i = 0; i < SETTLE_POINTS; i++)
		settle_add(&s, i, 1, NAN);
	assert_false(settle_quiet(&s, CPU_TOLERANCE, RAM_TOLERANCE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(too_few_readings), cmocka_unit_test(flat_is_quiet),
		cmocka_unit_test(drift_is_not),	    cmocka_unit_test(noise_is_not_drift),
		cmocka_unit_test(storm_passes),	    cmocka_unit_test(absent_readings_are_not_quiet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
