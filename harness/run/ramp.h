/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_RUN_RAMP_H
#define MVM_RUN_RAMP_H

#include <stdint.h>

/* Arithmetic of the steps: which VM count comes next, so that the curve ends with about
   `intervals` of them wherever its end turns out to be. */
struct ramp {
	uint32_t max;	    /* --max */
	unsigned intervals; /* wanted, baseline not counted */
	uint32_t step;
	unsigned done;	/* intervals finished, baseline not counted */
	uint32_t count; /* VMs at the last of them */
};

/* predicted_end: where the preflight expects the run to stop, at most max counts. */
void ramp_init(struct ramp *r, uint32_t max, unsigned intervals, uint32_t predicted_end);
/* Next target, 0 when the ramp is at max. predicted_end: the latest forecast of the stop. */
uint32_t ramp_next(struct ramp *r, uint32_t predicted_end);
void ramp_finish_interval(struct ramp *r, uint32_t count);

/*
 * Where a metric would reach threshold_pct if it went on growing as from (0, base) to
 * (n, now); UINT32_MAX when it does not grow by at least min_growth points.
 */
uint32_t ramp_forecast(double base_pct, double now_pct, uint32_t n, double threshold_pct, double min_growth);

#endif
