/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Forecasts against ramps whose truth is known. As a unit test a few of each kind; with --bench (which
 * tests/bench/advice does) many, the recorded real ones named after it, and the figures are printed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <gsl/gsl_sort.h>
#include <time.h>

#include "advise/accuracy.h"
#include "advise/verdict.h"
#include "advise/whatif.h"
#include "model/forecast.h"
#include "model/stats.h"
#include "ramps.h"
#include "record/interval.h"

#define FEW_SEEDS 12
#define MANY_SEEDS 100

struct score {
	double *errors;
	size_t n, covered, right;
};

static void score_add(struct score *s, const struct forecast *f, double truth, bool right)
{
	s->errors = xrealloc(s->errors, s->n + 1, sizeof(*s->errors));
	s->errors[s->n++] = f->ok ? 100 * fabs(f->vms / truth - 1) : 1000;
	/* VMs come whole: half a one is no miss */
	s->covered += f->ok && f->lower <= truth + 0.5 && truth - 0.5 <= f->upper;
	s->right += right;
}

static double share(size_t part, const struct score *s)
{
	return s->n ? 100 * (double)part / (double)s->n : (double)NAN;
}

static double *column(const struct csv *t, const char *name, size_t rows)
{
	double *v = xcalloc(rows, sizeof(*v));

	for (size_t i = 0; i < rows; i++)
		v[i] = csv_cell(t, i, name);
	return v;
}

/* What metric_fit.c takes for the memory that woken VMs may hold. */
static double *held(const struct csv *t, size_t rows)
{
	double *v = xcalloc(rows, sizeof(*v));

	for (size_t i = 0; i < rows; i++)
		v[i] = csv_cell(t, i, "ledger_anon_kb") + csv_cell(t, i, "ledger_page_tables_kb") +
		       csv_cell(t, i, "ledger_kernel_stack_kb");
	return v;
}

/* The forecast of a made ramp from its first quarter. */
static void score_made(const struct ramp_made *m, struct score *s)
{
	_cleanup_(run_record_freep) struct run_record *r = ramp_record(m, 0.25);
	size_t n = r->intervals->rows;
	_cleanup_free_ double *x = column(r->intervals, "vm_count", n);
	_cleanup_free_ double *cpu = column(r->intervals, "cpu_pct_mean", n);
	_cleanup_free_ double *ram = column(r->intervals, "ram_pct_mean", n);
	_cleanup_free_ double *swap = column(r->intervals, "swap_pct_mean", n);
	_cleanup_free_ double *asked = column(r->intervals, "ping_asked", n);
	_cleanup_free_ double *held_kb = held(r->intervals, n);
	bool swaps = m->kind == RAMP_SWAP, limited = m->kind == RAMP_LIMIT;
	struct forecast f = forecast_stop(
		&(struct forecast_input){ .n = n,
					  .vms = x,
					  .pct = { cpu, swaps ? NULL : ram, swaps ? swap : NULL },
					  .threshold_pct = 90,
					  .swap_per_ram = swaps ? 0.5 : 0,
					  .ram_pct = ram,
					  .asked = asked,
					  .held_kb = held_kb,
					  .pct_per_kb = 100.0 / RAMP_RAM_KB,
					  .limit = limited ? "pid_max" : NULL,
					  .limit_vms = m->end });
	const char *truly = limited ? "pid_max" : m->binding;

	score_add(s, &f, m->end, f.ok && strcmp(f.resource, truly) == 0 && f.is_limit == limited);
}

static void goals_are_met(void **state)
{
	struct score s = { 0 };

	(void)state;
	for (int k = 0; k < RAMP_KINDS; k++)
		for (uint32_t seed = 0; seed < FEW_SEEDS; seed++) {
			struct ramp_made m = ramp_case((enum ramp_kind)k, seed);

			score_made(&m, &s);
		}
	assert_in_range(s.n, 30, 1000);
	assert_true(quantile(s.errors, s.n, 0.5) < 5);
	assert_true(quantile(s.errors, s.n, 0.9) < 10);
	assert_true(share(s.covered, &s) >= 88);
	assert_true(share(s.right, &s) >= 95);
	free(s.errors);
}

/* The whole advice on six tenths of a ramp: within reach, so it must answer, and rightly. */
static void advice_names_what_binds(void **state)
{
	size_t right = 0, answered = 0, covered = 0, all = 0;

	(void)state;
	for (int k = 0; k < RAMP_KINDS; k++)
		for (uint32_t seed = 0; seed < FEW_SEEDS; seed++) {
			struct ramp_made m = ramp_case((enum ramp_kind)k, seed);
			_cleanup_(run_record_freep) struct run_record *r = ramp_record(&m, 0.6);
			_cleanup_(advice_freep) struct advice *a = NULL;

			assert_null(advise_run(r, 0, &a));
			all++;
			right += str_eq(a->binding, m.binding);
			answered += a->ok;
			covered += a->ok && a->lower <= m.end + 1 && m.end <= a->upper + 1;
		}
	assert_true(20 * right >= 19 * all);
	assert_true(10 * answered >= 9 * all);
	assert_true(100 * covered >= 88 * answered);
}

