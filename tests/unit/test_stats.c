/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Statistics of comparisons against tables, published examples and their own definitions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>
#include <math.h>

#include "base/util.h"
#include "model/changepoint.h"
#include "model/sequential.h"
#include "model/stats.h"

#define assert_near(a, b, within) assert_true(fabs((a) - (b)) <= (within))

/*
 * M. Hollander, D. A. Wolfe, "Nonparametric Statistical Methods" (1973), p. 69: permeability of the human
 * placenta at term (x) and at 12 to 26 weeks (y). One-sided p 0.1272; difference 0.305 with 95 % interval
 * -0.15 to 0.76.
 */
static const double at_term[] = { 0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46 };
static const double early[] = { 1.15, 0.88, 0.90, 0.74, 1.21 };

static void published_example(void **state)
{
	struct shift s = shift_of(early, 5, at_term, 10, 0.95);

	(void)state;
	assert_near(rank_test_p(at_term, 10, early, 5), 2 * 0.1272, 1e-4);
	assert_near(s.estimate, 0.305, 1e-9);
	assert_near(s.lo, -0.15, 1e-9);
	assert_near(s.hi, 0.76, 1e-9);
	assert_near(cliffs_delta(early, 5, at_term, 10), 2 * 35.0 / 50 - 1, 1e-12); /* W = 35 */
}

/* Two-sided p of samples that do not overlap: 2 / binomial(2n, n), as in every table of the test. */
static void separated_samples(void **state)
{
	static const double expected[] = { 0, 0, 0, 0.1, 0.028571, 0.0079365, 0.0021645, 0.00058275 };
	const double low[] = { 1, 2, 3, 4, 5, 6, 7 }, high[] = { 11, 12, 13, 14, 15, 16, 17 };

	(void)state;
	for (size_t n = 3; n <= 7; n++) {
		assert_near(rank_test_p(low, n, high, n), expected[n], 1e-6);
		assert_near(rank_test_p(high, n, low, n), expected[n], 1e-6);
		assert_near(rank_test_least_p(n, n), expected[n], 1e-6);
	}
	assert_int_equal(rank_test_least_n(0.05), 4);
	assert_int_equal(rank_test_least_n(0.01), 5);
	assert_int_equal(rank_test_least_n(0.001), 7);
}

/* All ways to split the pooled values, counted one by one: ties included. */
static double by_enumeration(const double *pooled, size_t n, size_t all)
{
	double rank[16] = { 0 }, seen = 0, middle = (double)n * (double)(all + 1) / 2;
	unsigned long extreme = 0, total = 0;

	for (size_t i = 0; i < all; i++) {
		rank[i] = 0.5;
		for (size_t k = 0; k < all; k++)
			rank[i] += (pooled[k] < pooled[i]) + 0.5 * (pooled[k] == pooled[i]);
	}
	for (size_t i = 0; i < n; i++)
		seen += rank[i];
	for (unsigned mask = 0; mask < 1U << all; mask++) {
		double sum = 0;

		if ((size_t)__builtin_popcount(mask) != n)
			continue;
		for (size_t i = 0; i < all; i++)
			sum += mask & 1U << i ? rank[i] : 0;
		total++;
		extreme += fabs(sum - middle) >= fabs(seen - middle) - 1e-9;
	}
	return (double)extreme / (double)total;
}

static void exact_with_ties(void **state)
{
	gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);

	(void)state;
	for (int i = 0; i < 60; i++) {
		double pooled[11];
		size_t n = 2 + gsl_rng_uniform_int(rng, 5), m = 2 + gsl_rng_uniform_int(rng, 4);

		for (size_t k = 0; k < n + m; k++)
			pooled[k] = (double)gsl_rng_uniform_int(rng, 6);
		assert_near(rank_test_p(pooled, n, pooled + n, m), by_enumeration(pooled, n, n + m), 1e-9);
	}
	const double same[] = { 4, 4, 4, 4 };
	assert_near(rank_test_p(same, 4, same, 4), 1, 1e-12);
	assert_true(isnan(rank_test_p(same, 0, same, 4)));
	gsl_rng_free(rng);
}

