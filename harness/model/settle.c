/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "model/settle.h"

#include <gsl/gsl_fit.h>
#include <math.h>
#include <string.h>

#include "base/util.h"

static void shift_in(double *window, double value)
{
	memmove(window, window + 1, (SETTLE_POINTS - 1) * sizeof(*window));
	window[SETTLE_POINTS - 1] = value;
}

void settle_add(struct settle *s, double t_s, double cpu_pct, double ram_pct)
{
	shift_in(s->t, t_s);
	shift_in(s->cpu, cpu_pct);
	shift_in(s->ram, ram_pct);
	s->n++;
}

/* End-to-end movement of the fitted line, and the standard error of that movement. */
static void movement(const double *t, const double *y, double *ret_move, double *ret_error)
{
	double c0, c1, cov00, cov01, cov11, sumsq;
	double span = t[SETTLE_POINTS - 1] - t[0];

	gsl_fit_linear(t, 1, y, 1, SETTLE_POINTS, &c0, &c1, &cov00, &cov01, &cov11, &sumsq);
	*ret_move = fabs(c1) * span;
	*ret_error = sqrt(cov11) * span;
}

bool settle_quiet(const struct settle *s, double cpu_tolerance, double ram_tolerance)
{
	double move, error;

	if (s->n < SETTLE_POINTS)
		return false;
	movement(s->t, s->ram, &move, &error);
	if (!(move <= ram_tolerance))
		return false;
	movement(s->t, s->cpu, &move, &error);
	return move <= MAX(cpu_tolerance, error);
}