/* Share of straight lines of n points, in %, that get a knee or a level. */
static double false_knees(size_t from, size_t to, unsigned rounds, uint32_t seed)
{
	size_t bent = 0, all = 0;

	for (size_t n = from; n <= to; n = n * 3 / 2 + 1)
		for (unsigned k = 0; k < rounds; k++) {
			_cleanup_free_ double *x = xcalloc(n, sizeof(*x)), *y = xcalloc(n, sizeof(*y));
			struct segmented_fit f;

			for (size_t i = 0; i < n; i++) {
				double u = (double)i / (double)n;

				x[i] = 50 * (double)i;
				/* noise of one size, and noise that grows with the use */
				y[i] = 3 + 80 * u + 0.5 * ramp_noise(&seed) * (k % 2 ? 1 : u);
			}
			segmented_fit(x, y, n, TREND_TOLERATED_PCT, &f);
			bent += f.shape == SHAPE_KNEE || f.shape == SHAPE_SATURATING;
			all++;
		}
	return 100 * (double)bent / (double)all;
}

static void straight_lines_stay_straight(void **state)
{
	(void)state;
	assert_true(false_knees(6, 120, 40, 7) <= 5);
}

/*
 * A real ramp, whatever ended it: the threshold is put where its RAM was at 95 % of the ramp, and that is
 * forecast from the first quarter of its intervals; without `bends` as if nothing were known of why RAM
 * bends. Returns the VM count that was to be found.
 */
static double forecast_real(const struct run_record *r, bool bends, double model_error, struct forecast *ret)
{
	size_t n = r->intervals->rows, at = 1;
	_cleanup_free_ double *x = column(r->intervals, "vm_count", n);
	_cleanup_free_ double *ram = column(r->intervals, "ram_pct_mean", n);
	_cleanup_free_ double *asked = column(r->intervals, "ping_asked", n);
	_cleanup_free_ double *held_kb = held(r->intervals, n);
	double truth = 0.95 * x[n - 1];

	while (x[at] < truth)
		at++;
	double part = (truth - x[at - 1]) / (x[at] - x[at - 1]);
	*ret = forecast_stop(
		&(struct forecast_input){ .n = n / 4 + 1,
					  .vms = x,
					  .pct = { NULL, ram, NULL },
					  .asked = asked,
					  .held_kb = held_kb,
					  .pct_per_kb = bends ? 100 / run_num(r, "host.ram_kb") : 0,
					  .left = run_num(r, "options.intervals") - (double)(n - n % 4) / 4,
					  .model_error = model_error,
					  .threshold_pct = ram[at - 1] + part * (ram[at] - ram[at - 1]) });
	return truth;
}

static const char *const quiet[] = { "dense",	"tcg-25",     "tcg-50",	     "kvm-25",	  "kvm-50",
				     "bkvm-40", "leankvm-40", "leanidle-60", "process-20" };

static struct run_record *recorded(const char *prefix, const char *name)
{
	_cleanup_free_ char *dir = xasprintf("tests/fixtures/ramps/%s%s", prefix, name);
	struct run_record *r = NULL;

	assert_null(run_record_load(dir, &r));
	return r;
}

/* A busy host: nobody can be sure there, but the order of magnitude must be right. */
static void ramps_of_a_busy_host_are_forecast(void **state)
{
	static const char *const names[] = { "dense-a", "dense-b", "lean", "lean-fork", "stock" };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		_cleanup_(run_record_freep) struct run_record *r = recorded("", names[i]);
		_cleanup_(advice_freep) struct advice *a = NULL;
		struct forecast f;

		double truth = forecast_real(r, true, TREND_WANDER, &f);
		assert_true(f.ok && f.lower <= f.vms && f.vms <= f.upper);
		assert_true(f.vms > truth / 1.5 && f.vms < truth * 1.5);
		assert_null(advise_run(r, 0, &a));
		assert_true(a->ram_kb > 100 && a->ram_kb < 30000);
		assert_true(a->cost.kernel_kb > 100 && a->cost.kernel_kb < 1000);
	}
}

/*
 * Of a quiet host: the goals. How far each may stray comes from the others alone (leave one out); what the
 * forecasts themselves say does not depend on it.
 */
