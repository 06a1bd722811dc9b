/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "model/segmented.h"

#include <gsl/gsl_rng.h>
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <string.h>

#include "base/util.h"
#include "model/stats.h"

/* More points than this are pooled: a break cannot be placed finer than that anyway. */
#define MOST_GROUPS 160
#define BOOT_GROUPS 60
#define BOOT_ROUNDS 200
/* Points on either side of a break; on the near side of the data's end it rests on few. */
#define SIDE_POINTS 3
/* What a bend must win beyond the criterion itself: its place was searched for. */
#define BEND_MARGIN 6.0
/* What a slope must win: most curves of a host at rest are flat. */
#define SLOPE_MARGIN 3.0
/* Of few points each adds this much: their scatter is hardly known. */
#define FEW_POINTS 10
#define FEW_MARGIN 4.0
/* What a slope behind a bend must win over a level there. */
#define TAIL_MARGIN 3.0
/* Slopes that differ by less are one. */
#define BEND_SHARE 0.1
/* A point so many robust deviations from its neighbours' line is an outlier; more than this share are none.
 */
#define OUTLIER_SDS 8.0
#define OUTLIER_SHARE 0.15
#define NEIGHBOURS 3
/* Each leaves two thirds of the way between two points. */
#define REFINE_ROUNDS 10
#define MAD_TO_SD 1.4826
/* Below this share of the range residuals say nothing. */
#define RESOLUTION 1e-4
/* Of fewer points it cannot be told whether neighbours stray together. */
#define WIDEN_POINTS 12
/* Where the model explains less than this many scatters of growth, it is noise. */
#define NOISY_RANGE 3.0

const char *const shape_names[SHAPE_COUNT] = {
	[SHAPE_UNKNOWN] = "unknown",	   [SHAPE_FLAT] = "flat",
	[SHAPE_LINEAR] = "linear",	   [SHAPE_KNEE] = "knee",
	[SHAPE_SATURATING] = "saturating", [SHAPE_NOISY] = "noisy",
};

/* Points in order of x, in units where the largest |x| is 1. */
struct points {
	double *x, *y;
	size_t n;
};

enum model { MODEL_LEVEL, MODEL_LINE, MODEL_SATURATES, MODEL_BENDS, MODEL_COUNT };
/* Parameters, the scatter and a break's place among them. */
static const double parameters[MODEL_COUNT] = { 2, 3, 4, 5 };

static void points_free(struct points *p)
{
	free(p->x);
	free(p->y);
}

static struct points points_new(size_t n)
{
	return (struct points){ xcalloc(n, sizeof(double)), xcalloc(n, sizeof(double)), 0 };
}

static struct points take_sorted(const double *x, const double *y, size_t n)
{
	struct points p = points_new(n);

	for (size_t i = 0; i < n; i++) {
		if (!isfinite(x[i]) || !isfinite(y[i]))
			continue;
		p.x[p.n] = x[i];
		p.y[p.n++] = y[i];
	}
	gsl_sort2(p.x, 1, p.y, 1, p.n);
	return p;
}

/* At most `most` points: neighbours become their mean x and median y. */
static struct points pool(const struct points *p, size_t most)
{
	size_t each = (p->n + most - 1) / most;
	struct points q = points_new(p->n);

	for (size_t i = 0; i < p->n; i += each) {
		size_t k = MIN(each, p->n - i);
		double *v = xcalloc(k, sizeof(*v));

		memcpy(v, p->y + i, k * sizeof(*v));
		q.x[q.n] = gsl_stats_mean(p->x + i, 1, k);
		q.y[q.n++] = median_sorting(v, k);
		free(v);
	}
	return q;
}

