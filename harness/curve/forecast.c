/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "curve/forecast.h"

#include <math.h>

#include "base/util.h"

static const char *const names[FORECAST_RESOURCES] = { "cpu", "ram", "swap" };

bool forecast_crossing(const struct shape_fit *f, double y, double *vms, double *lower, double *upper)
{
	bool levels = f->shape == SHAPE_FLAT || f->shape == SHAPE_SATURATING;

	if (levels || !f->has_tail || !fit_inverse(&f->tail, y, vms, lower, upper))
		return false;
	*lower = fmax(*lower, 0);
	return *vms > 0;
}

/* Takes an end that comes before the ones known so far. */
static void take(struct forecast *f, const char *name, bool is_limit, const double at[3])
{
	/* The interval is that of the smallest of several ends: each end caps it. */
	f->lower = f->ok ? fmin(f->lower, at[1]) : at[1];
	f->upper = f->ok ? fmin(f->upper, at[2]) : at[2];
	if (!f->ok || at[0] < f->vms) {
		f->vms = at[0];
		f->resource = name;
		f->is_limit = is_limit;
	}
	f->ok = true;
	f->lower = fmin(f->lower, f->vms);
	f->upper = fmax(f->upper, f->vms);
}

/* Swap begins when RAM is full: what would not fit goes there. */
static bool overflow(const struct forecast_input *in, double at[3])
{
	struct shape_fit f;

	if (!(in->swap_per_ram > 0) || !in->ram_pct)
		return false;
	shape_fit(in->vms, in->ram_pct, in->n, FORECAST_TOLERATED_PCT, &f);
	double full = FORECAST_RAM_FULL_PCT + in->threshold_pct * in->swap_per_ram;
	return forecast_crossing(&f, full, &at[0], &at[1], &at[2]);
}

struct forecast forecast_stop(const struct forecast_input *in)
{
	struct forecast f = { .intervals = in->n };
	double at[3];

	for (size_t i = 0; i < in->n; i++)
		f.at = fmax(f.at, in->vms[i]);
	if (in->n < FORECAST_INTERVALS)
		return f;
	for (int r = 0; r < FORECAST_RESOURCES; r++) {
		struct shape_fit s;

		if (!in->pct[r])
			continue;
		shape_fit(in->vms, in->pct[r], in->n, FORECAST_TOLERATED_PCT, &s);
		if (forecast_crossing(&s, in->threshold_pct, &at[0], &at[1], &at[2]) ||
		    (r == FORECAST_SWAP && overflow(in, at))) {
			at[0] = fmax(at[0], f.at); /* so many did run */
			take(&f, names[r], false, at);
		}
	}
	if (in->limit && in->limit_vms > 0)
		take(&f, in->limit, true, (const double[]){ in->limit_vms, in->limit_vms, in->limit_vms });
	if (in->max > 0)
		take(&f, "max", false, (const double[]){ in->max, in->max, in->max });
	return f;
}
