/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "model/forecast.h"

#include <math.h>

#include "base/util.h"

double forecast_overflow_pct(double threshold_pct, double swap_per_ram)
{
	return swap_per_ram > 0 ? FORECAST_RAM_FULL_PCT + threshold_pct * swap_per_ram : (double)NAN;
}

/* Only RAM knows what bends it; what else strays does so in any resource. */
static void fit(const struct forecast_input *in, const double *pct, bool is_ram, struct trend *ret)
{
	trend_fit(&(struct trend_input){ .n = in->n,
					 .vms = in->vms,
					 .pct = pct,
					 .asked = is_ram ? in->asked : NULL,
					 .held_kb = is_ram ? in->held_kb : NULL,
					 .pct_per_kb = is_ram ? in->pct_per_kb : 0,
					 .left = in->left,
					 .model_error = in->model_error },
		  ret);
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
	double full = forecast_overflow_pct(in->threshold_pct, in->swap_per_ram);
	struct trend g;

	if (!isfinite(full) || !in->ram_pct)
		return false;
	fit(in, in->ram_pct, true, &g);
	return trend_crossing(&g, full, &at[0], &at[1], &at[2]);
}

struct forecast forecast_stop(const struct forecast_input *in)
{
	struct forecast f = { .intervals = in->n };
	double at[3];

	for (size_t i = 0; i < in->n; i++)
		f.at = fmax(f.at, in->vms[i]);
	if (in->n < FORECAST_INTERVALS)
		return f;
	for (int r = 0; r < RESOURCE_COUNT; r++) {
		struct trend g;

		if (!in->pct[r])
			continue;
		fit(in, in->pct[r], r == RESOURCE_RAM, &g);
		if (trend_crossing(&g, in->threshold_pct, &at[0], &at[1], &at[2]) ||
		    (r == RESOURCE_SWAP && overflow(in, at))) {
			at[0] = fmax(at[0], f.at); /* so many did run */
			take(&f, resources[r].name, false, at);
		}
	}
	if (in->limit && in->limit_vms > 0)
		take(&f, in->limit, true, (const double[]){ in->limit_vms, in->limit_vms, in->limit_vms });
	if (in->max > 0)
		take(&f, "max", false, (const double[]){ in->max, in->max, in->max });
	return f;
}
