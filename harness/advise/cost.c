/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "advise/cost.h"
#include "advise/steps.h"

#include <math.h>

#include "base/util.h"
#include "model/fit.h"

/* The PIT's slowest rate, 1193182 / 65536 Hz: what guest `idle` leaves running. */
#define PIT_HZ (1193182.0 / 65536.0)

static const struct {
	enum interval_extra extra;
	const char *name;
	bool kernel;
} parts[COST_PART_COUNT] = {
#define COST_ROW(sym, column, json, words, is_kernel) [COST_##sym] = { EXTRA_##column, (json), (is_kernel) },
	COST_PARTS(COST_ROW)
#undef COST_ROW
};

double run_slope(const struct run_record *r, const char *column)
{
	const struct csv *t = r->intervals;
	_cleanup_free_ double *x = xcalloc(t->rows, sizeof(*x)), *y = xcalloc(t->rows, sizeof(*y));
	struct line_fit f;

	if (csv_column(t, column) < 0)
		return (double)NAN;
	for (size_t i = 0; i < t->rows; i++) {
		x[i] = csv_cell(t, i, "vm_count");
		y[i] = csv_cell(t, i, column);
	}
	return fit_line(x, y, t->rows, &f) ? f.b : (double)NAN;
}

/* Wakes of a VM at rest: a column if the run has one, else what its guest is known to do. */
static double wakes_of(const struct run_record *r)
{
	const char *guest = run_str(r, "guest.name");
	double top = run_measured_to(r);

	for (size_t i = r->intervals->rows; i-- > 0;) {
		double rate = csv_cell(r->intervals, i, "wakes_per_s");

		if (isfinite(rate) && csv_cell(r->intervals, i, "vm_count") > 0)
			return rate / top;
	}
	return str_eq(guest, "idle") ? PIT_HZ : str_eq(guest, "sleep") ? 0 : (double)NAN;
}

/* PSS of the processes looked at in the last interval that has one, and what the kernel holds for a VM. */
static double inside_of(const struct run_record *r, const struct measured_cost *c)
{
	for (size_t i = r->intervals->rows; i-- > 0;) {
		double pss = csv_cell(r->intervals, i, metric_table[METRIC_GUEST_PSS].mean);

		if (isfinite(pss) && csv_cell(r->intervals, i, "vm_count") > 0)
			return pss + c->kernel_kb;
	}
	return (double)NAN;
}

void measured_cost_of(const struct run_record *r, struct measured_cost *ret)
{
	double cores = run_num(r, "host.cores");
	struct measured_cost c = { .woken_kb = (double)NAN };

	for (int i = 0; i < COST_PART_COUNT; i++) {
		double kb = run_slope(r, interval_extra_columns[parts[i].extra]);

		c.part_kb[i] = kb;
		if (isfinite(kb) && i != COST_REST)
			*(parts[i].kernel ? &c.kernel_kb : &c.user_kb) += kb;
	}
	if (!isfinite(c.part_kb[COST_ANON]))
		c.user_kb = c.kernel_kb = (double)NAN;
	c.inside_kb = inside_of(r, &c);
	c.guest_core_pct = run_slope(r, metric_table[METRIC_CPU_GUESTS].mean) * cores;
	c.kdamond_core_pct = run_slope(r, metric_table[METRIC_CPU_KDAMOND].mean) * cores;
	c.ksmd_core_pct = run_slope(r, metric_table[METRIC_CPU_KSMD].mean) * cores;
	c.wakes_per_s = wakes_of(r);
	c.wake_core_us = c.wakes_per_s > 0 ? c.guest_core_pct / 100 / c.wakes_per_s * 1e6 : (double)NAN;
	*ret = c;
}

json_t *measured_cost_json(const struct measured_cost *c)
{
	json_t *memory = json_object(), *kernel = json_object();

	for (int i = 0; i < COST_PART_COUNT; i++)
		json_object_set_new(parts[i].kernel ? kernel : memory, parts[i].name,
				    advice_real(c->part_kb[i]));
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "inside_kb",
			 advice_real(c->inside_kb), "woken_kb", advice_real(c->woken_kb), "user_kb",
			 advice_real(c->user_kb), "kernel_kb", advice_real(c->kernel_kb), "user_by_kind_kb",
			 memory, "kernel_by_kind_kb", kernel, "guest_core_pct",
			 advice_real(c->guest_core_pct), "kdamond_core_pct", advice_real(c->kdamond_core_pct),
			 "wakes_per_s", advice_real(c->wakes_per_s), "cpu_us_per_wake",
			 advice_real(c->wake_core_us));
}
