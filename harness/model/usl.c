/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "model/usl.h"

#include <gsl/gsl_blas.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_multifit_nlinear.h>
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>

#include "base/util.h"
#include "model/stats.h"

#define USL_POINTS 6
#define USL_STEPS 200
#define ROBUST_ROUNDS 4
/* The law must beat a constant by so much of Schwarz's criterion. */
#define SLOWS_MARGIN 4.0

struct data {
	const double *n, *log_y;
	size_t count;
	enum usl_kind kind;
	double top; /* largest N: parameters are in units of it, near 1 */
};

/* log of the law; p = log lambda, sqrt(sigma top), sqrt(kappa top^2): squares keep them >= 0. */
static double law(const struct data *d, const double p[3], double n)
{
	double x = (n - 1) / d->top;
	double slow = log1p(p[1] * p[1] * x + p[2] * p[2] * x * n / d->top);

	if (d->kind == USL_LATENCY)
		return p[0] + slow;
	return p[0] - slow + (d->kind == USL_THROUGHPUT ? log(n) : 0);
}

static int residuals(const gsl_vector *v, void *user, gsl_vector *f)
{
	const struct data *d = user;
	const double p[3] = { gsl_vector_get(v, 0), gsl_vector_get(v, 1), gsl_vector_get(v, 2) };

	for (size_t i = 0; i < d->count; i++)
		gsl_vector_set(f, i, law(d, p, d->n[i]) - d->log_y[i]);
	return GSL_SUCCESS;
}

static double spread(const gsl_vector *f, size_t count)
{
	_cleanup_free_ double *size = xcalloc(count, sizeof(*size));

	for (size_t i = 0; i < count; i++)
		size[i] = fabs(gsl_vector_get(f, i));
	return 1.4826 * median_sorting(size, count);
}

/* One fit with weights; p holds the start and gets the end. */
static bool solve(struct data *d, gsl_vector *weights, gsl_multifit_nlinear_workspace *w, double p[3])
{
	gsl_multifit_nlinear_fdf fdf = { .f = residuals, .n = d->count, .p = 3, .params = d };
	gsl_vector_view start = gsl_vector_view_array(p, 3);
	int info;

	if (gsl_multifit_nlinear_winit(&start.vector, weights, &fdf, w) != GSL_SUCCESS)
		return false;
	int status = gsl_multifit_nlinear_driver(USL_STEPS, 1e-10, 1e-10, 0, NULL, NULL, &info, w);
	for (size_t i = 0; i < 3; i++)
		p[i] = gsl_vector_get(w->x, i);
	/* at a minimum of noise-free data no step improves anything more: that is convergence too */
	return (status == GSL_SUCCESS || status == GSL_EMAXITER || status == GSL_ENOPROG) && isfinite(p[0]) &&
	       isfinite(p[1]) && isfinite(p[2]);
}

/* Reweighted with Cauchy's loss, so that single bad intervals count little. */
static bool solve_robust(struct data *d, double p[3])
{
	gsl_multifit_nlinear_parameters set = gsl_multifit_nlinear_default_parameters();
	gsl_error_handler_t *old = gsl_set_error_handler_off(); /* its default ends the program */
	gsl_multifit_nlinear_workspace *w =
		gsl_multifit_nlinear_alloc(gsl_multifit_nlinear_trust, &set, d->count, 3);
	gsl_vector *weights = gsl_vector_alloc(d->count), *f = gsl_vector_alloc(d->count);
	bool ok = w && weights && f;

	if (ok)
		gsl_vector_set_all(weights, 1);
	for (int k = 0; k < ROBUST_ROUNDS && ok; k++) {
		gsl_vector_view v = gsl_vector_view_array(p, 3);

		ok = solve(d, weights, w, p);
		residuals(&v.vector, d, f);
		double s = fmax(spread(f, d->count), 1e-9);
		for (size_t i = 0; i < d->count; i++) {
			double u = gsl_vector_get(f, i) / (2.385 * s);

			gsl_vector_set(weights, i, 1 / (1 + u * u));
		}
	}
	gsl_vector_free(f);
	gsl_vector_free(weights);
	if (w)
		gsl_multifit_nlinear_free(w);
	gsl_set_error_handler(old);
	return ok;
}