static void score_quiet(bool print, struct score *s)
{
	double stray[ARRAY_LEN(quiet)];

	for (size_t i = 0; i < ARRAY_LEN(quiet); i++) {
		_cleanup_(run_record_freep) struct run_record *r = recorded("quiet-", quiet[i]);
		struct forecast f;
		double truth = forecast_real(r, true, TREND_WANDER, &f);

		stray[i] = (f.vms - truth) / (truth - f.at);
	}
	for (size_t i = 0; i < ARRAY_LEN(quiet); i++) {
		_cleanup_(run_record_freep) struct run_record *r = recorded("quiet-", quiet[i]);
		double others[ARRAY_LEN(quiet)];
		struct forecast f;
		size_t n = 0;

		for (size_t k = 0; k < ARRAY_LEN(quiet); k++)
			if (k != i)
				others[n++] = stray[k];
		double truth = forecast_real(r, true, forecast_model_error(others, n), &f);
		score_add(s, &f, truth, f.ok && str_eq(f.resource, "ram"));
		if (print)
			printf("  %-12s %6.0f VMs: forecast %6.0f (%.0f to %.0f) at %.0f, off by %+.1f %%\n",
			       quiet[i], truth, f.vms, f.lower, f.upper, f.at, 100 * (f.vms / truth - 1));
	}
}

/* What a line alone would make of them, for comparison. */
static void score_lines(struct score *s)
{
	for (size_t i = 0; i < ARRAY_LEN(quiet); i++) {
		_cleanup_(run_record_freep) struct run_record *r = recorded("quiet-", quiet[i]);
		struct forecast f;
		double truth = forecast_real(r, false, 0, &f);

		score_add(s, &f, truth, f.ok);
	}
}

static void ramps_of_a_quiet_host_are_forecast(void **state)
{
	struct score s = { 0 };

	(void)state;
	score_quiet(false, &s);
	assert_true(quantile(s.errors, s.n, 0.5) < 3);
	assert_true(quantile(s.errors, s.n, 0.9) < 6);
	assert_true(s.covered >= s.n - 1);
	assert_int_equal(s.right, s.n);
	free(s.errors);
}

/* What a clone under TCG keeps when it was woken was the same in three ramps, and a VM of one thread keeps
 * nothing. */
