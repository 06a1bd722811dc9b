/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "run/ramp.h"

/* Climbs to `end` with the forecast that `end` is known from the n-th interval on; counts the intervals. */
static unsigned climb(uint32_t max, unsigned intervals, uint32_t believed, uint32_t end, unsigned known_from)
{
	struct ramp r;
	uint32_t last = 0, target;

	ramp_init(&r, max, intervals, believed);
	while ((target = ramp_next(&r, r.done >= known_from ? end : believed))) {
		assert_true(target > last && target <= max);
		last = target;
		ramp_finish_interval(&r, target);
		if (target >= end)
			break;
		assert_true(r.done < 100000);
	}
	return r.done;
}

static void twenty_even_steps(void **state)
{
	struct ramp r;

	(void)state;
	ramp_init(&r, 200, 20, 200);
	for (uint32_t i = 1; i <= 20; i++) {
		assert_int_equal(ramp_next(&r, 200), i * 10);
		ramp_finish_interval(&r, i * 10);
	}
	assert_int_equal(ramp_next(&r, 200), 0);
}

static void counts_that_do_not_divide(void **state)
{
	(void)state;
	assert_int_equal(climb(201, 20, 201, 201, 0), 20);
	assert_int_equal(climb(1, 20, 1, 1, 0), 1);
	assert_int_equal(climb(7, 20, 7, 7, 0), 7);
	assert_int_equal(climb(100000, 20, 100000, 100000, 0), 20);
	assert_int_equal(climb(10000000, 20, 10000000, 10000000, 0), 20);
	assert_int_equal(climb(50, 1, 50, 50, 0), 1);
}

/* The preflight hoped for more than there is: later steps shrink, and the curve still has its points. */
static void replans_smaller(void **state)
{
	(void)state;
	unsigned n = climb(100000, 20, 100000, 20000, 1);
	assert_in_range(n, 15, 25);
	n = climb(1000, 20, 1000, 600, 3);
	assert_in_range(n, 15, 25);
}

/* It feared the worst: later steps grow, instead of taking thousands. */
static void replans_larger(void **state)
{
	(void)state;
	unsigned n = climb(100000, 20, 1000, 50000, 1);
	assert_in_range(n, 15, 30);
}

static void small_changes_keep_the_step(void **state)
{
	struct ramp r;

	(void)state;
	ramp_init(&r, 200, 20, 200);
	ramp_finish_interval(&r, ramp_next(&r, 200));
	assert_int_equal(ramp_next(&r, 190), 20);
	assert_int_equal(r.step, 10);
	assert_int_equal(ramp_next(&r, UINT32_MAX), 20);
}

/* Beyond the forecast it goes on to max, in steps, and never past it. */
static void clamps_to_max(void **state)
{
	struct ramp r;

	(void)state;
	ramp_init(&r, 105, 10, UINT32_MAX);
	for (uint32_t last = 0, t; (t = ramp_next(&r, 1)); last = t) {
		assert_true(t > last && t <= 105);
		ramp_finish_interval(&r, t);
	}
	assert_int_equal(r.count, 105);
	ramp_init(&r, 10, 20, 0);
	assert_int_equal(r.step, 1);
}

static void forecast(void **state)
{
	(void)state;
	assert_int_equal(ramp_forecast(10, 20, 100, 90, 0.3), 800);
	assert_int_equal(ramp_forecast(10, 10.1, 100, 90, 0.3), UINT32_MAX);
	assert_int_equal(ramp_forecast(10, 5, 100, 90, 0.3), UINT32_MAX);
	assert_int_equal(ramp_forecast(10, 20, 0, 90, 0.3), UINT32_MAX);
	assert_int_equal(ramp_forecast(NAN, 20, 100, 90, 0.3), UINT32_MAX);
	assert_int_equal(ramp_forecast(10, NAN, 100, 90, 0.3), UINT32_MAX);
	/* a baseline above the threshold: no further than where it stands */
	assert_int_equal(ramp_forecast(95, 96, 100, 90, 0.3), 1);
	assert_int_equal(ramp_forecast(0, 0.31, 4000000000U, 90, 0.3), UINT32_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(twenty_even_steps), cmocka_unit_test(counts_that_do_not_divide),
		cmocka_unit_test(replans_smaller),   cmocka_unit_test(replans_larger),
		cmocka_unit_test(clamps_to_max),     cmocka_unit_test(small_changes_keep_the_step),
		cmocka_unit_test(forecast),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
