/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "model/trend.h"

#include <math.h>

#include "base/util.h"

/* Rows with VMs that carry a fit without the one at rest. */
#define ROWS_ALONE 5
/* RAM at rest is left out where the scatter without it is below this share. */
#define REST_SHARE 0.7
#define HALVINGS 60
#define STEP_ROUNDS 4
/* Steps do not become smaller than this share of the last one. */
#define LEAST_STEP 0.25
/* An interval that reaches so many times further than what was measured has no end. */
#define NO_END 1e4
/* 97.5 % quantile of the normal distribution. */
#define Z95 1.96

static bool levels(const struct trend *g)
{
	return g->shape.shape == SHAPE_FLAT || g->shape.shape == SHAPE_SATURATING;
}

/* What lies beside the line that the tail could take for its own slope: only that an error in kb adds. */
static void line_of_woken(const struct trend_input *in, struct trend *g)
{
	double from = g->shape.shape == SHAPE_KNEE ? g->shape.knee : 0, n = 0;
	double mx = 0, mw = 0, xx = 0, xw = 0;

	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < in->n; i++) {
			double x = in->vms[i], w = wake_residue_at(&g->woken, x);

			if (!isfinite(in->pct[i]) || x < from)
				continue;
			n += pass ? 0 : 1;
			mx += pass ? 0 : x;
			mw += pass ? 0 : w;
			xx += pass ? (x - mx / n) * (x - mx / n) : 0;
			xw += pass ? (x - mx / n) * (w - mw / n) : 0;
		}
	g->line_b = xx > 0 ? xw / xx : 0;
	g->line_a = n > 0 ? mw / n - g->line_b * mx / n : 0;
}

/*
 * RAM at rest may lie off the line: the first VMs take what the host had in reserve (slabs and per-CPU lists
 * half empty, memory that comes back late from what ran before), once. Then it has no say.
 */
static void shape_without_rest(const struct trend_input *in, const double *straight,
			       struct segmented_fit *ret)
{
	struct segmented_fit f;

	segmented_fit(in->vms, straight, in->n, TREND_TOLERATED_PCT, ret);
	if (!(in->pct_per_kb > 0) || in->n <= ROWS_ALONE || in->vms[0] > 0)
		return;
	segmented_fit(in->vms + 1, straight + 1, in->n - 1, TREND_TOLERATED_PCT, &f);
	/* or where a bend is there for its sake only */
	bool straightens = ret->shape == SHAPE_KNEE && f.shape == SHAPE_LINEAR;
	if (f.has_tail && ret->has_tail && (straightens || f.tail.s < REST_SHARE * ret->tail.s))
		*ret = f;
}

void trend_fit(const struct trend_input *in, struct trend *ret)
{
	_cleanup_free_ double *straight = xcalloc(in->n, sizeof(*straight));
	_cleanup_free_ double *woken = xcalloc(in->n, sizeof(*woken));
	struct trend g = { .model_error = in->model_error, .left = in->left };

	if (in->pct_per_kb > 0)
		wake_residue_fit(in->vms, in->asked, in->held_kb, in->n, &g.woken);
	if (g.woken.n)
		wake_residue_count(in->vms, in->asked, in->n, woken);
	if (!(in->left > 0))
		g.woken.afresh = wake_residue_share(g.woken.share, in->intervals);
	g.woken_pct = g.woken.kb * in->pct_per_kb;
	g.woken_se = g.woken.kb_se * in->pct_per_kb;
	for (size_t i = 0; i < in->n; i++) {
		straight[i] = in->pct[i] - g.woken_pct * woken[i];
		g.last = isfinite(in->pct[i]) ? fmax(g.last, in->vms[i]) : g.last;
	}
	shape_without_rest(in, straight, &g.shape);
	g.last_pct = trend_at(&g, g.last);
	line_of_woken(in, &g);
	*ret = g;
}

double trend_at(const struct trend *g, double vms)
{
	return segmented_at(&g->shape, vms) + g->woken_pct * wake_residue_at(&g->woken, vms);
}

