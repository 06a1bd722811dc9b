/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "compare/compare.h"

#include <math.h>
#include <string.h>

#include "model/stats.h"

/* The share of unsettled intervals beyond which a run is not one of sleeping VMs. */
#define UNSETTLED_MOST 0.5
#define BOOTSTRAP_SEED 20131202UL

const char *const verdict_names[VERDICT_INVALID + 1] = {
	[VERDICT_PASS] = "pass",	   [VERDICT_IMPROVED] = "improved",
	[VERDICT_REGRESSED] = "regressed", [VERDICT_INCONCLUSIVE] = "inconclusive",
	[VERDICT_INVALID] = "invalid",
};

enum exit_code verdict_status(enum verdict v)
{
	switch (v) {
	case VERDICT_REGRESSED:
		return EXIT_REGRESSION;
	case VERDICT_INCONCLUSIVE:
		return EXIT_INCONCLUSIVE;
	case VERDICT_INVALID:
		return EXIT_UNTRUSTED;
	default:
		return EXIT_DONE;
	}
}

struct compare_options compare_defaults(void)
{
	struct compare_options o = { .alpha = COMPARE_ALPHA, .beta = COMPARE_BETA };

	for (int i = 0; i < FIGURE_COUNT; i++)
		o.gates[i] = NAN;
	return o;
}

/* The values of one figure on one side. */
struct values {
	double *v;
	size_t n;
};

static struct values collect(const struct side *s, double (*figures)[FIGURE_COUNT], enum figure f)
{
	struct values x = { xcalloc(s->n + 1, sizeof(double)), 0 };

	for (size_t i = 0; i < s->n; i++)
		if (isfinite(figures[i][f]))
			x.v[x.n++] = figures[i][f];
	return x;
}

static bool all_positive(const struct values *x)
{
	for (size_t i = 0; i < x->n; i++)
		if (!(x->v[i] > 0))
			return false;
	return true;
}

static struct shift change_of(const struct values *a, const struct values *b, bool ratio, double confidence)
{
	struct values x = { xcalloc(a->n + 1, sizeof(double)), a->n },
		      y = { xcalloc(b->n + 1, sizeof(double)), b->n };

	for (size_t i = 0; i < a->n; i++)
		x.v[i] = ratio ? log(a->v[i]) : a->v[i];
	for (size_t i = 0; i < b->n; i++)
		y.v[i] = ratio ? log(b->v[i]) : b->v[i];
	struct shift s = shift_of(x.v, x.n, y.v, y.n, confidence);
	if (ratio)
		s = (struct shift){ exp(s.estimate), exp(s.lo), exp(s.hi) };
	free(x.v);
	free(y.v);
	return s;
}

/* How much worse a change is, in the unit of the gate: a share, or the figure's own; negative is better. */
static double worse_by(const struct figure_info *f, double change)
{
	if (f->scale == FIGURE_DIFFERENCE)
		return f->higher_is_better ? -change : change;
	return f->higher_is_better ? 1 / change - 1 : change - 1;
}

/*
 * Runs a side to add until the test can tell: as many as the exact test needs to reach its level at all,
 * and as many as narrow the interval, whose width falls with the square root of the number of runs.
 */
static size_t more_runs(const struct compare_row *row, double level, double worst, double excess)
{
	double n = (double)MIN(row->n_base, row->n_new), least = (double)rank_test_least_n(level);
	double room = row->gate - excess, half = worst - excess, wanted = least;

	if (isfinite(half) && room > 0 && half > room)
		wanted = fmax(wanted, ceil(n * half * half / (room * room)));
	else if (isfinite(half) && room <= 0)
		wanted = fmax(wanted, ceil(n * 1.5)); /* seen, but not yet certain */
	double more = fmax(wanted - n, 1);
	return more > COMPARE_MORE_MAX ? 0 : (size_t)more;
}

static void say_inconclusive(struct compare_row *row, double level, double worst, double excess)
{
	row->more = more_runs(row, level, worst, excess);
	if (!row->more)
		row->why = xstrdup(
			"the runs differ too much among themselves: use more VMs (--max), a quieter host, or a wider gate");
	else if (rank_test_least_p(row->n_base, row->n_new) > level)
		row->why = xasprintf("too few samples: run %zu more of each side", row->more);
	else
		row->why = xasprintf("the interval reaches beyond the gate: run %zu more of each side",
				     row->more);
}

