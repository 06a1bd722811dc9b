/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "guest/vary.h"

static struct guest_image image(unsigned flags, uint32_t seed, uint32_t phase_ms)
{
	return (struct guest_image){ .has_params = true, .flags = flags, .seed = seed, .phase_ms = phase_ms };
}

/* Expected: a guest that uses neither gets what its image has, and no VM needs an image of its own. */
static void nothing_to_vary(void **state)
{
	(void)state;
	struct guest_image img = image(0, 5, 7);
	struct vary v = vary_of(&img, 1000, 1);
	struct vary_values x = vary_values_of(&v, 3);

	assert_false(vary_needed(&v));
	assert_false(vary_needed(NULL));
	assert_int_equal(x.seed, 5);
	assert_int_equal(x.phase_ms, 7);
}

static void same_run_same_values(void **state)
{
	(void)state;
	struct guest_image img = image(MVM_PARAM_FLAG_SEED | MVM_PARAM_FLAG_PHASE, 0, 0);
	struct vary a = vary_of(&img, 1000, 1), b = vary_of(&img, 1000, 1), c = vary_of(&img, 1000, 2);
	struct vary_values x = vary_values_of(&a, 9), y = vary_values_of(&b, 9), z = vary_values_of(&c, 9);

	assert_true(vary_needed(&a));
	assert_memory_equal(&x, &y, sizeof(x));
	assert_int_not_equal(x.seed, z.seed);
	img.seed = 1;
	a = vary_of(&img, 1000, 1);
	assert_int_not_equal(vary_values_of(&a, 9).seed, x.seed);
}

static void phases_fill_the_spread(void **state)
{
	(void)state;
	enum { VMS = 4000, SPREAD = 1000 };
	struct guest_image img = image(MVM_PARAM_FLAG_PHASE, 0, 250);
	struct vary v = vary_of(&img, SPREAD, 1);
	double sum = 0;
	unsigned tenths[10] = { 0 };

	for (uint32_t i = 0; i < VMS; i++) {
		uint32_t ms = vary_values_of(&v, i).phase_ms;

		assert_in_range(ms, 250, 250 + SPREAD - 1);
		sum += ms;
		tenths[(ms - 250) / (SPREAD / 10)]++;
	}
	/* mean 750 with a standard error of 4.6; a tenth holds 400 with a deviation of 19 */
	assert_in_range((int)(sum / VMS), 727, 773);
	for (int i = 0; i < 10; i++)
		assert_in_range(tenths[i], 305, 495);
}

static void huge_phase_does_not_wrap(void **state)
{
	(void)state;
	struct guest_image img = image(MVM_PARAM_FLAG_PHASE, 0, UINT32_MAX);
	struct vary v = vary_of(&img, UINT32_MAX, 1);

	assert_int_equal(vary_values_of(&v, 0).phase_ms, UINT32_MAX);
	assert_int_equal(vary_values_of(&v, UINT32_MAX).phase_ms, UINT32_MAX);
}

static void seeds_differ(void **state)
{
	(void)state;
	struct guest_image img = image(MVM_PARAM_FLAG_SEED, 0, 0);
	struct vary v = vary_of(&img, 0, 1);

	for (uint32_t i = 0; i < 1000; i++) {
		assert_int_not_equal(vary_values_of(&v, i).seed, 0);
		for (uint32_t k = 0; k < i; k++)
			assert_int_not_equal(vary_values_of(&v, i).seed, vary_values_of(&v, k).seed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_to_vary),	  cmocka_unit_test(same_run_same_values),
		cmocka_unit_test(phases_fill_the_spread), cmocka_unit_test(huge_phase_does_not_wrap),
		cmocka_unit_test(seeds_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