double trend_half_width(const struct trend *g, double vms)
{
	const struct line_fit *f = &g->shape.tail;

	if (!g->shape.has_tail)
		return (double)NAN;
	double line = fit_predict_half_width(f, vms);
	double bend = f->t95 * g->woken_se * (wake_residue_at(&g->woken, vms) - g->line_a - g->line_b * vms);
	double ahead = vms > g->last ? Z95 * g->model_error * (trend_at(g, vms) - g->last_pct) : 0;
	return sqrt(line * line + bend * bend + ahead * ahead);
}

/* Where trend_at() + side * trend_half_width() passes pct, between low (below) and high (above). */
static double solve(const struct trend *g, double pct, int side, double low, double high)
{
	for (int i = 0; i < HALVINGS; i++) {
		double mid = (low + high) / 2, half = side ? side * trend_half_width(g, mid) : 0;

		*(trend_at(g, mid) + half < pct ? &low : &high) = mid;
	}
	return (low + high) / 2;
}

/* The first of ever larger counts where that lies above pct. */
static bool beyond(const struct trend *g, double pct, int side, double from, double *ret)
{
	double most = NO_END * fmax(g->last, 1), x = fmax(from, 1);

	while (x <= most) {
		double half = side ? side * trend_half_width(g, x) : 0;

		if (trend_at(g, x) + half >= pct) {
			*ret = x;
			return true;
		}
		x *= 2;
	}
	return false;
}

/*
 * A ramp makes its steps smaller when it sees its end come, and so pings more often: the place that it is
 * expected at gives the steps, the steps give the place.
 */
static bool settle(struct trend *g, double pct, double *ret)
{
	double high, step = g->woken.step;

	for (int i = 0; i < STEP_ROUNDS; i++) {
		if (!beyond(g, pct, 0, g->last, &high))
			return false;
		*ret = solve(g, pct, 0, 0, high);
		if (!g->woken.n || !(g->left > 0) || !(*ret > g->last))
			return true;
		g->woken.step = fmin(fmax((*ret - g->last) / g->left, LEAST_STEP * step), step);
	}
	return true;
}

bool trend_crossing(const struct trend *given, double pct, double *vms, double *lower, double *upper)
{
	struct trend g = *given;
	double high;

	if (levels(&g) || !g.shape.has_tail)
		return false;
	if (!g.woken.n && !(g.model_error > 0)) {
		if (!fit_inverse(&g.shape.tail, pct, vms, lower, upper))
			return false;
		*lower = fmax(*lower, 0);
		return *vms > 0;
	}
	if (!fit_rises(&g.shape.tail) || trend_at(&g, 0) >= pct || !settle(&g, pct, vms))
		return false;
	*lower = solve(&g, pct, 1, 0, *vms);
	if (!beyond(&g, pct, -1, *vms, &high))
		return false;
	*upper = solve(&g, pct, -1, *vms, high);
	return *vms > 0;
}

double trend_holdout_pct(const struct trend_input *in)
{
	size_t rows = 0, train = 0;
	double errors = 0, values = 0;
	struct trend_input part = *in;
	struct trend g;

	for (size_t i = 0; i < in->n; i++)
		rows += isfinite(in->vms[i]) && isfinite(in->pct[i]);
	for (part.n = 0; part.n < in->n && train < rows * 6 / 10; part.n++)
		train += isfinite(in->vms[part.n]) && isfinite(in->pct[part.n]);
	if (train < 3 || train == rows)
		return (double)NAN;
	part.left = part.intervals = 0; /* it went on as it did */
	trend_fit(&part, &g);
	for (size_t i = part.n; i < in->n; i++)
		if (isfinite(in->vms[i]) && isfinite(in->pct[i])) {
			errors += fabs(in->pct[i] - trend_at(&g, in->vms[i]));
			values += fabs(in->pct[i]);
		}
	return values > 0 && isfinite(errors) ? 100 * errors / values : (double)NAN;
}