/* The approximation of large samples meets the exact test where they take over from each other. */
static void large_samples(void **state)
{
	double x[40], y[40];
	gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);

	(void)state;
	for (int i = 0; i < 40; i++) {
		x[i] = gsl_ran_ugaussian(rng);
		y[i] = gsl_ran_ugaussian(rng) + 0.6;
	}
	double exact = rank_test_p(x, 32, y, 32), about = rank_test_p(x, 33, y, 32);
	assert_true(exact > 1e-4 && exact < 0.9);
	assert_near(log(about / exact), 0, 0.5);
	struct shift s = shift_of(x, 40, y, 40, 0.95);
	assert_true(s.lo < s.estimate && s.estimate < s.hi);
	assert_near(s.hi - s.lo, 2 * 1.96 * sqrt(2.0 / 40 * M_PI / 3),
		    0.35); /* efficiency 3 / pi for normal noise */
	gsl_rng_free(rng);
}

/* S. Holm's own procedure on four p-values. */
static void holm_adjusts(void **state)
{
	const double p[] = { 0.01, 0.04, NAN, 0.03, 0.005 }, expected[] = { 0.03, 0.06, NAN, 0.06, 0.02 };
	double got[5];

	(void)state;
	holm(p, 5, got);
	for (int i = 0; i < 5; i++)
		if (isnan(expected[i]))
			assert_true(isnan(got[i]));
		else
			assert_near(got[i], expected[i], 1e-12);
	holm((const double[]){ 0.9, 0.8 }, 2, got);
	assert_near(got[0], 1, 1e-12);
	assert_near(got[1], 1, 1e-12);
}

/* Under equality the exact test is never more often significant than it says. */
static void false_alarms_of_the_test(void **state)
{
	gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);
	int at_5 = 0, at_1 = 0;

	(void)state;
	for (int i = 0; i < 4000; i++) {
		double x[7], y[7];

		for (int k = 0; k < 7; k++) {
			x[k] = gsl_ran_lognormal(rng, 0, 1);
			y[k] = gsl_ran_lognormal(rng, 0, 1);
		}
		double p = rank_test_p(x, 7, y, 7);
		at_5 += p <= 0.05;
		at_1 += p <= 0.01;
	}
	assert_true(at_5 <= 4000 * 0.06 && at_5 >= 4000 * 0.02);
	assert_true(at_1 <= 4000 * 0.015);
	gsl_rng_free(rng);
}

static void intervals_cover(void **state)
{
	gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);
	int shift_covers = 0, median_covers = 0, rounds = 300;

	(void)state;
	for (int i = 0; i < rounds; i++) {
		double x[15], y[15], range[2];

		for (int k = 0; k < 15; k++) {
			x[k] = gsl_ran_exponential(rng, 1);
			y[k] = gsl_ran_exponential(rng, 1) + 0.7;
		}
		struct shift s = shift_of(x, 7, y, 7, 0.95);
		shift_covers += s.lo <= 0.7 && s.hi >= 0.7;
		bootstrap_median(x, 15, 0.95, (unsigned long)i, range);
		median_covers += range[0] <= M_LN2 && range[1] >= M_LN2;
	}
	assert_true(shift_covers >= rounds * 0.92);
	/* nominal 95 %; a percentile interval of 15 values is a little short (Efron and Tibshirani 1993, ch.
	 * 13) */
	assert_true(median_covers >= rounds * 0.89 && median_covers <= rounds * 0.995);
	gsl_rng_free(rng);
}

