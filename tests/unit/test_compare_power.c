/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How often a comparison is wrong, and how often it finds what is there: simulated runs with known
 * differences. Called by make bench with more rounds:
 *	COMPARE_SIM	comparisons of equals (default 60); a third of it for each planted difference
 *	COMPARE_NOISE	factor on all spreads (default 1)
 *	COMPARE_RUNS	runs a side (default 10)
 *	COMPARE_FROM	file with the spreads (default tests/fixtures/compare/scatter.csv, from real runs)
 * A run draws its own line for every column, related to that of the run before it (drift); its intervals
 *share it and model_error around it (autocorrelated), so they are no replicates. Now and then a value is far
 *off, as often and as far as in the real runs. With `--scatter DIR...` it does nothing but print the spreads
 *of these run folders.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>
#include <math.h>
#include <string.h>

#include "base/util.h"
#include "compare/compare.h"
#include "model/sequential.h"
#include "scatter.h"

#define MOST_ROUNDS 60 /* of ab */
#define SCATTER_FILE "tests/fixtures/compare/scatter.csv"
/* Ranks see no more of it, and a process in which each run is like the last has no spread. */
#define DRIFT_MOST 0.95

/* What is different about one side: shares; points at the most VMs; share more at the most VMs than at none.
 */
struct planted {
	const char *what;
	double memory, kernel_memory, launch, cpu_points, creation;
};

static gsl_rng *rng;
static struct scatter real;
static double noise = 1;
static size_t runs = 10, rounds = 60;
/* Where each column of the host has drifted to. */
static double mood[SCATTER_COUNT];

/* Of spread 1, and now and then far off. */
static double vary(const struct scatter_numbers *m)
{
	return gsl_ran_gaussian(rng, noise * (gsl_rng_uniform(rng) < m->far_share ? m->far : 1));
}

/* What follows v with a correlation of lag. */
static double model_error(const struct scatter_numbers *m, double v, double lag)
{
	return lag * v + sqrt(1 - lag * lag) * vary(m);
}

static double within(double v, double lo, double hi)
{
	return fmin(fmax(v, lo), hi);
}

/* How the true lines of runs differ, and not only those that were fitted to their intervals. */
struct between {
	double sd_none, sd_top, together;
};

/*
 * The variance of a fitted line at x is w^2 (1 / n + (x - mean)^2 / Sxx), and so much of that between fitted
 * lines is scatter within the runs. The intervals are at 1, 2, ... n of n steps.
 */
static struct between between_of(const struct scatter_numbers *m, double n)
{
	double mean = (n + 1) / 2, sxx = n * (n * n - 1) / 12, w2 = m->sd_within * m->sd_within;
	double none = fmax(m->sd_none * m->sd_none - w2 * (1 / n + mean * mean / sxx), 0);
	double top = fmax(m->sd_top * m->sd_top - w2 * (1 / n + (n - mean) * (n - mean) / sxx), 0);
	double both = m->together * m->sd_none * m->sd_top - w2 * (1 / n - mean * (n - mean) / sxx);

	return (struct between){ sqrt(none), sqrt(top),
				 none * top > 0 ? within(both / sqrt(none * top), -1, 1) : 0 };
}

