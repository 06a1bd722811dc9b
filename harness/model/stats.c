/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "model/stats.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_rng.h>
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <string.h>

#include "base/util.h"

#define BOOTSTRAP_REPLICATES 1000
/* Sums of probabilities that ought to be equal differ in the last digits. */
#define SLACK 1e-9

double median_sorting(double *v, size_t n)
{
	gsl_sort(v, 1, n);
	return gsl_stats_median_from_sorted_data(v, 1, n);
}

double median_of(const double *v, size_t n)
{
	_cleanup_free_ double *copy = xcalloc(n, sizeof(*copy));

	if (!n)
		return NAN;
	memcpy(copy, v, n * sizeof(*copy));
	return median_sorting(copy, n);
}

double quantile(double *values, size_t n, double q)
{
	if (n == 0)
		return NAN;
	gsl_sort(values, 1, n);
	return gsl_stats_quantile_from_sorted_data(values, 1, n, q);
}

/* Twice the midranks of the pooled values, so that they are whole; returns sum of t^3 - t over the ties. */
static double double_midranks(const double *pooled, size_t n, unsigned *ret)
{
	_cleanup_free_ size_t *order = xcalloc(n, sizeof(*order));
	double ties = 0;

	gsl_sort_index(order, pooled, 1, n);
	for (size_t i = 0, t; i < n; i += t) {
		for (t = 1; i + t < n && pooled[order[i + t]] == pooled[order[i]];)
			t++;
		for (size_t k = 0; k < t; k++)
			ret[order[i + k]] = (unsigned)(2 * i + t + 1);
		ties += (double)t * (double)t * (double)t - (double)t;
	}
	return ties;
}

/*
 * The number of ways to pick k of the ranks with each sum: ways[s], s up to `top`. Counts stay exact in a
 * double up to 2^53 and precise to its last digits beyond.
 */
static double *rank_sum_ways(const unsigned *ranks, size_t n, size_t k, size_t top)
{
	double *ways = xcalloc((k + 1) * (top + 1), sizeof(*ways));

	ways[0] = 1;
	for (size_t i = 0; i < n; i++)
		for (size_t j = MIN(k, i + 1); j-- > 0;)
			for (size_t s = 0; s + ranks[i] <= top; s++)
				ways[(j + 1) * (top + 1) + s + ranks[i]] += ways[j * (top + 1) + s];
	memmove(ways, ways + k * (top + 1), (top + 1) * sizeof(*ways));
	return ways;
}

static double exact_p(const unsigned *ranks, size_t n, size_t all)
{
	size_t top = 0, seen = 0;
	double total = 0, tail = 0;

	for (size_t i = 0; i < all; i++)
		top += ranks[i];
	for (size_t i = 0; i < n; i++)
		seen += ranks[i];
	_cleanup_free_ double *ways = rank_sum_ways(ranks, all, n, top);
	double middle = (double)n * (double)(all + 1); /* of doubled ranks */
	double distance = fabs((double)seen - middle);
	for (size_t s = 0; s <= top; s++) {
		total += ways[s];
		if (fabs((double)s - middle) >= distance - SLACK)
			tail += ways[s];
	}
	return fmin(tail / total, 1);
}

double rank_test_p(const double *x, size_t n, const double *y, size_t m)
{
	size_t all = n + m;
	double sum = 0;

	if (!n || !m)
		return NAN;
	_cleanup_free_ double *pooled = xcalloc(all, sizeof(*pooled));
	_cleanup_free_ unsigned *ranks = xcalloc(all, sizeof(*ranks));
	memcpy(pooled, x, n * sizeof(*x));
	memcpy(pooled + n, y, m * sizeof(*y));
	double ties = double_midranks(pooled, all, ranks);
	if (all <= RANK_EXACT_MAX)
		return exact_p(ranks, n, all);
	for (size_t i = 0; i < n; i++)
		sum += ranks[i] / 2.0;
	double N = (double)all, mean = (double)n * (N + 1) / 2;
	double var = (double)n * (double)m / 12 * (N + 1 - ties / (N * (N - 1)));
	if (!(var > 0))
		return 1;
	double z = fmax(fabs(sum - mean) - 0.5, 0) / sqrt(var);
	return fmin(2 * gsl_cdf_ugaussian_Q(z), 1);
}

