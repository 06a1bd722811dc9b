/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "advise/curve_of.h"

#include <math.h>
#include <string.h>

#include "curve/forecast.h"

/* Swap below this is noise of a host that does not swap yet. */
#define SWAP_STARTS_PCT 0.1
/* A line that crosses before this share of what was measured, where the data did not, does not fit. */
#define BEND_SHARE 0.9
/* 97.5 % quantile of the normal distribution. */
#define Z95 1.96

struct point {
	double x, y, sd;
};

static int by_x(const void *a, const void *b)
{
	const struct point *p = a, *q = b;

	return p->x < q->x ? -1 : p->x > q->x;
}

/* The finite points of a metric in order of VM count; the caller frees them. */
static struct point *take_points(const struct run_record *r, const char *column, double scale, size_t *ret_n)
{
	_cleanup_free_ char *mean = xasprintf("%s_mean", column), *sd = xasprintf("%s_sd", column);
	struct point *p = xcalloc(r->intervals->rows, sizeof(*p));
	size_t n = 0;

	for (size_t i = 0; i < r->intervals->rows; i++) {
		double y = csv_cell(r->intervals, i, mean), dev = csv_cell(r->intervals, i, sd);

		if (isfinite(y))
			p[n++] = (struct point){ csv_cell(r->intervals, i, "vm_count"), y * scale,
						 isfinite(dev) ? dev * scale : 0 };
	}
	qsort(p, n, sizeof(*p), by_x);
	*ret_n = n;
	return p;
}

bool curve_crossing(const double *x, const double *y, const double *sd, size_t n, double at, double ret[3])
{
	for (size_t i = 0; i < n; i++) {
		/* A single outlier on the way up is no crossing. */
		if (y[i] < at || (i + 1 < n && y[i + 1] < at))
			continue;
		ret[0] = ret[1] = ret[2] = x[i];
		if (i == 0 || x[i] <= x[i - 1] || y[i] <= y[i - 1])
			return true;
		double slope = (y[i] - y[i - 1]) / (x[i] - x[i - 1]);
		ret[0] = x[i - 1] + fmax(at - y[i - 1], 0) / slope;
		ret[1] = fmax(ret[0] - Z95 * sd[i] / slope, 0);
		ret[2] = ret[0] + Z95 * sd[i] / slope;
		return true;
	}
	return false;
}

static void find_threshold(double threshold, double measured_to, struct metric_advice *m)
{
	if (!forecast_crossing(&m->shape, threshold, &m->vms, &m->lower, &m->upper)) {
		m->vms = m->lower = m->upper = (double)NAN;
		return;
	}
	if (m->vms >= measured_to)
		return;
	/* So many VMs did run below the threshold. */
	m->bends = m->upper < measured_to || m->vms < BEND_SHARE * measured_to;
	m->vms = measured_to;
	m->upper = fmax(m->upper, measured_to);
}

static void judge_fit(const double *x, const double *y, size_t n, double threshold, double measured_to,
		      struct metric_advice *m)
{
	shape_fit(x, y, n, FORECAST_TOLERATED_PCT, &m->shape);
	const struct line_fit *f = &m->shape.tail;
	bool levels = m->shape.shape == SHAPE_SATURATING;

	if (!m->shape.has_tail)
		return;
	m->per_vm_pct = levels ? 0 : f->b;
	m->per_vm_half = fit_slope_half_width(f);
	m->rises = !levels && fit_rises(f);
	m->holdout_pct = shape_holdout_pct(x, y, n, FORECAST_TOLERATED_PCT);
	find_threshold(threshold, measured_to, m);
}

void curve_judge(const struct run_record *r, const char *column, double scale, double threshold,
		 struct metric_advice *m)
{
	size_t n, skip = 0;
	_cleanup_free_ struct point *p = take_points(r, column, scale, &n);
	_cleanup_free_ double *x = xcalloc(n, sizeof(*x)), *y = xcalloc(n, sizeof(*y));
	_cleanup_free_ double *sd = xcalloc(n, sizeof(*sd));
	double at[3];

	m->baseline_pct = m->per_vm_pct = m->per_vm_half = (double)NAN;
	m->vms = m->lower = m->upper = m->holdout_pct = (double)NAN;
	m->scale = scale;
	m->present = n > 0;
	for (size_t i = 0; i < n; i++) {
		x[i] = p[i].x;
		y[i] = p[i].y;
		sd[i] = p[i].sd;
	}
	/* Swap is a hinge: flat until RAM is short. The line is that of its second part. */
	while (strcmp(m->name, "swap") == 0 && skip + 1 < n && y[skip + 1] < SWAP_STARTS_PCT)
		skip++;
	if (n) {
		m->baseline_pct = y[0];
		m->last_pct = y[n - 1];
	}
	judge_fit(x + skip, y + skip, n - skip, threshold, run_measured_to(r), m);
	if (curve_crossing(x, y, sd, n, threshold, at)) {
		m->measured = true;
		m->bends = false;
		m->vms = at[0];
		m->lower = at[1];
		m->upper = at[2];
	}
}
