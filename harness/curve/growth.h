/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_CURVE_GROWTH_H
#define MVM_CURVE_GROWTH_H

#include <stdbool.h>
#include <stddef.h>

#include "curve/shape.h"
#include "curve/woken.h"

/* Scatter of a use in % of the host that still counts as flat. */
#define GROWTH_TOLERATED_PCT 2.0

/* How far real ramps stray, as struct growth_input says, where no ledger of past forecasts tells better:
 * of the growth beyond the data, the typical error of nine ramps on a quiet host (tests/fixtures/ramps). */
#define GROWTH_WANDER 0.02

/* The rows of a ramp, in order, and what is known of why a use of it bends. Borrowed. */
struct growth_input {
	size_t n;
	const double *vms, *pct;       /* a use in % of the host; NAN: no value */
	const double *asked, *held_kb; /* as woken_fit() wants them; NULL: nothing bends for that reason */
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
	double wander;
};

/* How a use grows: a shape, and on top of it what woken VMs keep. */
struct growth {
	struct shape_fit shape; /* of what is left without the woken VMs' part */
	struct woken woken;
	double woken_pct, woken_se; /* % of the host that each woken VM keeps, and its standard error */
	double line_a, line_b;	    /* the line that the count of woken VMs follows within the tail */
	double last, last_pct;	    /* VMs measured, and the fit there */
	double left, wander;	    /* see above */
};

void growth_fit(const struct growth_input *in, struct growth *ret);
/* The fitted use at so many VMs; NAN without a fit. */
double growth_at(const struct growth *g, double vms);
/* Half of the 95 % prediction interval there; NAN without a line. */
double growth_half_width(const struct growth *g, double vms);
/*
 * Where it reaches `pct`, the ramp going there in the intervals that are left, with a 95 % interval:
 * Fieller's for a line, its counterpart for a line with a bend. False when it does not get there, or rises so
 * little that the interval has no end.
 */
bool growth_crossing(const struct growth *g, double pct, double *vms, double *lower, double *upper);
/*
 * Hold-out test: fits the first 60 % of the rows that have a value and predicts the others. The sum of
 * absolute errors over the sum of absolute values, in %; NAN when there are too few.
 */
double growth_holdout_pct(const struct growth_input *in);

#endif