/* The distance of point i from the median of the lines through its neighbours on both sides. */
static double off_neighbours(const struct points *p, size_t i)
{
	double guess[NEIGHBOURS * NEIGHBOURS];
	size_t n = 0, from = i >= NEIGHBOURS ? i - NEIGHBOURS : 0, to = MIN(i + NEIGHBOURS, p->n - 1);

	for (size_t a = from; a < i; a++)
		for (size_t b = i + 1; b <= to; b++)
			if (p->x[b] > p->x[a])
				guess[n++] = p->y[a] +
					     (p->y[b] - p->y[a]) * (p->x[i] - p->x[a]) / (p->x[b] - p->x[a]);
	return n ? p->y[i] - median_sorting(guess, n) : 0;
}

/* Takes out single points that no neighbour supports; how many. The ends have neighbours on one side only and
 * stay. */
static size_t drop_outliers(struct points *p, double range)
{
	_cleanup_free_ double *off = xcalloc(p->n, sizeof(*off)), *size = xcalloc(p->n, sizeof(*size));
	size_t out = 0, kept = 0;

	if (p->n < SHAPE_KNEE_POINTS)
		return 0;
	for (size_t i = 0; i < p->n; i++)
		size[i] = fabs(off[i] = off_neighbours(p, i));
	double most = OUTLIER_SDS * fmax(MAD_TO_SD * median_sorting(size, p->n), range / 500);
	for (size_t i = 0; i < p->n; i++)
		out += fabs(off[i]) > most;
	if ((double)out > OUTLIER_SHARE * (double)p->n)
		return 0; /* so many are no accident: that is how the curve is */
	for (size_t i = 0; i < p->n; i++) {
		if (fabs(off[i]) > most)
			continue;
		p->x[kept] = p->x[i];
		p->y[kept++] = p->y[i];
	}
	p->n = kept;
	return out;
}

/* Residuals of least squares on a constant and, if given, one regressor; returns their sum of squares. */
static double regress(const double *u, const double *y, size_t n, double *r)
{
	double mu = 0, my = 0, uu = 0, uy = 0, sum = 0;

	for (size_t i = 0; i < n; i++) {
		mu += u ? u[i] / (double)n : 0;
		my += y[i] / (double)n;
	}
	for (size_t i = 0; i < n && u; i++) {
		uu += (u[i] - mu) * (u[i] - mu);
		uy += (u[i] - mu) * (y[i] - my);
	}
	double slope = uu > 0 ? uy / uu : 0;
	for (size_t i = 0; i < n; i++) {
		r[i] = y[i] - my - slope * (u ? u[i] - mu : 0);
		sum += r[i] * r[i];
	}
	return sum;
}

/*
 * Residuals of y on 1, x and max(0, x - k): the hinge is freed of 1 and x first, so each break costs
 * one pass (R. Frisch and F. Waugh, Econometrica 1 (1933)). line: residuals of y on 1 and x.
 */
static double regress_hinge(const struct points *p, const double *line, double k, double *work, double *r)
{
	double hh = 0, hy = 0, sum = 0;

	for (size_t i = 0; i < p->n; i++)
		r[i] = fmax(p->x[i] - k, 0);
	regress(p->x, r, p->n, work);
	for (size_t i = 0; i < p->n; i++) {
		hh += work[i] * work[i];
		hy += work[i] * line[i];
	}
	for (size_t i = 0; i < p->n; i++) {
		r[i] = line[i] - (hh > 0 ? hy / hh : 0) * work[i];
		sum += r[i] * r[i];
	}
	return sum;
}

static double regress_ceiling(const struct points *p, double k, double *work, double *r)
{
	for (size_t i = 0; i < p->n; i++)
		work[i] = fmin(p->x[i], k);
	return regress(work, p->y, p->n, r);
}

/* A model's best fit: where it breaks, what it leaves. */
struct best {
	double rss, at;
};

static double rss_at(const struct points *p, const double *line, enum model m, double k, double *work,
		     double *r)
{
	return m == MODEL_BENDS ? regress_hinge(p, line, k, work, r) : regress_ceiling(p, k, work, r);
}

