/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_MODEL_FORECAST_H
#define MVM_MODEL_FORECAST_H

#include <stdbool.h>
#include <stddef.h>

#include "model/trend.h"
#include "record/resource.h"

/* A forecast begins when this share of a ramp is done, and with so many intervals at least. */
#define FORECAST_SHARE 0.25
#define FORECAST_INTERVALS 4
/* RAM this full is where swapping is expected to begin. */
#define FORECAST_RAM_FULL_PCT 97.0

/* The intervals of a ramp so far, and what may end it. */
struct forecast_input {
	size_t n;
	const double *vms;
	const double *pct[RESOURCE_COUNT]; /* in % of the host; NULL: does not end the run */
	double threshold_pct;
	/* Swap over RAM, both in kB, and the RAM curve, for swap that is not in use yet; 0 and NULL: unknown.
	 */
	double swap_per_ram;
	const double *ram_pct;
	/* What bends the RAM curve, see struct trend_input; NULL and 0: nothing. */
	const double *asked, *held_kb;
	double pct_per_kb, left, model_error;
	const char *limit; /* name of the nearest limit, NULL: none is known */
	double limit_vms;
	double max; /* of the run; 0: none */
};

/* Where the ramp will end. */
struct forecast {
	bool ok;
	const char *resource; /* cpu, ram, swap, max, or the name of the limit (borrowed) */
	bool is_limit;
	double vms, lower, upper; /* 95 % prediction interval */
	double at;		  /* VMs of the last interval it rests on */
	size_t intervals;
};

/*
 * The smallest of all ends that lie ahead: each resource's line (behind its knee) at the
 * threshold, the limit, the maximum. It may lie anywhere: how far to trust it the caller's
 * ledger of past forecasts says. ok is false while there are too few intervals. Pure.
 */
struct forecast forecast_stop(const struct forecast_input *in);
/*
 * Swap that is not in use yet: it begins when RAM is full, so it is at the threshold where RAM would be at so
 * many % of itself. swap_per_ram: their sizes; 0 or less: there is none, and NAN comes back.
 */
double forecast_overflow_pct(double threshold_pct, double swap_per_ram);

#endif
