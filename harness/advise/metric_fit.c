/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "advise/metric_fit.h"

#include <math.h>
#include <string.h>

#include "model/forecast.h"
#include "record/interval.h"
#include "record/metric.h"

/* Swap below this is noise of a host that does not swap yet. */
#define SWAP_STARTS_PCT 0.1
/* A line that crosses before this share of what was measured, where the data did not, does not fit. */
#define BEND_SHARE 0.9
/* 97.5 % quantile of the normal distribution. */
#define Z95 1.96

struct point {
	double x, y, sd, asked, held_kb;
};

/* The curve as it is fitted, in order of VM count. */
struct curve {
	struct trend_input in;
	double *x, *y, *sd, *asked, *held_kb;
};

static int by_x(const void *a, const void *b)
{
	const struct point *p = a, *q = b;

	return p->x < q->x ? -1 : p->x > q->x;
}

/* What a woken VM may have grown by; slab is left out: the first VMs fill what others left half empty. */
static double held_kb(const struct run_record *r, size_t row)
{
	return csv_cell(r->intervals, row, interval_extra_columns[EXTRA_LEDGER_ANON]) +
	       csv_cell(r->intervals, row, interval_extra_columns[EXTRA_LEDGER_PAGE_TABLES]) +
	       csv_cell(r->intervals, row, interval_extra_columns[EXTRA_LEDGER_STACKS]);
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
						 isfinite(dev) ? dev * scale : 0,
						 csv_cell(r->intervals, i,
							  interval_extra_columns[EXTRA_PING_ASKED]),
						 held_kb(r, i) };
	}
	qsort(p, n, sizeof(*p), by_x);
	*ret_n = n;
	return p;
}

/* The count at which a measured curve crosses `at` and stays there, and its 95 % interval. */
static bool crossing(const double *x, const double *y, const double *sd, size_t n, double at, double ret[3])
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
	if (!trend_crossing(&m->trend, threshold, &m->vms, &m->lower, &m->upper)) {
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

/* What one VM takes, those among them that were woken taking their part. */
static double mean_slope(const struct trend *g, double measured_to)
{
	double woken = measured_to > 0 ? wake_residue_at(&g->woken, measured_to) / measured_to : 0;

	return g->shape.tail.b + g->woken_pct * woken;
}

static void judge_fit(const struct trend_input *in, double threshold, double measured_to,
		      struct metric_advice *m)
{
	trend_fit(in, &m->trend);
	const struct line_fit *f = &m->trend.shape.tail;
	bool levels = m->trend.shape.shape == SHAPE_SATURATING;

	if (!m->trend.shape.has_tail)
		return;
	m->per_vm_pct = levels ? 0 : mean_slope(&m->trend, measured_to);
	m->per_vm_half = fit_slope_half_width(f);
	m->rises = !levels && fit_rises(f);
	m->holdout_pct = trend_holdout_pct(in);
	find_threshold(threshold, measured_to, m);
}

static void curve_free(struct curve *c)
{
	free(c->x);
	free(c->y);
	free(c->sd);
	free(c->asked);
	free(c->held_kb);
}

static struct curve curve_take(const struct run_record *r, const char *column, const struct metric_view *v)
{
	double ram_kb = run_num(r, "host.ram_kb");
	size_t n;
	_cleanup_free_ struct point *p = take_points(r, column, v->scale, &n);
	struct curve c = { .x = xcalloc(n, sizeof(double)),
			   .y = xcalloc(n, sizeof(double)),
			   .sd = xcalloc(n, sizeof(double)),
			   .asked = xcalloc(n, sizeof(double)),
			   .held_kb = xcalloc(n, sizeof(double)) };

	for (size_t i = 0; i < n; i++) {
		c.x[i] = p[i].x;
		c.y[i] = p[i].y;
		c.sd[i] = p[i].sd;
		c.asked[i] = p[i].asked;
		c.held_kb[i] = p[i].held_kb;
	}
	c.in = (struct trend_input){ .n = n, .vms = c.x, .pct = c.y, .model_error = v->model_error };
	if (strcmp(column, metric_table[METRIC_RAM].column) == 0 && ram_kb > 0) {
		c.in.asked = c.asked;
		c.in.held_kb = c.held_kb;
		c.in.pct_per_kb = 100 / ram_kb * v->scale;
	}
	/* a run that ended answers for another one; one that was cut off, for its own rest */
	double intervals = run_num(r, "options.intervals"),
	       left = intervals + 1 - (double)(r->intervals->rows + r->rows_thinned);
	if (isfinite(intervals) && intervals >= 1) {
		c.in.intervals = (unsigned)intervals;
		c.in.left = str_eq(run_str(r, "state"), "complete") ? 0 : fmax(left, 0);
	}
	return c;
}

void metric_judge(const struct run_record *r, const char *column, const struct metric_view *v,
		  struct metric_advice *m)
{
	_cleanup_(curve_free) struct curve c = curve_take(r, column, v);
	size_t n = c.in.n, skip = 0;
	double at[3];

	m->baseline_pct = m->per_vm_pct = m->per_vm_half = (double)NAN;
	m->vms = m->lower = m->upper = m->holdout_pct = (double)NAN;
	m->scale = v->scale;
	m->present = n > 0;
	/* Swap is a hinge: flat until RAM is short. The line is that of its second part. */
	while (strcmp(m->name, "swap") == 0 && skip + 1 < n && c.y[skip + 1] < SWAP_STARTS_PCT)
		skip++;
	for (size_t i = 0; i < n; i++)
		m->values += c.x[i] > 0;
	if (n) {
		m->baseline_pct = c.y[0];
		m->last_pct = c.y[n - 1];
	}
	c.in.n -= skip;
	c.in.vms += skip;
	c.in.pct += skip;
	judge_fit(&c.in, v->threshold, run_measured_to(r), m);
	if (crossing(c.x, c.y, c.sd, n, v->threshold, at)) {
		m->measured = true;
		m->bends = false;
		m->vms = at[0];
		m->lower = at[1];
		m->upper = at[2];
	}
}

void metric_judge_overflow(const struct run_record *r, const struct metric_advice *ram, double swap_per_ram,
			   double threshold, struct metric_advice *swap)
{
	double full = forecast_overflow_pct(threshold, swap_per_ram);

	if (!swap->present || swap->measured || isfinite(swap->vms) || !(swap->last_pct < SWAP_STARTS_PCT) ||
	    !isfinite(full) || !trend_crossing(&ram->trend, full, &swap->vms, &swap->lower, &swap->upper))
		return;
	swap->overflows = true;
	swap->vms = fmax(swap->vms, run_measured_to(r));
	swap->upper = fmax(swap->upper, swap->vms);
	swap->lower = fmin(swap->lower, swap->vms);
}
