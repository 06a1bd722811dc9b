/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "compare/figure.h"

#include <math.h>

#include "base/util.h"
#include "model/fit.h"
#include "model/stats.h"
#include "record/interval.h"
#include "record/metric.h"

/* The clock of boot and wake latencies, in ms, ticks in microseconds; below this a ratio is one of its ticks.
 */
#define SMALLEST 0.02

const struct figure_info figure_table[FIGURE_COUNT] = {
#define FIGURE_INFO(sym, name_, label_, unit_, higher, scale_, gate_, decides_) \
	[FIGURE_##sym] = { .name = (name_),                                     \
			   .label = (label_),                                   \
			   .unit = (unit_),                                     \
			   .higher_is_better = (higher),                        \
			   .scale = (scale_),                                   \
			   .gate = (gate_),                                     \
			   .decides = (decides_) },
	FIGURES(FIGURE_INFO)
#undef FIGURE_INFO
};

int figure_by_name(const char *name)
{
	for (int i = 0; i < FIGURE_COUNT; i++)
		if (str_eq(figure_table[i].name, name))
			return i;
	return -1;
}

/* The points of one column over the VM count, without the baseline and what lies beyond `top`. */
struct points {
	double *x, *y, *weight; /* weight: VMs that the interval added */
	size_t n;
};

static struct points points_of(const struct run_record *r, const char *column, double top)
{
	const struct csv *t = r->intervals;
	struct points p = { xcalloc(t->rows + 1, sizeof(double)), xcalloc(t->rows + 1, sizeof(double)),
			    xcalloc(t->rows + 1, sizeof(double)), 0 };
	double before = 0;

	for (size_t i = 0; i < t->rows; i++) {
		double x = csv_cell(t, i, "vm_count"), y = csv_cell(t, i, column);

		/* a VM that failed and was replaced moves a step by one or two */
		if (x <= 0 || x > top * 1.001 + 1)
			continue;
		if (isfinite(y)) {
			p.x[p.n] = x;
			p.y[p.n] = y;
			p.weight[p.n++] = x > before ? x - before : 0;
		}
		before = x;
	}
	return p;
}

static void points_free(struct points *p)
{
	free(p->x);
	free(p->y);
	free(p->weight);
}

/* y = a + b x; two points give their line, fewer none. */
static bool line_of(const struct points *p, double *a, double *b)
{
	struct line_fit f;

	*a = *b = NAN;
	if (p->n == 2 && p->x[1] != p->x[0]) {
		*b = (p->y[1] - p->y[0]) / (p->x[1] - p->x[0]);
		*a = p->y[0] - *b * p->x[0];
		return true;
	}
	if (!fit_line(p->x, p->y, p->n, &f))
		return false;
	*a = f.a;
	*b = f.b;
	return true;
}

/* Intercept and slope of a column, and where the line is at `top`. */
static void line_at(const struct run_record *r, const char *column, double top, double *a, double *b,
		    double *end)
{
	struct points p = points_of(r, column, top);
	bool good = line_of(&p, a, b);

	*end = good ? *a + *b * top : (double)NAN;
	points_free(&p);
}

/* Mean per VM: an interval that started more VMs counts for more. */
static double weighted_mean(const struct run_record *r, const char *column, double top)
{
	struct points p = points_of(r, column, top);
	double sum = 0, weight = 0;

	for (size_t i = 0; i < p.n; i++) {
		sum += p.y[i] * p.weight[i];
		weight += p.weight[i];
	}
	points_free(&p);
	return weight > 0 ? sum / weight : (double)NAN;
}

static double median_column(const struct run_record *r, const char *column, double top)
{
	struct points p = points_of(r, column, top);
	double m = median_of(p.y, p.n);

	points_free(&p);
	return m >= SMALLEST ? m : (double)NAN;
}

/* A run that ended because it was asked to says nothing of a ceiling. */
static double ceiling(const struct run_record *r)
{
	const char *kind = run_str(r, "stop.kind");

	return str_eq(kind, "threshold") || str_eq(kind, "limit") ? run_measured_to(r) : (double)NAN;
}

static double teardown_ms(const struct run_record *r)
{
	double seconds = run_num(r, "teardown.seconds"), vms = run_num(r, "teardown.vms");

	return vms > 0 ? 1000 * seconds / vms : (double)NAN;
}

void figures_read(const struct run_record *r, double top, double ret[FIGURE_COUNT])
{
	double a, b, end;

	if (!(top > 0))
		top = run_measured_to(r);
	line_at(r, interval_extra_columns[EXTRA_LEDGER_DROP], top, &a, &b, &end);
	ret[FIGURE_MEM_PER_VM] = b;
	ret[FIGURE_MEM_FIXED] = a;
	ret[FIGURE_GUEST_PSS] = median_column(r, metric_table[METRIC_GUEST_PSS].mean, top);
	line_at(r, metric_table[METRIC_CPU].mean, top, &a, &b, &end);
	ret[FIGURE_IDLE_CPU] = b * top;
	ret[FIGURE_BOOT_P50] = median_column(r, interval_extra_columns[EXTRA_BOOT_P50], top);
	ret[FIGURE_BOOT_P99] = median_column(r, interval_extra_columns[EXTRA_BOOT_P99], top);
	line_at(r, interval_extra_columns[EXTRA_BOOT_P50], top, &a, &b, &end);
	ret[FIGURE_BOOT_END] = end >= SMALLEST ? end : (double)NAN;
	/* nobody launches a VM that is a number: the CPU spent meanwhile is somebody else's */
	bool synthetic = run_is_synthetic(r);
	line_at(r, interval_extra_columns[EXTRA_LAUNCH_CPU], top, &a, &b, &end);
	ret[FIGURE_LAUNCH_CPU] =
		synthetic ? (double)NAN : weighted_mean(r, interval_extra_columns[EXTRA_LAUNCH_CPU], top);
	ret[FIGURE_LAUNCH_CPU_END] = synthetic ? (double)NAN : end;
	ret[FIGURE_CEILING] = ceiling(r);
	ret[FIGURE_TEARDOWN] = teardown_ms(r);
	ret[FIGURE_WAKE_P50] = median_column(r, interval_extra_columns[EXTRA_WAKE_P50], top);
	ret[FIGURE_WAKE_P99] = median_column(r, interval_extra_columns[EXTRA_WAKE_P99], top);
}

char *figure_gate_text(enum figure f, double gate)
{
	return figure_table[f].scale == FIGURE_RATIO ? xasprintf("%.4g %%", 100 * gate)
						     : xasprintf("%g", gate);
}

char *figure_change_text(enum figure f, double change)
{
	const struct figure_info *i = &figure_table[f];

	if (isnan(change))
		return xstrdup("-");
	if (!isfinite(change) || (i->scale == FIGURE_RATIO && change <= 0))
		return xstrdup("?");
	if (i->scale == FIGURE_RATIO) /* no "-0.00 %" */
		return xasprintf("%+.2f %%", fabs(change - 1) < 5e-5 ? 0 : 100 * (change - 1));
	/* what is left of sums that cancel is nothing */
	return xasprintf("%+.3g", fabs(change) < 1e-9 ? 0 : change);
}