/* Every point is tried as the break, then the best one's neighbourhood by thirds. */
static struct best search_break(const struct points *p, const double *line, enum model m)
{
	_cleanup_free_ double *work = xcalloc(p->n, sizeof(*work)), *r = xcalloc(p->n, sizeof(*r));
	struct best b = { INFINITY, (double)NAN };
	size_t at = 0;

	for (size_t i = SIDE_POINTS - 1; i + SIDE_POINTS < p->n + 1 && p->n >= SHAPE_KNEE_POINTS; i++) {
		double rss = rss_at(p, line, m, p->x[i], work, r);

		if (rss < b.rss) {
			b = (struct best){ rss, p->x[i] };
			at = i;
		}
	}
	if (!isfinite(b.rss))
		return b;
	double low = p->x[at - 1], high = p->x[MIN(at + 1, p->n - 1)];
	for (int k = 0; k < REFINE_ROUNDS; k++) {
		double a = low + (high - low) / 3, c = high - (high - low) / 3;

		if (rss_at(p, line, m, a, work, r) < rss_at(p, line, m, c, work, r))
			high = c;
		else
			low = a;
	}
	double rss = rss_at(p, line, m, (low + high) / 2, work, r);
	return rss < b.rss ? (struct best){ rss, (low + high) / 2 } : b;
}

/* Neighbouring residuals that go together count as fewer points than they are (0 < share <= 1). */
static double independent_share(const double *r, size_t n)
{
	double all = 0, pairs = 0;

	for (size_t i = 0; i < n; i++) {
		all += r[i] * r[i];
		pairs += i ? r[i] * r[i - 1] : 0;
	}
	double rho = all > 0 ? pairs / all : 0;
	rho = fmin(fmax(rho - 1 / sqrt((double)n), 0), 0.8);
	return (1 - rho) / (1 + rho);
}

static void slopes_at(const struct points *p, double k, double ret[2])
{
	double s[2][5] = { { 0 } };

	for (size_t i = 0; i < p->n; i++)
		for (int side = 0; side < 2; side++) {
			if (side ? p->x[i] < k : p->x[i] > k)
				continue;
			const double v[] = { 1, p->x[i], p->y[i], p->x[i] * p->x[i], p->x[i] * p->y[i] };

			for (int j = 0; j < 5; j++)
				s[side][j] += v[j];
		}
	for (int side = 0; side < 2; side++) {
		const double *q = s[side];
		double d = q[0] * q[3] - q[1] * q[1];

		ret[side] = d > 0 ? (q[0] * q[4] - q[1] * q[2]) / d : 0;
	}
}

static enum model choose_model(const struct points *p, double range, struct best best[MODEL_COUNT],
			       double *ret_probability)
{
	_cleanup_free_ double *line = xcalloc(p->n, sizeof(*line)), *r = xcalloc(p->n, sizeof(*r));
	_cleanup_free_ double *work = xcalloc(p->n, sizeof(*work));
	double n = (double)p->n, bic[MODEL_COUNT], sum = 0, slope[2] = { 0 };
	enum model m = MODEL_LEVEL;

	best[MODEL_LEVEL] = (struct best){ regress(NULL, p->y, p->n, r), (double)NAN };
	best[MODEL_LINE] = (struct best){ regress(p->x, p->y, p->n, line), (double)NAN };
	best[MODEL_SATURATES] = search_break(p, line, MODEL_SATURATES);
	best[MODEL_BENDS] = search_break(p, line, MODEL_BENDS);
	if (isfinite(best[MODEL_BENDS].rss)) {
		regress_hinge(p, line, best[MODEL_BENDS].at, work, r);
		slopes_at(p, best[MODEL_BENDS].at, slope);
	} else {
		memcpy(r, line, p->n * sizeof(*r));
	}
	double count = n * independent_share(r, p->n);
	double bend = SLOPE_MARGIN + BEND_MARGIN + FEW_MARGIN * fmax(FEW_POINTS - n, 0);
	const double margins[MODEL_COUNT] = { 0, SLOPE_MARGIN, bend, bend + TAIL_MARGIN };
	for (int i = 0; i < MODEL_COUNT; i++) {
		double left = best[i].rss / n + pow(RESOLUTION * range, 2) + 1e-300;

		bic[i] = count * log(left) + parameters[i] * log(n) + margins[i];
	}
	if (fabs(slope[1] - slope[0]) < BEND_SHARE * fmax(fabs(slope[0]), fabs(slope[1])))
		bic[MODEL_BENDS] = INFINITY;
	for (int i = 0; i < MODEL_COUNT; i++)
		m = bic[i] < bic[m] ? (enum model)i : m;
	for (int i = 0; i < MODEL_COUNT; i++)
		sum += exp((bic[m] - bic[i]) / 2);
	*ret_probability = 1 / sum;
	return m;
}