/* `tests` is how many figures share alpha. */
static void judge(struct compare_row *row, const struct values *a, const struct values *b,
		  const struct compare_options *o, size_t tests)
{
	const struct figure_info *f = &figure_table[row->figure];
	bool ratio = f->scale == FIGURE_RATIO;
	double excess = worse_by(f, row->change);
	struct shift s = change_of(a, b, ratio, 1 - 2 * o->beta);
	double worst = worse_by(f, f->higher_is_better ? s.lo : s.hi);
	bool significant = row->p_holm <= o->alpha;

	if (isnan(row->change)) {
		row->verdict = VERDICT_INCONCLUSIVE;
		row->why = xstrdup(
			"a value is not above 0: the figure is smaller than the noise; use more VMs (--max)");
		return;
	}
	if (significant && excess > row->gate) {
		row->verdict = VERDICT_REGRESSED;
	} else if (significant && (ratio ? 1 / (1 + excess) - 1 : -excess) > row->gate) {
		row->verdict = VERDICT_IMPROVED;
	} else if (worst < row->gate) {
		row->verdict = VERDICT_PASS;
	} else {
		row->verdict = VERDICT_INCONCLUSIVE;
		say_inconclusive(row, o->alpha / (double)tests, worst, excess);
	}
}

static void describe(struct compare_row *row, const struct values *a, const struct values *b)
{
	bool ratio = figure_table[row->figure].scale == FIGURE_RATIO;
	unsigned long seed = BOOTSTRAP_SEED + row->figure;

	row->n_base = a->n;
	row->n_new = b->n;
	row->base = median_of(a->v, a->n);
	row->new_value = median_of(b->v, b->n);
	bootstrap_median(a->v, a->n, COMPARE_CONFIDENCE, seed, row->base_interval);
	bootstrap_median(b->v, b->n, COMPARE_CONFIDENCE, seed + FIGURE_COUNT, row->new_interval);
	row->p = rank_test_p(a->v, a->n, b->v, b->n);
	row->delta = cliffs_delta(a->v, a->n, b->v, b->n);
	row->change = row->change_lo = row->change_hi = NAN;
	if (ratio && !(all_positive(a) && all_positive(b)))
		return;
	struct shift s = change_of(a, b, ratio, COMPARE_CONFIDENCE);
	row->change = s.estimate;
	row->change_lo = s.lo;
	row->change_hi = s.hi;
}

static bool any_selected(const struct compare_options *o)
{
	bool any = false;

	for (int i = 0; i < FIGURE_COUNT; i++)
		any |= o->selected[i];
	return any;
}

static bool wanted(const struct compare_options *o, enum figure f)
{
	return !any_selected(o) || o->selected[f];
}

/* A ceiling that only some runs reached is none to compare: those that did were the worse ones. */
static bool complete(enum figure f, const struct values *a, const struct values *b, size_t n, size_t m)
{
	return a->n && b->n && (f != FIGURE_CEILING || (a->n == n && b->n == m));
}

/* A comparison passes by what it found, not by what it could not look at. */
static void note_untold(struct comparison *c, const struct compare_options *o, enum figure f, bool in_base,
			bool in_new)
{
	const struct figure_info *i = &figure_table[f];
	bool core = f == FIGURE_MEM_PER_VM || f == FIGURE_IDLE_CPU;
	/* a ceiling that one side did not reach is good or bad luck, and said elsewhere */
	bool vanished = i->decides && f != FIGURE_CEILING && in_base != in_new;

	if (!wanted(o, f) || !(o->selected[f] || core || vanished))
		return;
	_cleanup_free_ char *why = xasprintf(
		"%s (%s) must be told, and %s%s", i->label, i->name,
		in_base == in_new ? in_base ? "not all runs have it" : "no run has it"
		: in_base	  ? "no run of the new side has it"
				  : "no run of the base has it",
		any_selected(o) ? "" : ": name what shall be compared with --metric, or make the runs again");
	strlist_add(&c->reasons, why);
	if (!c->untold)
		c->untold = STEAL(why);
}

