/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "run/ramp.h"

#include <math.h>

#include "base/util.h"

/* A plan is only changed for a clear gain, or the axis would be needlessly uneven. */
#define SHRINK_BELOW 0.8
#define GROW_ABOVE 1.5

static uint32_t divide_up(uint32_t a, uint32_t b)
{
	return a / b + (a % b != 0);
}

void ramp_init(struct ramp *r, uint32_t max, unsigned intervals, uint32_t predicted_end)
{
	uint32_t end = predicted_end && predicted_end < max ? predicted_end : max;

	*r = (struct ramp){ .max = max, .intervals = intervals };
	r->step = MAX(divide_up(end, intervals), 1U);
}

uint32_t ramp_next(struct ramp *r, uint32_t predicted_end)
{
	uint32_t end = MIN(predicted_end, r->max);

	if (r->count >= r->max)
		return 0;
	if (r->done && end > r->count && r->done < r->intervals) {
		uint32_t better = MAX(divide_up(end - r->count, r->intervals - r->done), 1U);

		if (better < SHRINK_BELOW * r->step || better > GROW_ABOVE * r->step)
			r->step = better;
	}
	return r->max - r->count <= r->step ? r->max : r->count + r->step;
}

void ramp_finish_interval(struct ramp *r, uint32_t count)
{
	r->done++;
	r->count = count;
}

uint32_t ramp_forecast(double base_pct, double now_pct, uint32_t n, double threshold_pct, double min_growth)
{
	double grown = now_pct - base_pct;

	if (!n || isnan(grown) || grown < min_growth)
		return UINT32_MAX;
	double end = n * (threshold_pct - base_pct) / grown;
	return end >= UINT32_MAX ? UINT32_MAX : (uint32_t)fmax(end, 1);
}
