/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_MODEL_STATS_H
#define MVM_MODEL_STATS_H

#include <stdbool.h>
#include <stddef.h>

/* Pure statistics of two small samples. Nothing here assumes a distribution. */

/* Up to this many values in all, rank tests and their intervals are exact. */
#define RANK_EXACT_MAX 64

/* Median of n values, which stay as they are; NAN of none. */
double median_of(const double *v, size_t n);
/* The same of at least one value; sorts them. */
double median_sorting(double *v, size_t n);
/* Linear-interpolated quantile (type 7) of n values, which it sorts; NAN of none. q in [0, 1]. */
double quantile(double *values, size_t n, double q);

/*
 * Two-sided p of the rank-sum test that x and y come from one distribution (H. B. Mann, D. R. Whitney,
 * Ann. Math. Stat. 18 (1947) 50). Ties get midranks, and the exact distribution is that of these midranks
 * under all ways to split them. Above RANK_EXACT_MAX values: normal approximation with tie correction. NAN
 * when a sample is empty.
 */
double rank_test_p(const double *x, size_t n, const double *y, size_t m);

/*
 * The smallest p that the test can give with n and m values: 2 / binomial(n + m, n). A sample that
 * cannot reach the level decides nothing, however large the difference.
 */
double rank_test_least_p(size_t n, size_t m);

/* The fewest values a side with which rank_test_least_p() is at most alpha. */
size_t rank_test_least_n(double alpha);

/*
 * Effect size: probability that a value of y is above one of x, minus that it is below
 * (N. Cliff, Psychol. Bull. 114 (1993) 494); -1 to 1, 0 is none.
 */
double cliffs_delta(const double *x, size_t n, const double *y, size_t m);

struct shift {
	double estimate; /* median of all differences y - x */
	double lo, hi;	 /* -INFINITY and INFINITY when so few values carry no interval */
};
/*
 * How far y is shifted from x, with the interval that inverts the rank-sum test (J. L. Hodges,
 * E. L. Lehmann, Ann. Math. Stat. 34 (1963) 598; L. E. Moses in Walker and Lev 1953). It covers at
 * least `confidence`, whatever the distribution.
 */
struct shift shift_of(const double *x, size_t n, const double *y, size_t m, double confidence);

/*
 * Percentile bootstrap interval of the median (B. Efron, Ann. Stat. 7 (1979) 1); the same seed gives the same
 * interval. ret[0] <= ret[1]; NAN with fewer than 3 values.
 */
void bootstrap_median(const double *v, size_t n, double confidence, unsigned long seed, double ret[2]);

/* p adjusted for k tests (S. Holm, Scand. J. Stat. 6 (1979) 65); a NAN is no test. */
void holm(const double *p, size_t k, double *ret);

#endif