static void fill_rows(struct comparison *c, const struct side *base, const struct side *new_side,
		      const struct compare_options *o)
{
	double(*of_base)[FIGURE_COUNT] = xcalloc(base->n, sizeof(*of_base));
	double(*of_new)[FIGURE_COUNT] = xcalloc(new_side->n, sizeof(*of_new));
	struct values a[FIGURE_COUNT], b[FIGURE_COUNT];
	double p[FIGURE_COUNT], adjusted[FIGURE_COUNT];

	c->rows = xcalloc(FIGURE_COUNT, sizeof(*c->rows));
	for (size_t i = 0; i < base->n; i++)
		figures_read(base->runs[i], c->top, of_base[i]);
	for (size_t i = 0; i < new_side->n; i++)
		figures_read(new_side->runs[i], c->top, of_new[i]);
	for (enum figure f = 0; f < FIGURE_COUNT; f++) {
		size_t k = c->n_rows;

		a[k] = collect(base, of_base, f);
		b[k] = collect(new_side, of_new, f);
		bool whole = complete(f, &a[k], &b[k], base->n, new_side->n);
		if (!whole)
			note_untold(c, o, f, a[k].n, b[k].n);
		if (!wanted(o, f) || !whole) {
			free(a[k].v);
			free(b[k].v);
			continue;
		}
		c->rows[k] = (struct compare_row){
			.figure = f,
			.gate = isnan(o->gates[f]) ? figure_table[f].gate : o->gates[f],
			/* what was asked for by name is what shall be told */
			.decides = figure_table[f].decides || o->selected[f],
		};
		describe(&c->rows[k], &a[k], &b[k]);
		p[k] = c->rows[k].p;
		c->n_rows++;
	}
	holm(p, c->n_rows, adjusted);
	for (size_t k = 0; k < c->n_rows; k++) {
		c->rows[k].p_holm = adjusted[k];
		judge(&c->rows[k], &a[k], &b[k], o, c->n_rows);
		free(a[k].v);
		free(b[k].v);
	}
	free(of_base);
	free(of_new);
}

/* Invalid beats all; a regression beats what is still open; what is open beats good news. */
static void conclude(struct comparison *c)
{
	static const enum verdict order[] = { VERDICT_PASS, VERDICT_IMPROVED, VERDICT_INCONCLUSIVE,
					      VERDICT_REGRESSED, VERDICT_INVALID };
	size_t best = 0;

	if (c->verdict == VERDICT_INVALID)
		return;
	if (!c->n_rows) {
		c->verdict = VERDICT_INCONCLUSIVE;
		static const char none[] = "the two sides have no figure in common, so nothing was compared";

		strlist_add(&c->reasons, none);
		if (!c->untold)
			c->untold = xstrdup(none);
		return;
	}
	for (size_t i = 0; i < c->n_rows; i++) {
		const struct compare_row *row = &c->rows[i];
		size_t rank = 0;

		if (row->verdict == VERDICT_INCONCLUSIVE && !row->decides)
			continue;
		while (order[rank] != row->verdict)
			rank++;
		best = MAX(best, rank);
		if (row->verdict == VERDICT_INCONCLUSIVE)
			c->more = MAX(c->more, row->more);
	}
	c->verdict = order[best];
	if (c->untold && (c->verdict == VERDICT_PASS || c->verdict == VERDICT_IMPROVED))
		c->verdict = VERDICT_INCONCLUSIVE;
	if (c->verdict != VERDICT_INCONCLUSIVE)
		c->more = 0;
}