/* The values of a column in one run, 0 VMs first. */
static void simulated_column(enum scatter_column c, const struct planted *d, size_t steps, double *ret)
{
	const struct scatter_numbers *m = &real.of[c];
	struct between b = between_of(m, real.steps);
	double left = 0, lag = within(m->lag_within, 0, DRIFT_MOST);

	mood[c] = model_error(m, mood[c], within(m->drift, 0, DRIFT_MOST));
	double none =
		m->at_none + b.sd_none * (b.together * mood[c] + sqrt(1 - b.together * b.together) * vary(m));
	double top = m->at_top + b.sd_top * mood[c];
	for (size_t i = 0; i <= steps; i++) {
		double share = (double)i / (double)steps, y = none + (top - none) * share;

		left = model_error(m, left, lag);
		if (c == SCATTER_MEMORY)
			y += (d->memory + d->kernel_memory) * (top - none) * share;
		else if (c == SCATTER_PSS)
			y *= 1 + d->memory;
		else if (c == SCATTER_CPU)
			y += d->cpu_points * share;
		else if (c == SCATTER_LAUNCH)
			y *= (1 + d->launch) * (1 + d->creation * share);
		else if (c == SCATTER_BOOT_P50 || c == SCATTER_BOOT_P99)
			y *= 1 + d->creation * share;
		y += m->sd_within * left;
		/* times and sizes of a process are above 0, however far off */
		ret[i] = c == SCATTER_MEMORY || c == SCATTER_CPU ? y : fmax(y, m->at_top / 10);
	}
}

static struct csv *simulated_intervals(const struct planted *d)
{
	size_t steps = (size_t)real.steps, len;
	_cleanup_free_ double *cells = xcalloc(SCATTER_COUNT * (steps + 1), sizeof(*cells));
	char *text = NULL;
	struct csv *t = NULL;
	FILE *f = open_memstream(&text, &len);

	fputs("vm_count,settled", f);
	for (enum scatter_column c = 0; c < SCATTER_COUNT; c++) {
		if (isnan(real.of[c].at_top) || c == SCATTER_TEARDOWN)
			continue;
		fprintf(f, ",%s", scatter_names[c]);
		simulated_column(c, d, steps, cells + c * (steps + 1));
	}
	for (size_t i = 0; i <= steps; i++) {
		fprintf(f, "\n%.9g,1", real.top * (double)i / (double)steps);
		for (enum scatter_column c = 0; c < SCATTER_COUNT; c++)
			if (!isnan(real.of[c].at_top) && c != SCATTER_TEARDOWN)
				fprintf(f, ",%.9g", cells[c * (steps + 1) + i]);
	}
	fputc('\n', f);
	fclose(f);
	error *e = csv_parse(text, "simulated", &t);
	assert_null(e);
	free(text);
	return t;
}

static struct run_record *simulated(const struct planted *d)
{
	struct run_record *r = xcalloc(1, sizeof(*r));
	double teardown[2];

	r->dir = xstrdup("simulated");
	r->intervals = simulated_intervals(d);
	simulated_column(SCATTER_TEARDOWN, d, 1, teardown);
	r->meta = json_pack("{s:i,s:s,s:{s:i},s:{s:s},s:{s:s},s:{s:f,s:f}}", "format", 1, "state", "complete",
			    "vms", "died", 0, "backend", "name", "qemu", "stop", "kind", "max", "teardown",
			    "seconds", teardown[1] * real.top / 1000, "vms", real.top);
	assert_non_null(r->meta);
	return r;
}

static void add(struct side *s, const struct planted *d)
{
	s->runs = xrealloc(s->runs, s->n + 1, sizeof(struct run_record *));
	s->runs[s->n++] = simulated(d);
}

static void compared(struct side sides[2], const struct compare_options *o, struct comparison **ret)
{
	error *e = compare_sides(&sides[0], &sides[1], o, ret);

	assert_null(e);
}

/* In turns, as `ab` makes them; or one side after the other. */
static void fresh_sides(struct side sides[2], const struct planted *d, size_t n, bool in_turns)
{
	static const struct planted none = { 0 };

	sides[0] = sides[1] = (struct side){ 0 };
	for (size_t i = 0; i < 2 * n; i++) {
		int side = in_turns ? abba_side(i) : i >= n;

		add(&sides[side], side ? d : &none);
	}
}

static void add_round(struct side sides[2], const struct planted *d, size_t round)
{
	static const struct planted none = { 0 };

	for (size_t i = 2 * round - 2; i < 2 * round; i++) {
		int side = abba_side(i);

		add(&sides[side], side ? d : &none);
	}
}

