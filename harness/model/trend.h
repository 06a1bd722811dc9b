/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_MODEL_TREND_H
#define MVM_MODEL_TREND_H

#include <stdbool.h>
#include <stddef.h>

#include "model/segmented.h"
#include "model/wake_residue.h"

/* Scatter of a use in % of the host that still counts as flat. */
#define TREND_TOLERATED_PCT 2.0

/* How far real ramps stray, as struct trend_input says, where no ledger of past forecasts tells better:
 * of the growth beyond the data, the typical error of nine ramps on a quiet host (tests/fixtures/ramps). */
#define TREND_WANDER 0.02

/* The rows of a ramp, in order, and what is known of why a use of it bends. Borrowed. */
struct trend_input {
	size_t n;
	const double *vms, *pct; /* a use in % of the host; NAN: no value */
	const double *asked,
		*held_kb; /* as wake_residue_fit() wants them; NULL: nothing bends for that reason */
	double pct_per_kb;
	/*
	 * Intervals that the ramp still plans for; 0: its steps stay as they were in the mean. Of a ramp that
	 * is over `intervals` says how many another one would have, as what lies behind its data is asked of
	 * that.
	 */
	double left;
	unsigned intervals;
	/*
	 * How far the growth of real ramps strays from what their fits say, as a share of it (one standard
	 * deviation): what no scatter around a line shows. 0: does not.
	 */
	double model_error;
};

/* How a use grows: a shape, and on top of it what woken VMs keep. */
struct trend {
	struct segmented_fit shape; /* of what is left without the woken VMs' part */
	struct wake_residue woken;
	double woken_pct, woken_se; /* % of the host that each woken VM keeps, and its standard error */
	double line_a, line_b;	    /* the line that the count of woken VMs follows within the tail */
	double last, last_pct;	    /* VMs measured, and the fit there */
	double left, model_error;   /* see above */
};

void trend_fit(const struct trend_input *in, struct trend *ret);
/* The fitted use at so many VMs; NAN without a fit. */
double trend_at(const struct trend *g, double vms);
/* Half of the 95 % prediction interval there; NAN without a line. */
double trend_half_width(const struct trend *g, double vms);
/*
 * Where it reaches `pct`, the ramp going there in the intervals that are left, with a 95 % interval:
 * Fieller's for a line, its counterpart for a line with a bend. False when it does not get there, or rises so
 * little that the interval has no end.
 */
bool trend_crossing(const struct trend *g, double pct, double *vms, double *lower, double *upper);
/*
 * Hold-out test: fits the first 60 % of the rows that have a value and predicts the others. The sum of
 * absolute errors over the sum of absolute values, in %; NAN when there are too few.
 */
double trend_holdout_pct(const struct trend_input *in);

#endif