static void invalid(struct comparison *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void invalid(struct comparison *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	_cleanup_free_ char *text = xvasprintf(fmt, ap);
	va_end(ap);
	strlist_add(&c->reasons, text);
	c->verdict = VERDICT_INVALID;
}

/* Whether this run measured what it says. */
static void check_run(struct comparison *c, const struct run_record *r)
{
	size_t unsettled = 0, judged = 0;

	if (run_num(r, "vms.died") > 0)
		invalid(c, "%s: %.0f VMs died in it: its population is not the one that was asked for",
			r->dir, run_num(r, "vms.died"));
	if (run_num(r, "vms.silent") > 0)
		invalid(c,
			"%s: %.0f VMs did not answer when asked: its population is not the one that was asked for",
			r->dir, run_num(r, "vms.silent"));
	if (str_eq(run_str(r, "state"), "failed"))
		invalid(c, "%s: the run failed: %s", r->dir,
			run_str(r, "stop.evidence") ? run_str(r, "stop.evidence") : "it does not say why");
	else if (r->partial)
		strlist_addf(&c->reasons, "%s: %s", r->dir,
			     r->note ? r->note : "the run did not end by itself");
	for (size_t i = 1; i < r->intervals->rows; i++) {
		double settled = csv_cell(r->intervals, i, "settled");

		judged += isfinite(settled);
		unsettled += settled == 0;
	}
	if (judged && (double)unsettled > UNSETTLED_MOST * (double)judged)
		invalid(c,
			"%s: the host was not quiet in %zu of %zu intervals: stop what else runs, and repeat the run",
			r->dir, unsettled, judged);
}

/* Replicates must be alike, or their spread is not noise. */
static void check_side(struct comparison *c, const struct side *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		check_run(c, s->runs[i]);
	for (size_t i = 1, odd = 0; i < s->n && !odd; i++) {
		struct env_diff d;

		env_compare(s->runs[0], s->runs[i], NULL, &d);
		odd = d.count;
		if (d.count)
			invalid(c, "the %s runs are not alike: %s is %s in %s and %s in %s", name,
				d.items[0].path, d.items[0].base, s->runs[0]->dir, d.items[0].new_value,
				s->runs[i]->dir);
		env_diff_clear(&d);
	}
}

static char **dirs_of(const struct side *s)
{
	char **dirs = xcalloc(s->n + 1, sizeof(*dirs));

	for (size_t i = 0; i < s->n; i++)
		dirs[i] = xstrdup(s->runs[i]->dir);
	return dirs;
}

static error *common_top(const struct side *sides[2], struct comparison *c)
{
	double highest = 0;

	c->top = INFINITY;
	for (int k = 0; k < 2; k++)
		for (size_t i = 0; i < sides[k]->n; i++) {
			double top = run_measured_to(sides[k]->runs[i]);

			if (!(top > 0))
				return err_new(
					EXIT_INCONCLUSIVE,
					"%s holds no interval with VMs, so there is nothing to compare: run again",
					sides[k]->runs[i]->dir);
			c->top = fmin(c->top, top);
			highest = fmax(highest, top);
		}
	if (highest > c->top * 1.01 + 1)
		strlist_addf(
			&c->reasons,
			"the runs went up to %.0f VMs; all are compared up to %.0f, as far as each of them went",
			highest, c->top);
	return NULL;
}

error *compare_sides(const struct side *base, const struct side *new_side, const struct compare_options *o,
		     struct comparison **ret)
{
	_cleanup_(comparison_freep) struct comparison *c = xcalloc(1, sizeof(*c));
	const struct side *sides[2] = { base, new_side };

	if (!base->n || !new_side->n)
		return err_new(EXIT_BAD_INPUT, "a comparison needs at least one run on each side");
	error *e = common_top(sides, c);
	if (e)
		return e;
	c->alpha = o->alpha;
	c->n_base = base->n;
	c->n_new = new_side->n;
	c->base_dirs = dirs_of(base);
	c->new_dirs = dirs_of(new_side);
	env_compare(base->runs[0], new_side->runs[0], o->intended, &c->environ);
	check_side(c, base, "base");
	check_side(c, new_side, "new");
	const char *hardware = env_other_host(&c->environ);
	if (hardware && !o->other_host)
		invalid(c,
			"the sides ran on different hosts (%s): their figures do not compare; --other-host compares them all the same",
			hardware);
	fill_rows(c, base, new_side, o);
	conclude(c);
	*ret = STEAL(c);
	return NULL;
}

void comparison_free(struct comparison *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n_base; i++)
		free(c->base_dirs[i]);
	for (size_t i = 0; i < c->n_new; i++)
		free(c->new_dirs[i]);
	for (size_t i = 0; i < c->n_rows; i++)
		free(c->rows[i].why);
	free(c->base_dirs);
	free(c->new_dirs);
	free(c->rows);
	env_diff_clear(&c->environ);
	strlist_clear(&c->reasons);
	strlist_clear(&c->broken);
	free(c->untold);
	free(c->limits);
	free(c);
}
