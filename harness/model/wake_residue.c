/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "model/wake_residue.h"

#include <math.h>

#include "base/util.h"
#include "model/fit.h"

/* Fewer intervals with VMs do not tell a bend from their scatter. */
#define LEAST_INTERVALS 4

void wake_residue_count(const double *vms, const double *asked, size_t n, double *ret)
{
	double woken = 0;

	for (size_t i = 0; i < n; i++) {
		ret[i] = woken;
		/* one that was woken before keeps nothing more */
		if (vms[i] > 0 && isfinite(asked[i]))
			woken += asked[i] * fmax(1 - woken / vms[i], 0);
	}
}

/* What each woken VM keeps, in kB, with its standard error. */
static bool cost(const double *vms, const double *woken, const double *held_kb, size_t n,
		 struct wake_residue *w)
{
	_cleanup_free_ double *share = xcalloc(n, sizeof(*share)), *each = xcalloc(n, sizeof(*each));
	struct line_fit f;
	size_t steps = 0;

	for (size_t i = 1; i < n; i++) {
		double more = vms[i] - vms[i - 1];

		if (!(more > 0)) /* the same VMs, measured again */
			continue;
		share[steps] = (woken[i] - woken[i - 1]) / more;
		each[steps++] = (held_kb[i] - held_kb[i - 1]) / more;
	}
	/* the mean: a ramp that came close to its end made smaller ones, another one need not */
	w->step = steps ? (vms[n - 1] - vms[0]) / (double)steps : 0;
	if (steps < LEAST_INTERVALS || !fit_line(share, each, steps, &f) || !(f.b > 0))
		return false;
	/* shrunk the more, the less sure it is: of few intervals a slope that is mere scatter looks large */
	w->kb = f.b * fmax(1 - f.v_bb / (f.b * f.b), 0);
	w->kb_se = sqrt(fmax(f.v_bb, 0));
	return w->kb > 0;
}

static void place_knots(const double *vms, const double *woken, size_t n, struct wake_residue *w)
{
	size_t each = n / WAKE_RESIDUE_KNOTS + 1;

	/* every `each`-th row and the last */
	for (size_t i = (n - 1) % each; i < n; i += each) {
		if (w->n && vms[i] <= w->vms[w->n - 1])
			w->n--;
		w->vms[w->n] = vms[i];
		w->at[w->n++] = woken[i];
	}
}

void wake_residue_fit(const double *vms, const double *asked, const double *held_kb, size_t n,
		      struct wake_residue *ret)
{
	_cleanup_free_ double *woken = xcalloc(n, sizeof(*woken));
	struct wake_residue w = { 0 };

	*ret = w;
	if (!asked || !held_kb || n < LEAST_INTERVALS + 1)
		return;
	for (size_t i = 0; i < n; i++)
		if (!isfinite(vms[i]) || !isfinite(held_kb[i]) || (i && vms[i] < vms[i - 1]))
			return;
	wake_residue_count(vms, asked, n, woken);
	if (!(woken[n - 1] > 0) || !cost(vms, woken, held_kb, n, &w))
		return;
	place_knots(vms, woken, n, &w);
	w.share = isfinite(asked[n - 1]) ? fmin(asked[n - 1] / vms[n - 1], 1) : 0;
	*ret = w;
}

double wake_residue_share(double share, unsigned intervals)
{
	double woken = 0;

	for (unsigned k = 1; k < intervals; k++)
		woken += share * fmax(k - woken, 0);
	return intervals ? woken / intervals : 0;
}

double wake_residue_at(const struct wake_residue *w, double vms)
{
	size_t i = 1;

	if (!w->n)
		return 0;
	double last = w->vms[w->n - 1], had = w->at[w->n - 1];
	if (vms >= last) {
		/* pings meet the VMs of the interval before: half a step less, in the mean */
		if (w->afresh > 0)
			return fmax(had, w->afresh * vms);
		double rate = w->share / w->step, behind = last - w->step / 2 - had;

		if (!(rate > 0))
			return had;
		return had + (vms - last) - (1 / rate - behind) * -expm1(-rate * (vms - last));
	}
	while (i + 1 < w->n && w->vms[i] < vms)
		i++;
	if (w->n < 2 || vms <= w->vms[0])
		return w->at[0];
	return w->at[i - 1] + (w->at[i] - w->at[i - 1]) * (vms - w->vms[i - 1]) / (w->vms[i] - w->vms[i - 1]);
}