static void the_bend_has_its_cause(void **state)
{
	static const struct {
		const char *name;
		double low, high;
	} kept[] = { { "dense", 400, 500 },
		     { "tcg-25", 400, 500 },
		     { "tcg-50", 400, 500 },
		     { "kvm-50", 200, 320 },
		     { "kvm-25", 200, 320 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		_cleanup_(run_record_freep) struct run_record *r = recorded("quiet-", kept[i].name);
		_cleanup_(advice_freep) struct advice *a = NULL;

		assert_null(advise_run(r, 0, &a));
		assert_true(a->cost.woken_kb > kept[i].low && a->cost.woken_kb < kept[i].high);
		assert_int_equal(a->metrics[1].trend.shape.shape, SHAPE_LINEAR);
	}
}

/* What advice on one ramp says of more VMs than it had, another ramp to there has measured. */
static void one_ramp_foretells_another(void **state)
{
	static const struct {
		const char *from;
		double pct, vms; /* the last row of quiet-dense, and the last but one of quiet-kvm-50 */
	} pairs[] = { { "tcg-50", 87.3861, 100000 }, { "kvm-25", 47.1994, 26578 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		_cleanup_(run_record_freep) struct run_record *r = recorded("quiet-", pairs[i].from);
		_cleanup_(advice_freep) struct advice *a = NULL;

		assert_null(advise_run(r, pairs[i].pct, &a));
		assert_true(a->ok && !a->measured);
		assert_true(fabs(a->vms / pairs[i].vms - 1) < 0.02);
		assert_true(a->lower <= pairs[i].vms && pairs[i].vms <= a->upper);
		assert_null(advice_whatif(r, a, NULL, 0, NULL));
		assert_true(a->n_whatif > 0 && strstr(a->whatif[0].change, "--verify 0"));
	}
}

/* 10,000 VMs needed no more than pid_max allowed, so the run left it as it was: that is no end. */
static void a_limit_that_was_not_needed_is_no_end(void **state)
{
	_cleanup_(run_record_freep) struct run_record *r = recorded("", "dense-b");
	_cleanup_(advice_freep) struct advice *a = NULL, *kept = NULL;

	(void)state;
	assert_null(advise_run(r, 0, &a));
	assert_string_equal(a->binding, "ram");
	assert_true(a->next_vms > 100000);
	json_object_set_new(json_object_get(r->meta, "options"), "no_raise", json_true());
	assert_null(advise_run(r, 0, &kept));
	assert_string_equal(kept->binding, "limit:pid_max");
	assert_true(kept->vms > 10000 && kept->vms < 12000);
}

static double cpu_ms(void)
{
	return 1000 * (double)clock() / CLOCKS_PER_SEC;
}

static void bench_made(void)
{
	struct score all = { 0 };

	printf("Forecast of the end from the first quarter of a ramp, %d made ramps of each kind\n",
	       MANY_SEEDS);
	printf("  %-10s %12s %10s %14s %14s\n", "kind", "median error", "p90", "95 % holds", "right cause");
	for (int k = 0; k < RAMP_KINDS; k++) {
		struct score s = { 0 };

		for (uint32_t seed = 0; seed < MANY_SEEDS; seed++) {
			struct ramp_made m = ramp_case((enum ramp_kind)k, seed);

			score_made(&m, &s);
			score_made(&m, &all);
		}
		printf("  %-10s %10.2f %% %8.2f %% %12.0f %% %12.0f %%\n", ramp_names[k],
		       quantile(s.errors, s.n, 0.5), quantile(s.errors, s.n, 0.9), share(s.covered, &s),
		       share(s.right, &s));
		free(s.errors);
	}
	printf("  %-10s %10.2f %% %8.2f %% %12.1f %% %12.1f %%\n", "all", quantile(all.errors, all.n, 0.5),
	       quantile(all.errors, all.n, 0.9), share(all.covered, &all), share(all.right, &all));
	printf("  goals      %12s %10s %14s %14s\n", "5 %", "10 %", "90 to 99 %", "95 %");
	free(all.errors);
}

static void format_score(const char *what, const struct score *s)
{
	printf("  %s: median error %.1f %%, p90 %.1f %%, interval holds %zu of %zu\n", what,
	       quantile(s->errors, s->n, 0.5), quantile(s->errors, s->n, 0.9), s->covered, s->n);
}

static void bench_real(const char *dir, struct score *s)
{
	_cleanup_(run_record_freep) struct run_record *r = NULL;
	_cleanup_err_ error *e = run_record_load(dir, &r);
	struct forecast f;

	if (strstr(dir, "/quiet-"))
		return; /* have a part of their own */
	if (e) {
		printf("  %s: %s\n", dir, e->msg);
		return;
	}
	double truth = forecast_real(r, true, TREND_WANDER, &f);
	score_add(s, &f, truth, f.ok);
	printf("  %-34s %6.0f VMs: forecast %6.0f (%.0f to %.0f) at %.0f\n", dir, truth, f.vms, f.lower,
	       f.upper, f.at);
}

static void bench_speed(void)
{
	struct ramp_made m = ramp_case(RAMP_RAM_KNEE, 3);
	double took[2];

	for (int k = 0; k < 2; k++) {
		m.n = k ? 1000 : 100;
		_cleanup_(run_record_freep) struct run_record *r = ramp_record(&m, 1);
		_cleanup_(advice_freep) struct advice *a = NULL;
		double start = cpu_ms();
		error *e = advise_run(r, 0, &a);

		err_free(e);
		took[k] = cpu_ms() - start;
	}
	printf("Advice on 100 intervals: %.1f ms of CPU; on 1,000: %.1f ms (goal: below 100), %.1f times as long\n",
	       took[0], took[1], took[1] / fmax(took[0], 0.001));
}

static int bench(int n, char **dirs)
{
	struct score real = { 0 }, calm = { 0 }, line = { 0 };

	bench_made();
	printf("False knees on straight lines of 6 to 200 points: %.1f %% (goal: at most 5)\n",
	       false_knees(6, 200, 200, 7));
	puts("Real ramps of a quiet host, threshold put at 95 % of each, intervals by what the others strayed");
	score_quiet(true, &calm);
	format_score("all", &calm);
	score_lines(&line);
	format_score("with a line alone", &line);
	free(line.errors);
	if (n)
		puts("The same of a busy host");
	for (int i = 0; i < n; i++)
		bench_real(dirs[i], &real);
	if (real.n)
		format_score("all", &real);
	free(calm.errors);
	free(real.errors);
	bench_speed();
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(goals_are_met),
		cmocka_unit_test(advice_names_what_binds),
		cmocka_unit_test(straight_lines_stay_straight),
		cmocka_unit_test(ramps_of_a_busy_host_are_forecast),
		cmocka_unit_test(ramps_of_a_quiet_host_are_forecast),
		cmocka_unit_test(the_bend_has_its_cause),
		cmocka_unit_test(one_ramp_foretells_another),
		cmocka_unit_test(a_limit_that_was_not_needed_is_no_end),
	};

	if (argc > 1 && strcmp(argv[1], "--bench") == 0)
		return bench(argc - 2, argv + 2);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