static void clear_sides(struct side sides[2])
{
	side_clear(&sides[0]);
	side_clear(&sides[1]);
}

static size_t alarms_among_equals(bool in_turns)
{
	static const struct planted none = { .what = "nothing" };
	struct compare_options o = compare_defaults();
	size_t worse = 0, better = 0, open = 0;

	for (size_t i = 0; i < rounds; i++) {
		struct side sides[2];
		_cleanup_(comparison_freep) struct comparison *c = NULL;

		fresh_sides(sides, &none, runs, in_turns);
		compared(sides, &o, &c);
		worse += c->verdict == VERDICT_REGRESSED;
		better += c->verdict == VERDICT_IMPROVED;
		open += c->verdict == VERDICT_INCONCLUSIVE;
		clear_sides(sides);
	}
	print_message(
		"# %zu comparisons of equals, %zu runs a side %s: %zu regressed, %zu improved, %zu inconclusive\n",
		rounds, runs, in_turns ? "in turns" : "one side after the other", worse, better, open);
	return worse + better;
}

static void equals_are_equal(void **state)
{
	(void)state;
	assert_true((double)alarms_among_equals(true) <= 0.01 * (double)rounds);
	/* not asserted: a host that drifts is no fault of the test, and the reason for `ab` */
	alarms_among_equals(false);
}

/* Looking again and again must not make alarms more frequent. */
static void looks_do_not_add_alarms(void **state)
{
	static const struct planted none = { .what = "nothing" };
	size_t alarms = 0, n = rounds / 2;

	(void)state;
	for (size_t i = 0; i < n; i++) {
		struct side sides[2] = { { 0 } };
		struct look_plan plan = look_plan_start();
		bool alarm = false;

		look_plan_first(&plan, COMPARE_ALPHA, 11);
		for (size_t k = 1; k <= 20 && !alarm; k++) {
			struct comparison *c = NULL;
			struct compare_options o = compare_defaults();

			add_round(sides, &none, k);
			if (k < plan.next)
				continue;
			o.alpha *= look_plan_spend(&plan, false);
			for (int f = 0; f < FIGURE_COUNT; f++)
				o.gates[f] = 0; /* the test alone */
			compared(sides, &o, &c);
			alarm = c->verdict == VERDICT_REGRESSED || c->verdict == VERDICT_IMPROVED;
			comparison_free(c);
		}
		alarms += alarm;
		clear_sides(sides);
	}
	print_message(
		"# %zu growing comparisons of equals without gates, looked at until 20 rounds: %zu alarms\n",
		n, alarms);
	/* at most 1 % is expected; 3 alarms in 100 would be seen by chance in one of a hundred */
	assert_true((double)alarms <= 1 + 0.02 * (double)n);
}

/* As `mvmscale ab --rounds auto` goes about it; *ret_rounds adds up the rounds that it took. */
static bool found_in_turns(const struct planted *d, size_t *ret_rounds)
{
	struct side sides[2] = { { 0 } };
	struct look_plan plan = look_plan_start();
	bool found = false, decided = false;

	for (size_t k = 1; k <= MOST_ROUNDS && !decided; k++) {
		struct comparison *c = NULL;
		struct compare_options o = compare_defaults();

		add_round(sides, d, k);
		if (k > 1 && k < plan.next && k < MOST_ROUNDS)
			continue;
		double share = k == 1 ? 1 : look_plan_spend(&plan, k == MOST_ROUNDS);
		o.alpha *= share;
		o.beta *= share;
		compared(sides, &o, &c);
		look_plan_first(&plan, COMPARE_ALPHA, c->n_rows);
		decided = k > 1 && c->verdict != VERDICT_INCONCLUSIVE;
		found = decided && c->verdict == VERDICT_REGRESSED;
		*ret_rounds += decided || k == MOST_ROUNDS ? k : 0;
		comparison_free(c);
	}
	clear_sides(sides);
	return found;
}