static void intervals_of_few(void **state)
{
	const double x[] = { 1, 2, 3 }, y[] = { 11, 12, 13 };
	double range[2];

	(void)state;
	/* 3 and 3 values carry 90 %: 1 / binomial(6, 3) is 5 % on each side; they do not carry 95 % */
	struct shift s = shift_of(x, 3, y, 3, 0.90);
	assert_near(s.lo, 8, 1e-12);
	assert_near(s.hi, 12, 1e-12);
	s = shift_of(x, 3, y, 3, 0.95);
	assert_near(s.estimate, 10, 1e-12);
	assert_true(isinf(s.lo) && isinf(s.hi));
	bootstrap_median(x, 2, 0.95, 1, range);
	assert_true(isnan(range[0]));
	bootstrap_median(x, 3, 0.95, 1, range);
	assert_true(range[0] >= 1 && range[1] <= 3 && range[0] < range[1]);
	double again[2];
	bootstrap_median(x, 3, 0.95, 1, again);
	assert_near(range[0], again[0], 0);
	assert_true(isnan(median_of(x, 0)));
}

static void looks_spend_alpha(void **state)
{
	struct look_plan p = look_plan_start();
	double spent = 0;
	size_t before;

	(void)state;
	look_plan_first(&p, 0.01, 10);
	assert_int_equal(p.next, 7);
	assert_true(rank_test_least_p(p.next, p.next) * 10 <= 0.01 * 2 / 3);
	for (int i = 0; i < 6; i++) {
		before = p.next;
		spent += look_plan_spend(&p, false);
		assert_true(p.next > before);
	}
	assert_true(spent < 1);
	spent += look_plan_spend(&p, true);
	assert_near(spent, 1, 1e-12);
	assert_near(p.left, 0, 1e-12);
}

static void order_is_abba(void **state)
{
	char order[9] = { 0 };

	(void)state;
	for (size_t i = 0; i < 8; i++)
		order[i] = abba_side(i) ? 'B' : 'A';
	assert_string_equal(order, "ABBAABBA");
}

static void finds_changes(void **state)
{
	gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);
	struct change_point *found = NULL;
	double v[60];

	(void)state;
	for (int i = 0; i < 60; i++)
		v[i] = 100 + (i >= 20 ? 5 : 0) - (i >= 45 ? 8 : 0) + gsl_ran_ugaussian(rng);
	v[7] = 500; /* an outlier is no change */
	size_t n = change_points(v, 60, CHANGEPOINT_ALPHA, 1, &found);
	assert_int_equal(n, 2);
	assert_int_equal(found[0].at, 20);
	assert_int_equal(found[1].at, 45);
	assert_near(found[0].before, 100, 1);
	assert_near(found[0].after, 105, 1);
	assert_near(found[1].after, 97, 1);
	free(found);
	found = NULL;
	assert_int_equal(change_points(v, 9, CHANGEPOINT_ALPHA, 1, &found), 0);
	free(found);
	gsl_rng_free(rng);
}

/* What only varies has no change points: normal, heavy-tailed and coarse values, short and long. */
static void noise_has_no_changes(void **state)
{
	gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);
	size_t false_ones = 0;

	(void)state;
	for (size_t i = 0; i < 60; i++) {
		double v[120];
		size_t n = 10 + gsl_rng_uniform_int(rng, 110);
		struct change_point *found = NULL;

		for (size_t k = 0; k < n; k++)
			v[k] = i % 3 == 0   ? gsl_ran_ugaussian(rng)
			       : i % 3 == 1 ? gsl_ran_tdist(rng, 2)
					    : (double)gsl_rng_uniform_int(rng, 4);
		false_ones += change_points(v, n, CHANGEPOINT_ALPHA, i, &found);
		free(found);
	}
	assert_int_equal(false_ones, 0);
	gsl_rng_free(rng);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_example), cmocka_unit_test(separated_samples),
		cmocka_unit_test(exact_with_ties),   cmocka_unit_test(large_samples),
		cmocka_unit_test(holm_adjusts),	     cmocka_unit_test(false_alarms_of_the_test),
		cmocka_unit_test(intervals_cover),   cmocka_unit_test(intervals_of_few),
		cmocka_unit_test(looks_spend_alpha), cmocka_unit_test(order_is_abba),
		cmocka_unit_test(finds_changes),     cmocka_unit_test(noise_has_no_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
