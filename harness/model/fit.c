/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "model/fit.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_multifit.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>

#include "base/util.h"
#include "model/stats.h"

#define FEW_POINTS 5
/* The pairs of more points than this tell nothing new; every k-th is taken. */
#define MOST_POINTS 500
/* Turns a median absolute deviation into a standard deviation, for normal noise. */
#define MAD_TO_SD 1.4826

/*
 * P. K. Sen, "Estimates of the Regression Coefficient Based on Kendall's Tau", J. Am.
 * Stat. Assoc. 63 (1968): slope = median of all pairwise slopes. The covariance is that
 * of least squares with the residual deviation taken from the MAD.
 */
static bool theil_sen(const double *x, const double *y, size_t n, struct line_fit *f)
{
	size_t stride = n / MOST_POINTS + 1, kept = n / stride + 1, pairs = 0;
	_cleanup_free_ double *v = xcalloc(MAX(kept * kept, n), sizeof(*v));
	double mean = 0, sxx = 0;

	for (size_t i = 0; i < n; i += stride)
		for (size_t j = i + stride; j < n; j += stride)
			if (x[i] != x[j])
				v[pairs++] = (y[j] - y[i]) / (x[j] - x[i]);
	if (!pairs)
		return false;
	f->b = median_sorting(v, pairs);
	for (size_t i = 0; i < n; i++)
		v[i] = y[i] - f->b * x[i];
	f->a = median_sorting(v, n);
	for (size_t i = 0; i < n; i++)
		v[i] = fabs(y[i] - f->a - f->b * x[i]);
	f->s = MAD_TO_SD * median_sorting(v, n) * sqrt((double)n / (double)(n - 2));
	for (size_t i = 0; i < n; i++)
		mean += x[i] / (double)n;
	for (size_t i = 0; i < n; i++)
		sxx += (x[i] - mean) * (x[i] - mean);
	f->v_bb = f->s * f->s / sxx;
	f->v_aa = f->s * f->s / (double)n + mean * mean * f->v_bb;
	f->v_ab = -mean * f->v_bb;
	f->theil_sen = true;
	return true;
}

static bool bisquare(const double *x, const double *y, size_t n, struct line_fit *f)
{
	gsl_error_handler_t *old = gsl_set_error_handler_off(); /* its default ends the program */
	gsl_multifit_robust_workspace *w = gsl_multifit_robust_alloc(gsl_multifit_robust_bisquare, n, 2);
	gsl_matrix *design = gsl_matrix_alloc(n, 2), *cov = gsl_matrix_alloc(2, 2);
	gsl_vector *c = gsl_vector_alloc(2), *values = gsl_vector_alloc(n);
	bool ok = w && design && cov && c && values;

	for (size_t i = 0; i < n && ok; i++) {
		gsl_matrix_set(design, i, 0, 1);
		gsl_matrix_set(design, i, 1, x[i]);
		gsl_vector_set(values, i, y[i]);
	}
	ok = ok && gsl_multifit_robust(design, values, c, cov, w) == GSL_SUCCESS;
	if (ok) {
		f->a = gsl_vector_get(c, 0);
		f->b = gsl_vector_get(c, 1);
		f->v_aa = gsl_matrix_get(cov, 0, 0);
		f->v_ab = gsl_matrix_get(cov, 0, 1);
		f->v_bb = gsl_matrix_get(cov, 1, 1);
		f->s = gsl_multifit_robust_statistics(w).sigma;
		ok = isfinite(f->a) && isfinite(f->b) && isfinite(f->v_bb) && isfinite(f->s);
	}
	gsl_vector_free(values);
	gsl_vector_free(c);
	gsl_matrix_free(cov);
	gsl_matrix_free(design);
	if (w)
		gsl_multifit_robust_free(w);
	gsl_set_error_handler(old);
	return ok;
}

/* Works in x / largest x, so that a design of thousands of VMs is well conditioned. */
bool fit_line(const double *x, const double *y, size_t n, struct line_fit *ret)
{
	_cleanup_free_ double *u = xcalloc(n, sizeof(*u)), *v = xcalloc(n, sizeof(*v));
	struct line_fit f = { 0 };
	double scale = 0;
	bool spread = false;

	for (size_t i = 0; i < n; i++) {
		if (!isfinite(x[i]) || !isfinite(y[i]))
			continue;
		u[f.n] = x[i];
		v[f.n++] = y[i];
		scale = fmax(scale, fabs(x[i]));
	}
	for (size_t i = 1; i < f.n; i++)
		spread |= u[i] != u[0];
	if (f.n < 3 || !spread)
		return false;
	for (size_t i = 0; i < f.n; i++)
		u[i] /= scale;
	if ((f.n < FEW_POINTS || !bisquare(u, v, f.n, &f)) && !theil_sen(u, v, f.n, &f))
		return false;
	f.b /= scale;
	f.v_ab /= scale;
	f.v_bb /= scale * scale;
	f.t95 = gsl_cdf_tdist_Pinv(0.975, (double)(f.n - 2));
	*ret = f;
	return true;
}

double fit_slope_half_width(const struct line_fit *f)
{
	return f->t95 * sqrt(fmax(f->v_bb, 0));
}

double fit_predict_half_width(const struct line_fit *f, double x)
{
	return f->t95 * sqrt(fmax(f->s * f->s + f->v_aa + 2 * x * f->v_ab + x * x * f->v_bb, 0));
}

bool fit_rises(const struct line_fit *f)
{
	/* A slope below rounding error is none, however exact the fit says it is. */
	return f->b - fit_slope_half_width(f) > 0 && f->b > 1e-12;
}

/*
 * E. C. Fieller, "Some Problems in Interval Estimation", J. R. Stat. Soc. B 16 (1954);
 * as inverse regression in N. R. Draper, H. Smith, "Applied Regression Analysis", 3rd
 * ed., section 3.2. The interval holds all x with
 *	(y - a - b x)^2 <= t^2 (s^2 + v_aa + 2 v_ab x + v_bb x^2),
 * s^2 being the scatter of the new observation. The x at its ends solve a quadratic; it
 * is bounded only while b^2 > t^2 v_bb, that is while the slope differs from 0.
 */
bool fit_inverse(const struct line_fit *f, double y, double *x, double *lower, double *upper)
{
	double t2 = f->t95 * f->t95, d = y - f->a;
	double qa = f->b * f->b - t2 * f->v_bb;
	double qb = f->b * d + t2 * f->v_ab; /* half of the linear term, sign turned */
	double qc = d * d - t2 * (f->s * f->s + f->v_aa);

	if (!fit_rises(f) || !(qa > 0))
		return false;
	double root = sqrt(fmax(qb * qb - qa * qc, 0));
	*x = d / f->b;
	*lower = (qb - root) / qa;
	*upper = (qb + root) / qa;
	return isfinite(*x) && isfinite(*lower) && isfinite(*upper);
}