/* The break in resampled data: residuals drawn anew onto the fitted model (B. Efron, Annals of Statistics 7
 * (1979)). */
static void bootstrap_break(const struct points *all, enum model m, double scale, struct segmented_fit *f)
{
	struct points p = pool(all, BOOT_GROUPS), q = points_new(p.n);
	_cleanup_free_ double *line = xcalloc(p.n, sizeof(*line)), *r = xcalloc(p.n, sizeof(*r));
	_cleanup_free_ double *work = xcalloc(p.n, sizeof(*work));
	double at[BOOT_ROUNDS];
	gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);

	regress(p.x, p.y, p.n, line);
	struct best b = search_break(&p, line, m);
	if (m == MODEL_BENDS)
		regress_hinge(&p, line, b.at, work, r);
	else
		regress_ceiling(&p, b.at, work, r);
	memcpy(q.x, p.x, p.n * sizeof(*q.x));
	q.n = p.n;
	for (int k = 0; k < BOOT_ROUNDS; k++) {
		for (size_t i = 0; i < p.n; i++)
			q.y[i] = p.y[i] - r[i] + r[gsl_rng_uniform_int(rng, p.n)];
		regress(q.x, q.y, q.n, line);
		at[k] = search_break(&q, line, m).at;
	}
	gsl_sort(at, 1, BOOT_ROUNDS);
	/* resampling keeps the points where they are: between two of them it says too little */
	double grid = (p.x[p.n - 1] - p.x[0]) / (double)(p.n - 1) / 4;
	double low = gsl_stats_quantile_from_sorted_data(at, 1, BOOT_ROUNDS, 0.025) - grid;
	double high = gsl_stats_quantile_from_sorted_data(at, 1, BOOT_ROUNDS, 0.975) + grid;
	f->knee_lower = fmin(low * scale, f->knee);
	f->knee_upper = fmax(high * scale, f->knee);
	gsl_rng_free(rng);
	points_free(&p);
	points_free(&q);
}

/*
 * Neighbours that stray together (other load that comes and goes slowly) tell less of the line than as many
 * independent points: its covariance grows accordingly. The scatter of a single point stays.
 */
static void widen(const double *x, const double *y, size_t n, struct line_fit *f)
{
	_cleanup_free_ double *r = xcalloc(n, sizeof(*r));

	if (n < WIDEN_POINTS || f->n != n)
		return;
	for (size_t i = 0; i < n; i++)
		r[i] = fmax(fmin(y[i] - f->a - f->b * x[i], 3 * f->s), -3 * f->s); /* outliers have no say */
	double share = independent_share(r, n);
	f->v_aa /= share;
	f->v_ab /= share;
	f->v_bb /= share;
}