static void regressions_are_found(void **state)
{
	static const struct planted planted[] = {
		{ .what = "memory per VM +3 %", .memory = 0.03 },
		{ .what = "memory per VM +3 %, the kernel's, which PSS does not show",
		  .kernel_memory = 0.03 },
		{ .what = "launch CPU +10 %", .launch = 0.10 },
		{ .what = "idle CPU +1 point at 300 VMs", .cpu_points = 1 },
		{ .what = "creation O(N), +30 % at 300 VMs", .creation = 0.30 },
	};
	size_t tries = MAX(rounds / 3, 20);
	bool all = true;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(planted); i++) {
		size_t found = 0, taken = 0;

		for (size_t k = 0; k < tries; k++)
			found += found_in_turns(&planted[i], &taken);
		print_message("# %s: found %zu of %zu, after %.1f rounds on average\n", planted[i].what,
			      found, tries, (double)taken / (double)tries);
		all = all && (double)found >= 0.95 * (double)tries;
	}
	assert_true(all);
}

static double from_environment(const char *name, double fallback, double least)
{
	const char *text = getenv(name);
	double v = fallback;

	return text && parse_double(text, least, 1e6, &v) ? v : fallback;
}

/* What is taken from simulated runs is what they were drawn from: neither the model nor the estimate is off.
 */
static void scatter_is_found_again(void **state)
{
	static const struct planted none = { 0 };
	struct side s = { 0 };

	(void)state;
	for (int i = 0; i < 200; i++)
		add(&s, &none);
	struct scatter again = scatter_of(&s);
	for (enum scatter_column c = 0; c < SCATTER_COUNT; c++) {
		const struct scatter_numbers *a = &real.of[c], *b = &again.of[c];

		if (isnan(a->at_top))
			continue;
		/* medians of few runs; and values far off count for more where there are many of them */
		if (fabs(a->at_top - b->at_top) > a->sd_top + a->sd_within + 0.05 * fabs(a->at_top) ||
		    b->sd_top < 0.7 * noise * a->sd_top ||
		    b->sd_top > 1.6 * noise * (a->sd_top + a->sd_within) + 1e-9 ||
		    b->sd_within < 0.5 * noise * a->sd_within ||
		    b->sd_within > 2 * noise * a->sd_within + 1e-9)
			fail_msg("%s: %g +- %g, %g within; found %g +- %g, %g within", scatter_names[c],
				 a->at_top, a->sd_top, a->sd_within, b->at_top, b->sd_top, b->sd_within);
	}
	side_clear(&s);
}

static int print_scatter(int n, char **dirs)
{
	struct side s = { 0 };

	for (int i = 0; i < n; i++) {
		_cleanup_err_ error *e = side_load(&s, dirs[i]);

		if (e) {
			fprintf(stderr, "%s\n", e->msg);
			return 2;
		}
	}
	struct scatter all = scatter_of(&s);
	scatter_print(&all, stdout);
	side_clear(&s);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scatter_is_found_again),
		cmocka_unit_test(equals_are_equal),
		cmocka_unit_test(looks_do_not_add_alarms),
		cmocka_unit_test(regressions_are_found),
	};
	const char *from = getenv("COMPARE_FROM");

	if (argc > 2 && str_eq(argv[1], "--scatter"))
		return print_scatter(argc - 2, argv + 2);
	from = from && *from ? from : SCATTER_FILE;
	if (!scatter_load(from, &real)) {
		fprintf(stderr, "%s holds no spreads: write it with --scatter RUN...\n", from);
		return 2;
	}
	rounds = (size_t)from_environment("COMPARE_SIM", 60, 3);
	runs = (size_t)from_environment("COMPARE_RUNS", 10, 2);
	noise = from_environment("COMPARE_NOISE", 1, 0);
	rng = gsl_rng_alloc(gsl_rng_mt19937);
	int status = cmocka_run_group_tests(tests, NULL, NULL);
	gsl_rng_free(rng);
	return status;
}
