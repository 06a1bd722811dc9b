/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/usl.h"
#include "ramps.h"

#define ROWS 25
#define assert_near(a, b, within) assert_true(fabs((a) - (b)) <= (within))

static void law_is_found(void **state)
{
	static const double scales[] = { 1, 100, 10000 };

	(void)state;
	for (enum usl_kind kind = USL_THROUGHPUT; kind <= USL_LATENCY; kind++)
		for (size_t k = 0; k < ARRAY_LEN(scales); k++) {
			const struct usl_fit truth = { .kind = kind,
						       .lambda = 40,
						       .sigma = 0.02 / scales[k],
						       .kappa = 0.0005 / scales[k] / scales[k] };
			double n[ROWS], y[ROWS];
			struct usl_fit f;
			uint32_t seed = 3;

			for (size_t i = 0; i < ROWS; i++) {
				n[i] = 1 + scales[k] * 4 * (double)i;
				y[i] = usl_at(&truth, n[i]) * (1 + 0.01 * ramp_noise(&seed));
			}
			y[7] *= 3; /* single bad intervals must not count */
			n[12] = (double)NAN;
			y[13] = 0;
			assert_true(usl_fit(n, y, ROWS, kind, &f));
			assert_int_equal(f.n, ROWS - 2);
			assert_true(f.slows);
			assert_near(f.lambda / truth.lambda, 1, 0.1);
			assert_near(usl_at(&f, 80 * scales[k]) / usl_at(&truth, 80 * scales[k]), 1, 0.03);
			assert_near(usl_twofold(&f) / usl_twofold(&truth), 1, 0.15);
		}
}

static void nothing_slows(void **state)
{
	double n[ROWS], y[ROWS];
	struct usl_fit f;
	unsigned slow = 0;

	(void)state;
	for (uint32_t seed = 1; seed <= 60; seed++) {
		uint32_t s = seed;

		for (size_t i = 0; i < ROWS; i++) {
			n[i] = 100.0 * (double)(i + 1);
			y[i] = 12 * (1 + 0.05 * ramp_noise(&s));
		}
		assert_true(usl_fit(n, y, ROWS, USL_LATENCY, &f));
		slow += f.slows;
	}
	assert_true(slow <= 4);
}

static void too_little_is_refused(void **state)
{
	const double n[] = { 1, 2, 3, 4, 5, 6 }, y[] = { 1, 2, 3, 4, 5, (double)NAN };
	struct usl_fit f;

	(void)state;
	assert_false(usl_fit(n, y, 6, USL_RATE, &f));
	assert_false(usl_fit(n, y, 0, USL_RATE, &f));
}

static void peaks(void **state)
{
	const struct usl_fit f = { .kind = USL_THROUGHPUT, .lambda = 1, .sigma = 0.1, .kappa = 0.001 };
	const struct usl_fit line = { .kind = USL_THROUGHPUT, .lambda = 1 };

	(void)state;
	assert_true(usl_at(&f, 30) > usl_at(&f, 20) && usl_at(&f, 30) > usl_at(&f, 40));
	assert_true(isinf(usl_twofold(&line)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(law_is_found),
		cmocka_unit_test(nothing_slows),
		cmocka_unit_test(too_little_is_refused),
		cmocka_unit_test(peaks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
