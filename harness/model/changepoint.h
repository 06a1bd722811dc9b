/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_MODEL_CHANGEPOINT_H
#define MVM_MODEL_CHANGEPOINT_H

#include <stddef.h>

/* The fewest values between two change points. */
#define CHANGEPOINT_SEGMENT 5
/* Chance to find any in values that only vary. */
#define CHANGEPOINT_ALPHA 0.001

struct change_point {
	size_t at;	      /* the first value after it */
	double before, after; /* medians of the segments on both sides */
	double p;
};

/*
 * Where the level of n values in order of time changes: binary segmentation (A. J. Scott, M. Knott,
 * Biometrics 30 (1974) 507). The statistic is the largest standardized rank sum over all places to split
 * (A. N. Pettitt, Appl. Stat. 28 (1979) 126), so outliers weigh little; its p is that of random
 * permutations of the segment, drawn from `seed`. The caller frees *ret; the count is returned.
 */
size_t change_points(const double *v, size_t n, double alpha, unsigned long seed, struct change_point **ret);

#endif
