/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_MODEL_USL_H
#define MVM_MODEL_USL_H

#include <stdbool.h>
#include <stddef.h>

#include "record/read.h"

/* What a column is to the law: work done by all N, a rate at fixed concurrency beside N others, or a time. */
enum usl_kind { USL_THROUGHPUT, USL_RATE, USL_LATENCY };

/* Universal Scalability Law: contention sigma, crosstalk kappa, both >= 0. */
struct usl_fit {
	enum usl_kind kind;
	size_t n;
	double lambda;	     /* of one VM */
	double sigma, kappa; /* per VM, per pair of VMs */
	double scatter;	     /* standard deviation of the logarithm around the law */
	double probability;  /* that it beats it, by Schwarz's criterion: weight of the law against the
				constant */
	bool slows;	     /* the law beats a constant (for throughput: a straight line) */
};

/*
 * N. J. Gunther, "Guerrilla Capacity Planning" (2007), chapter 4: with
 *	d(N) = 1 + sigma (N - 1) + kappa N (N - 1)
 * throughput is lambda N / d(N), the rate of one lambda / d(N), a latency lambda d(N). Least
 * squares of logarithms with a Cauchy loss (GSL, Levenberg-Marquardt). Values and counts above 0
 * only; false with fewer than 6 of them, or where it does not converge.
 */
bool usl_fit(const double *n, const double *y, size_t count, enum usl_kind kind, struct usl_fit *ret);
bool usl_fit_column(const struct run_record *r, const char *column, enum usl_kind kind, struct usl_fit *ret);
double usl_at(const struct usl_fit *f, double n);
/* N where the rate is half, or the latency twice, that of one VM; INFINITY when never. */
double usl_twofold(const struct usl_fit *f);

#endif
