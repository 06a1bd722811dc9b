/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "model/changepoint.h"

#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>
#include <gsl/gsl_sort.h>
#include <math.h>

#include "base/util.h"
#include "model/stats.h"

struct search {
	const double *v;
	double alpha;
	gsl_rng *rng;
	struct change_point *found;
	size_t count;
};

static void midranks(const double *v, size_t n, double *ret)
{
	_cleanup_free_ size_t *order = xcalloc(n, sizeof(*order));

	gsl_sort_index(order, v, 1, n);
	for (size_t i = 0, t; i < n; i += t) {
		for (t = 1; i + t < n && v[order[i + t]] == v[order[i]];)
			t++;
		for (size_t k = 0; k < t; k++)
			ret[order[i + k]] = (double)i + (double)(t + 1) / 2;
	}
}

/* The largest |standardized rank sum| of the first k values, over the places k where both parts are long
 * enough. */
static double best_split(const double *ranks, size_t n, size_t *ret_at)
{
	double sum = 0, best = -1, N = (double)n;

	for (size_t k = 1; k + CHANGEPOINT_SEGMENT <= n; k++) {
		double a = (double)k, b = N - a;

		sum += ranks[k - 1];
		if (k < CHANGEPOINT_SEGMENT)
			continue;
		double z = fabs(sum - a * (N + 1) / 2) / sqrt(a * b * (N + 1) / 12);
		if (z > best) {
			best = z;
			*ret_at = k;
		}
	}
	return best;
}

/* Gives up as soon as too many permutations are as extreme: most segments hold nothing. */
static double permutation_p(struct search *s, double *ranks, size_t n, double seen)
{
	size_t draws = (size_t)ceil(5 / s->alpha), most = (size_t)(s->alpha * (double)(draws + 1)), hits = 0,
	       at;

	for (size_t i = 1; i <= draws; i++) {
		gsl_ran_shuffle(s->rng, ranks, n, sizeof(*ranks));
		hits += best_split(ranks, n, &at) >= seen - 1e-12;
		if (hits >= most)
			return (double)(hits + 1) / (double)(i + 1);
	}
	return (double)(hits + 1) / (double)(draws + 1);
}

/* Each call removes at least CHANGEPOINT_SEGMENT values. NOLINTNEXTLINE(misc-no-recursion) */
static void segment(struct search *s, size_t from, size_t to)
{
	size_t n = to - from, at = 0;

	if (n < 2 * CHANGEPOINT_SEGMENT)
		return;
	_cleanup_free_ double *ranks = xcalloc(n, sizeof(*ranks));
	midranks(s->v + from, n, ranks);
	double seen = best_split(ranks, n, &at), p = permutation_p(s, ranks, n, seen);
	if (p > s->alpha)
		return;
	segment(s, from, from + at);
	s->found = xrealloc(s->found, s->count + 1, sizeof(*s->found));
	s->found[s->count++] = (struct change_point){ .at = from + at, .p = p };
	segment(s, from + at, to);
}

size_t change_points(const double *v, size_t n, double alpha, unsigned long seed, struct change_point **ret)
{
	struct search s = { .v = v, .alpha = alpha, .rng = gsl_rng_alloc(gsl_rng_mt19937) };

	gsl_rng_set(s.rng, seed);
	segment(&s, 0, n);
	gsl_rng_free(s.rng);
	for (size_t i = 0; i < s.count; i++) {
		size_t from = i ? s.found[i - 1].at : 0, to = i + 1 < s.count ? s.found[i + 1].at : n;

		s.found[i].before = median_of(v + from, s.found[i].at - from);
		s.found[i].after = median_of(v + s.found[i].at, to - s.found[i].at);
	}
	*ret = s.found;
	return s.count;
}