/* The line that carries on: through the points behind the knee, or all. */
static void fit_tail(const struct points *p, struct segmented_fit *f)
{
	size_t from = 0;

	f->has_line = fit_line(p->x, p->y, p->n, &f->line);
	f->tail = f->line;
	f->has_tail = f->has_line;
	if (f->shape != SHAPE_KNEE) {
		widen(p->x, p->y, p->n, &f->tail);
		return;
	}
	while (from + SIDE_POINTS < p->n && p->x[from] < f->knee)
		from++;
	f->has_tail = fit_line(p->x + from, p->y + from, p->n - from, &f->tail);
	widen(p->x + from, p->y + from, p->n - from, &f->tail);
}

static enum shape name_shape(enum model m, const struct points *p, double scatter, double tolerated)
{
	static const enum shape shapes[MODEL_COUNT] = { SHAPE_FLAT, SHAPE_LINEAR, SHAPE_SATURATING,
							SHAPE_KNEE };
	double grown = fabs(p->y[p->n - 1] - p->y[0]);

	if (m == MODEL_LEVEL)
		return scatter > tolerated ? SHAPE_NOISY : SHAPE_FLAT;
	return grown < NOISY_RANGE * scatter && scatter > tolerated ? SHAPE_NOISY : shapes[m];
}

void segmented_fit(const double *x, const double *y, size_t n, double tolerated, struct segmented_fit *ret)
{
	struct segmented_fit f = { .knee = (double)NAN,
				   .knee_lower = (double)NAN,
				   .knee_upper = (double)NAN,
				   .level = (double)NAN,
				   .slope_before = (double)NAN };
	struct points all = take_sorted(x, y, n);
	struct best best[MODEL_COUNT];
	double scale = all.n ? fmax(fabs(all.x[0]), fabs(all.x[all.n - 1])) : 0;
	double low, high;

	f.n = all.n;
	if (all.n < SHAPE_POINTS || !(all.x[all.n - 1] > all.x[0])) {
		fit_tail(&all, &f); /* a line at most, without a name */
		points_free(&all);
		*ret = f;
		return;
	}
	struct points p = pool(&all, MOST_GROUPS);
	gsl_stats_minmax(&low, &high, p.y, 1, p.n);
	for (size_t i = 0; i < p.n; i++)
		p.x[i] /= scale;
	f.outliers = drop_outliers(&p, high - low);
	gsl_stats_minmax(&low, &high, p.y, 1, p.n);
	enum model m = choose_model(&p, high - low, best, &f.probability);
	f.scatter = sqrt(best[m].rss / fmax((double)p.n - parameters[m] + 1, 1));
	f.shape = name_shape(m, &p, f.scatter, tolerated);
	if (m >= MODEL_SATURATES) {
		double slopes[2];

		slopes_at(&p, best[m].at, slopes);
		f.slope_before = slopes[0] / scale;
		/* more VMs never take less: what fell to a level was something else */
		if (m == MODEL_SATURATES && slopes[0] < 0)
			f.shape = high - low > tolerated ? SHAPE_NOISY : SHAPE_FLAT;
		f.knee = best[m].at * scale;
		bootstrap_break(&p, m, scale, &f);
	}
	for (size_t i = 0; i < p.n; i++)
		p.x[i] *= scale;
	fit_tail(&all, &f);
	if (m == MODEL_LEVEL || m == MODEL_SATURATES) {
		size_t from = 0;

		while (m == MODEL_SATURATES && from + SIDE_POINTS < p.n && p.x[from] < f.knee)
			from++;
		f.level = median_sorting(p.y + from, p.n - from);
	}
	points_free(&p);
	points_free(&all);
	*ret = f;
}

double segmented_at(const struct segmented_fit *f, double x)
{
	double past = isfinite(f->knee) ? fmax(x, f->knee) : x, y = (double)NAN;

	if (isfinite(f->level))
		y = f->level;
	else if (f->has_tail)
		y = f->tail.a + f->tail.b * past;
	return isfinite(f->knee) && x < f->knee ? y - f->slope_before * (f->knee - x) : y;
}
