/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How often a comparison is wrong, and how often it finds what is there: simulated runs with known
 *differences. Called by make bench with more rounds:
 *	COMPARE_SIM	comparisons of equals (default 60); a third of it for each planted difference
 *	COMPARE_NOISE	factor on the noise below (default 1)
 *	COMPARE_RUNS	runs a side (default 10)
 * A run draws its own level of every figure; its intervals share it and wander around it (autocorrelated),
 * so they are no replicates. The spread between runs is assumed, for a quiet host with 300 VMs of 10 MB;
 * tests/bench/compare prints what this host has.
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
#include "compare/plan.h"

#define STEPS 20
#define TOP 300.0
#define MOST_ROUNDS 40
/* Between runs, relative (memory, launch, boot, wake) or in points of the host (CPU). */
#define SD_MEMORY 0.004
#define SD_LAUNCH 0.025
#define SD_BOOT 0.04
#define SD_CPU 0.12
/* Within a run. */
#define WANDER 0.6

static const char columns[] =
	"vm_count,cpu_pct_mean,cpu_pct_sd,ram_pct_mean,ram_pct_sd,swap_pct_mean,swap_pct_sd,samples,"
	"settled,ledger_drop_kb,guest_pss_kb_mean,boot_p50_ms,boot_p99_ms,launch_cpu_ms_per_vm,"
	"wake_p50_ms,wake_p99_ms\n";

/* What is different about one side. */
struct planted {
	const char *what;
	double memory, launch, cpu_points,
		creation; /* shares, points at TOP VMs, share more at TOP than at none */
};

static gsl_rng *rng;
static double noise = 1;
static size_t runs = 10, rounds = 60;

static double vary(double sd)
{
	/* now and then something else runs: a twentieth of the draws have three times the spread */
	return gsl_ran_gaussian(rng, noise * sd * (gsl_rng_uniform_int(rng, 20) ? 1 : 3));
}

static struct run_record *simulated(const struct planted *d)
{
	struct run_record *r = xcalloc(1, sizeof(*r));
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	double memory = 10400 * (1 + d->memory) * (1 + vary(SD_MEMORY)), fixed = 20000 + vary(6000);
	double launch = 26 * (1 + d->launch) * (1 + vary(SD_LAUNCH)), boot = 40 * (1 + vary(SD_BOOT));
	double cpu = 0.4 + d->cpu_points + vary(SD_CPU), wake = 0.5 * (1 + vary(0.06)), w[4] = { 0 };

	fputs(columns, f);
	for (int i = 0; i <= STEPS; i++) {
		double n = TOP * i / STEPS, grow = 1 + d->creation * n / TOP;

		for (int k = 0; k < 4; k++)
			w[k] = WANDER * w[k] + vary(1);
		fprintf(f, "%g,%.9g,0.1,5,0.1,0,0,8,1,%.9g,%.9g,", n, 0.3 + cpu * n / TOP + 0.08 * w[0],
			i ? fixed + memory * n + 2500 * w[1] : 0,
			9800 * (1 + d->memory) * (1 + 0.001 * w[1]));
		if (i)
			fprintf(f, "%.9g,%.9g,%.9g,%.9g,%.9g\n", boot * grow * (1 + 0.03 * w[2]),
				1.5 * boot * grow * (1 + 0.08 * w[2]), launch * grow * (1 + 0.03 * w[3]),
				wake * (1 + 0.05 * w[0]), 1.4 * wake * (1 + 0.1 * w[0]));
		else
			fputs(",,,,\n", f);
	}
	fclose(f);
	r->dir = xstrdup("simulated");
	r->meta = json_loads(
		"{\"format\":1,\"state\":\"complete\",\"vms\":{\"died\":0},\"backend\":{\"name\":\"qemu\"},"
		"\"stop\":{\"kind\":\"max\"}}",
		0, NULL);
	error *e = csv_parse(text, "simulated", &r->intervals);
	assert_null(e);
	free(text);
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

static void fresh_sides(struct side sides[2], const struct planted *d, size_t n)
{
	static const struct planted none = { 0 };

	sides[0] = sides[1] = (struct side){ 0 };
	for (size_t i = 0; i < n; i++) {
		add(&sides[0], &none);
		add(&sides[1], d);
	}
}

static void clear_sides(struct side sides[2])
{
	side_clear(&sides[0]);
	side_clear(&sides[1]);
}

static void equals_are_equal(void **state)
{
	static const struct planted none = { .what = "nothing" };
	struct compare_options o = compare_defaults();
	size_t worse = 0, better = 0, open = 0;

	(void)state;
	for (size_t i = 0; i < rounds; i++) {
		struct side sides[2];
		_cleanup_(comparison_freep) struct comparison *c = NULL;

		fresh_sides(sides, &none, runs);
		compared(sides, &o, &c);
		worse += c->verdict == VERDICT_REGRESSED;
		better += c->verdict == VERDICT_IMPROVED;
		open += c->verdict == VERDICT_INCONCLUSIVE;
		clear_sides(sides);
	}
	print_message("# %zu comparisons of equals, %zu runs a side: %zu regressed, %zu improved, %zu "
		      "inconclusive\n",
		      rounds, runs, worse, better, open);
	assert_true((double)(worse + better) <= 0.01 * (double)rounds);
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

			add(&sides[0], &none);
			add(&sides[1], &none);
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
	static const struct planted none = { 0 };
	struct side sides[2] = { { 0 } };
	struct look_plan plan = look_plan_start();
	bool found = false, decided = false;

	for (size_t k = 1; k <= MOST_ROUNDS && !decided; k++) {
		struct comparison *c = NULL;
		struct compare_options o = compare_defaults();

		add(&sides[0], &none);
		add(&sides[1], d);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equals_are_equal),
		cmocka_unit_test(looks_do_not_add_alarms),
		cmocka_unit_test(regressions_are_found),
	};

	rounds = (size_t)from_environment("COMPARE_SIM", 60, 3);
	runs = (size_t)from_environment("COMPARE_RUNS", 10, 2);
	noise = from_environment("COMPARE_NOISE", 1, 0);
	rng = gsl_rng_alloc(gsl_rng_mt19937);
	int status = cmocka_run_group_tests(tests, NULL, NULL);
	gsl_rng_free(rng);
	return status;
}
