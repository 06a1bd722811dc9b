/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_MODEL_FIT_H
#define MVM_MODEL_FIT_H

#include <stdbool.h>
#include <stddef.h>

/* y = a + b x, with what is needed to say how sure it is. Pure arithmetic. */
struct line_fit {
	size_t n;		 /* points it rests on */
	double a, b;		 /* intercept and slope */
	double v_aa, v_ab, v_bb; /* covariance of a and b */
	double s;		 /* residual standard deviation (robust) */
	double t95;		 /* two-sided 95 % quantile of Student's t with n - 2 degrees of freedom */
	bool theil_sen;		 /* the fallback for few points was used */
};

/*
 * Robust straight line: iteratively reweighted least squares with Tukey's bisquare
 * (gsl_multifit_robust); with fewer than 5 points, or where that does not converge,
 * Theil and Sen's median of slopes. Points that are not finite are left out.
 * False with fewer than 3 points or where all x are equal.
 */
bool fit_line(const double *x, const double *y, size_t n, struct line_fit *ret);
/* The 95 % confidence interval of the slope: b - half_width .. b + half_width. */
double fit_slope_half_width(const struct line_fit *f);
/* Half of the 95 % prediction interval of one new observation at x. */
double fit_predict_half_width(const struct line_fit *f, double x);
/* Whether the slope is above 0 at 95 % confidence. */
bool fit_rises(const struct line_fit *f);
/*
 * Inverse prediction: the x at which a new observation is y, with a 95 % interval
 * by Fieller's theorem. False when the line does not rise, or rises so little that the
 * interval has no end.
 */
bool fit_inverse(const struct line_fit *f, double y, double *x, double *lower, double *upper);

#endif