/* What the law wins of the criterion against no slowing down; with residuals of the law bounded. */
static double beats_constant(const struct data *d, const double p[3], double scatter)
{
	_cleanup_free_ double *flat = xcalloc(d->count, sizeof(*flat));
	double bound = 4 * fmax(scatter, 1e-6), with = 0, without = 0, n = (double)d->count;
	double at;

	for (size_t i = 0; i < d->count; i++)
		flat[i] = d->log_y[i] - (d->kind == USL_THROUGHPUT ? log(d->n[i]) : 0);
	gsl_sort(flat, 1, d->count);
	at = gsl_stats_median_from_sorted_data(flat, 1, d->count);
	for (size_t i = 0; i < d->count; i++) {
		double u = d->log_y[i] - law(d, p, d->n[i]);

		with += pow(fmin(fabs(u), bound), 2);
		without += pow(flat[i] - at, 2);
	}
	return n * log(without / n + 1e-12) - n * log(with / n + 1e-12) - 2 * log(n);
}

bool usl_fit(const double *n, const double *y, size_t count, enum usl_kind kind, struct usl_fit *ret)
{
	_cleanup_free_ double *x = xcalloc(count, sizeof(*x)), *log_y = xcalloc(count, sizeof(*log_y));
	struct data d = { .n = x, .log_y = log_y, .kind = kind, .top = 1 };
	double sum = 0;

	for (size_t i = 0; i < count; i++) {
		if (!(n[i] >= 1) || !(y[i] > 0) || !isfinite(n[i]) || !isfinite(y[i]))
			continue;
		x[d.count] = n[i];
		log_y[d.count++] = log(y[i]);
		d.top = fmax(d.top, n[i]);
	}
	if (d.count < USL_POINTS)
		return false;
	double p[3] = { log_y[0] - (kind == USL_THROUGHPUT ? log(x[0]) : 0), 0.5, 0.5 };
	if (!solve_robust(&d, p))
		return false;
	for (size_t i = 0; i < d.count; i++)
		sum += fabs(log_y[i] - law(&d, p, x[i])) / (double)d.count;
	*ret = (struct usl_fit){
		.kind = kind,
		.n = d.count,
		.lambda = exp(p[0]),
		.sigma = p[1] * p[1] / d.top,
		.kappa = p[2] * p[2] / d.top / d.top,
		.scatter = sum * sqrt(M_PI / 2),
	};
	double won = beats_constant(&d, p, ret->scatter);
	ret->slows = won > SLOWS_MARGIN;
	ret->probability = 1 / (1 + exp(-won / 2));
	return true;
}

bool usl_fit_column(const struct run_record *r, const char *column, enum usl_kind kind, struct usl_fit *ret)
{
	const struct csv *t = r->intervals;
	_cleanup_free_ double *n = xcalloc(t->rows, sizeof(*n)), *y = xcalloc(t->rows, sizeof(*y));

	for (size_t i = 0; i < t->rows; i++) {
		n[i] = csv_cell(t, i, "vm_count");
		y[i] = csv_cell(t, i, column);
	}
	return usl_fit(n, y, t->rows, kind, ret);
}

double usl_at(const struct usl_fit *f, double n)
{
	double slow = 1 + f->sigma * (n - 1) + f->kappa * n * (n - 1);

	if (f->kind == USL_LATENCY)
		return f->lambda * slow;
	return f->lambda * (f->kind == USL_THROUGHPUT ? n : 1) / slow;
}

/* sigma (N - 1) + kappa N (N - 1) = 1, a quadratic in N. */
double usl_twofold(const struct usl_fit *f)
{
	double b = f->sigma - f->kappa, c = -f->sigma - 1;

	if (f->kappa < 1e-18)
		return f->sigma > 1e-12 ? 1 + 1 / f->sigma : INFINITY;
	return (-b + sqrt(b * b - 4 * f->kappa * c)) / (2 * f->kappa);
}