double rank_test_least_p(size_t n, size_t m)
{
	double log_ways = lgamma((double)(n + m) + 1) - lgamma((double)n + 1) - lgamma((double)m + 1);

	return n && m ? fmin(2 * exp(-log_ways), 1) : (double)NAN;
}

size_t rank_test_least_n(double alpha)
{
	size_t n = 2;

	while (rank_test_least_p(n, n) > alpha * (1 + SLACK) && n < 1000)
		n++;
	return n;
}

double cliffs_delta(const double *x, size_t n, const double *y, size_t m)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < m; j++)
			sum += (y[j] > x[i]) - (y[j] < x[i]);
	return n && m ? sum / ((double)n * (double)m) : (double)NAN;
}

/* How many of the smallest differences lie outside the interval, plus 1; 0 when it has no ends. */
static size_t interval_rank(size_t n, size_t m, double tail)
{
	size_t all = n + m, k = 0;

	if (all > RANK_EXACT_MAX) {
		double nm = (double)n * (double)m, sd = sqrt(nm * (double)(all + 1) / 12);
		double at = floor(nm / 2 - gsl_cdf_ugaussian_Qinv(tail) * sd);

		return at < 1 ? 0 : (size_t)at;
	}
	_cleanup_free_ unsigned *ranks = xcalloc(all, sizeof(*ranks));
	for (size_t i = 0; i < all; i++)
		ranks[i] = (unsigned)i + 1;
	size_t least = n * (n + 1) / 2, top = least + n * m;
	_cleanup_free_ double *ways = rank_sum_ways(ranks, all, n, top);
	double total = 0, cumulated = 0;
	for (size_t s = least; s <= top; s++)
		total += ways[s];
	while (least + k <= top && (cumulated += ways[least + k]) / total <= tail * (1 + SLACK))
		k++;
	return k;
}

struct shift shift_of(const double *x, size_t n, const double *y, size_t m, double confidence)
{
	struct shift s = { NAN, -INFINITY, INFINITY };

	if (!n || !m)
		return s;
	_cleanup_free_ double *d = xcalloc(n * m, sizeof(*d));
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < m; j++)
			d[i * m + j] = y[j] - x[i];
	gsl_sort(d, 1, n * m);
	s.estimate = gsl_stats_median_from_sorted_data(d, 1, n * m);
	size_t k = interval_rank(n, m, (1 - confidence) / 2);
	if (k > 0 && k <= n * m / 2 + 1) {
		s.lo = d[k - 1];
		s.hi = d[n * m - k];
	}
	return s;
}

void bootstrap_median(const double *v, size_t n, double confidence, unsigned long seed, double ret[2])
{
	ret[0] = ret[1] = NAN;
	if (n < 3)
		return;
	gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);
	_cleanup_free_ double *medians = xcalloc(BOOTSTRAP_REPLICATES, sizeof(*medians));
	_cleanup_free_ double *draw = xcalloc(n, sizeof(*draw));
	gsl_rng_set(rng, seed);
	for (size_t b = 0; b < BOOTSTRAP_REPLICATES; b++) {
		for (size_t i = 0; i < n; i++)
			draw[i] = v[gsl_rng_uniform_int(rng, n)];
		gsl_sort(draw, 1, n);
		medians[b] = gsl_stats_median_from_sorted_data(draw, 1, n);
	}
	gsl_rng_free(rng);
	gsl_sort(medians, 1, BOOTSTRAP_REPLICATES);
	ret[0] = gsl_stats_quantile_from_sorted_data(medians, 1, BOOTSTRAP_REPLICATES, (1 - confidence) / 2);
	ret[1] = gsl_stats_quantile_from_sorted_data(medians, 1, BOOTSTRAP_REPLICATES, (1 + confidence) / 2);
}

void holm(const double *p, size_t k, double *ret)
{
	_cleanup_free_ size_t *order = xcalloc(k ? k : 1, sizeof(*order));
	size_t tests = 0;
	double floor_p = 0;

	for (size_t i = 0; i < k; i++) {
		ret[i] = NAN;
		if (isnan(p[i]))
			continue;
		size_t at = tests++;
		for (; at > 0 && p[order[at - 1]] > p[i]; at--)
			order[at] = order[at - 1];
		order[at] = i;
	}
	for (size_t i = 0; i < tests; i++) {
		floor_p = fmax(floor_p, fmin(p[order[i]] * (double)(tests - i), 1));
		ret[order[i]] = floor_p;
	}
}
