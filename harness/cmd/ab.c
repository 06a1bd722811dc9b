/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/util.h"
#include "cmd/ab_kernel.h"
#include "cmd/cmd.h"
#include "cmd/compare.h"
#include "cmd/run.h"
#include "compare/spec.h"
#include "matrix/matrix.h"
#include "model/sequential.h"

#define ROUNDS_AUTO_MAX 60

struct ab_args {
	struct judge_args judge; /* where judge_rows want it */
	const char *spec[2];
	const char *outer; /* options of kernel for both sides, or NULL */
	unsigned rounds;   /* 0: auto */
	double budget_s;
	const char *out;
	bool quiet;
	struct strlist common; /* options of run for both sides */
};

/* One comparison as it grows. */
struct ab {
	const struct ab_args *args;
	struct strlist options[2], intended;
	struct strlist kernel[2]; /* options of `mvmscale kernel`; empty: runs on this host */
	struct side sides[2];
	struct look_plan plan;
	struct comparison *last; /* the latest look */
	size_t started;		 /* runs */
	double longest_s;	 /* of one run so far */
	uint64_t start_ns;
};

/* Counted up by every signal that asks to end; the run that goes on is told. */
static volatile int signals;

#define AT(field) offsetof(struct ab_args, field)
#define WHAT "What to compare:"

static const struct option_row options[] = {
	{ "a", 0, "SPEC", WHAT, OPT_ANY, AT(spec[0]),
	  .help = "Options of run for side A: KEY=VALUE,... such as qemu=/opt/old/qemu-system-x86_64" },
	{ "b", 0, "SPEC", WHAT, OPT_ANY, AT(spec[1]), .help = "The same for side B" },
	{ "outer", 0, "OPTIONS", WHAT, OPT_ANY, AT(outer),
	  .help = "Where the sides name kernels (vmlinuz=FILE): options of 'mvmscale kernel' for both, such as '--memory 4096'" },
	{ "rounds", 0, "N|auto", WHAT, OPT_WHOLE, AT(rounds),
	  .help = "Runs of each side; auto (default) goes on until the answer is known, 60 rounds are made or the budget is spent",
	  .min = 1, .max = 1000, .words = "auto" },
	{ "budget", 0, "SECONDS", WHAT, OPT_REAL, AT(budget_s),
	  .help = "Begin no run that would end later than this (default: no limit)", .min = 1, .max = 1e7 },
	{ "out", 0, "DIR", WHAT, OPT_ANY, AT(out),
	  .help = "Folder of the runs a-1, b-1, ... (default runs/<time>-ab)" },
	{ "quiet", 'q', NULL, WHAT, OPT_FLAG, AT(quiet), .help = "No progress, only the answer" },
	{ 0 },
};

static void on_signal(int sig)
{
	(void)sig;
	signals++;
}

static void say(const struct ab *ab, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(const struct ab *ab, const char *fmt, ...)
{
	va_list ap;

	if (ab->args->quiet)
		return;
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

static void add_command(const struct ab *ab, int side, const char *dir, struct strlist *argv)
{
	bool seeded = false;

	bool nested = ab->kernel[side].count;

	if (nested)
		ab_add_kernel(&ab->kernel[side], ab->args->outer, dir, argv);
	else
		strlist_add(argv, "run");
	strlist_add(argv, "--quiet");
	for (size_t i = 0; i < ab->args->common.count; i++)
		strlist_add(argv, ab->args->common.items[i]);
	for (size_t i = 0; i < ab->options[side].count; i++)
		strlist_add(argv, ab->options[side].items[i]);
	for (size_t i = 0; i < argv->count; i++)
		seeded |= str_starts(argv->items[i], "--seed");
	/* runs that draw the same numbers would not be independent */
	if (!seeded)
		strlist_addf(argv, "--seed=%zu", ab->started + 1);
	if (!nested)
		strlist_addf(argv, "--out=%s", dir);
}

/* "out/log-a-1" of "out/a-1": patterns such as out/a-* name the runs alone. */
static char *log_of(const char *dir)
{
	const char *name = strrchr(dir, '/') + 1;

	return xasprintf("%.*slog-%s", (int)(name - dir), dir, name);
}

static void log_line(void *user, const char *text)
{
	fprintf(user, "%s\n", text);
}

/* Runs one ramp; its words go into a log beside the folder. *ret_status is its exit status. */
static error *run_child(const struct ab *ab, int side, const char *dir, int *ret_status)
{
	_cleanup_(strlist_clear) struct strlist argv = { 0 };
	_cleanup_free_ char *path = log_of(dir), *tail = NULL;
	_cleanup_fclose_ FILE *log = fopen(path, "we");

	if (!log)
		return err_sys(EXIT_CANNOT, errno, "cannot write %s", path);
	add_command(ab, side, dir, &argv);
	return child_run(&argv, &signals, log_line, log, ret_status, &tail);
}

/* What a run that could not be made said, as the error that ends it all. */
static error *child_failed(const char *dir, int status)
{
	_cleanup_free_ char *log = log_of(dir), *said = NULL;

	err_free(fs_read(log, &said, NULL));
	size_t n = said ? strlen(said) : 0;
	while (n && said[n - 1] == '\n')
		said[--n] = '\0';
	return err_new(status == EXIT_BAD_INPUT ? EXIT_BAD_INPUT : EXIT_CANNOT,
		       "the run %s ended with status %d: %s", dir, status, n ? said : "it said nothing");
}

/* Makes the next run; *ret_done is false when it was interrupted. */
static error *next_run(struct ab *ab, bool *ret_done)
{
	int side = abba_side(ab->started), status = 0;
	_cleanup_free_ char *dir =
		xasprintf("%s/%c-%zu", ab->args->out, side ? 'b' : 'a', ab->sides[side].n + 1);
	uint64_t start = clock_ns();

	error *e = run_child(ab, side, dir, &status);
	double seconds = (double)(clock_ns() - start) / 1e9;
	*ret_done = false;
	if (e || signals || status == EXIT_INTERRUPTED) {
		signals += status == EXIT_INTERRUPTED;
		return e;
	}
	/* 5: VMs died; the comparison will say so, and what it means */
	if (status != EXIT_DONE && status != EXIT_UNTRUSTED && status != EXIT_REGRESSION)
		return child_failed(dir, status);
	if ((e = side_load(&ab->sides[side], dir)))
		return e;
	ab->started++;
	ab->longest_s = fmax(ab->longest_s, seconds);
	*ret_done = true;
	say(ab, "%s: %.0f VMs in %.1f s", dir, run_measured_to(ab->sides[side].runs[ab->sides[side].n - 1]),
	    seconds);
	return NULL;
}

static error *look(struct ab *ab, double share)
{
	struct compare_options o = ab->args->judge.o;

	o.alpha *= share;
	o.beta *= share;
	o.intended = &ab->intended;
	comparison_free(STEAL(ab->last));
	return compare_sides(&ab->sides[0], &ab->sides[1], &o, &ab->last);
}

/* Whether the rounds that were planned are made, or the time that was given will not hold another round. */
static bool is_over(const struct ab *ab)
{
	size_t most = ab->args->rounds ? ab->args->rounds : ROUNDS_AUTO_MAX;
	double spent = (double)(clock_ns() - ab->start_ns) / 1e9;

	return ab->sides[0].n >= most ||
	       (ab->args->budget_s > 0 && spent + 2 * ab->longest_s > ab->args->budget_s);
}

/* After a whole round: looks if it is time to. *ret_decided when no further round is needed. */
static error *after_round(struct ab *ab, bool *ret_decided)
{
	size_t n = MIN(ab->sides[0].n, ab->sides[1].n);
	error *e = NULL;

	if (!ab->plan.next) {
		/* only for the number of figures, and for what no number of rounds would mend */
		if ((e = look(ab, 1)) || !ab->last)
			return e;
		look_plan_first(&ab->plan, ab->args->judge.o.alpha, ab->last->n_rows);
		if (ab->last->verdict == VERDICT_INVALID) {
			*ret_decided = true;
			return NULL;
		}
		if (!ab->args->rounds)
			say(ab, "first look after %zu rounds", ab->plan.next);
	}
	if (ab->args->rounds || n < ab->plan.next || is_over(ab))
		return NULL;
	if ((e = look(ab, look_plan_spend(&ab->plan, false))) || !ab->last)
		return e;
	*ret_decided = ab->last->verdict != VERDICT_INCONCLUSIVE;
	_cleanup_free_ char *headline = comparison_headline(ab->last);
	say(ab, "after %zu rounds: %s", n, headline);
	return NULL;
}

static error *all_rounds(struct ab *ab)
{
	bool decided = false;
	error *e = NULL;

	while (!e && !decided && !signals && !is_over(ab)) {
		bool done = true;

		for (int half = 0; half < 2 && !e && done && !signals; half++)
			e = next_run(ab, &done);
		if (!e && done && !signals)
			e = after_round(ab, &decided);
	}
	if (e || decided)
		return e;
	if (!ab->sides[0].n || !ab->sides[1].n)
		return signals ? err_new(EXIT_INTERRUPTED,
					 "interrupted before both sides had a run: nothing to compare")
			       : err_new(EXIT_INCONCLUSIVE,
					 "the budget of %g s is spent before both sides had a run",
					 ab->args->budget_s);
	return look(ab, look_plan_spend(&ab->plan, true));
}

static error *prepare(struct ab *ab)
{
	const struct ab_args *a = ab->args;
	error *e = NULL;

	_cleanup_free_ const struct option_row **known = ab_spec_rows();

	for (int k = 0; k < 2 && !e; k++)
		e = spec_parse(a->spec[k], known, &ab->options[k]);
	if (e)
		return e;
	spec_differences(&ab->options[0], &ab->options[1], &ab->intended);
	for (int k = 0; k < 2; k++)
		ab_take_kernel_options(&ab->options[k], &ab->kernel[k]);
	if ((e = ab_check_kernels(ab->kernel, a->outer)))
		return e;
	if (access(a->out, F_OK) == 0)
		return err_new(EXIT_BAD_INPUT, "%s exists already: give another folder with --out", a->out);
	return fs_mkdirs(a->out);
}

static void ab_clear(struct ab *ab)
{
	for (int k = 0; k < 2; k++) {
		strlist_clear(&ab->options[k]);
		strlist_clear(&ab->kernel[k]);
		side_clear(&ab->sides[k]);
	}
	strlist_clear(&ab->intended);
	comparison_free(ab->last);
}

static int run(int argc, char **argv)
{
	struct ab_args a = { 0 };
	struct ab ab = { .args = &a, .plan = look_plan_start(), .start_ns = clock_ns() };

	judge_init(&a.judge, argc, argv);
	cmd_parse(&cmd_ab, argc, argv, &a);
	if (!a.spec[0] || !a.spec[1])
		cmd_usage(&cmd_ab,
			  "name both sides: --a SPEC --b SPEC (an empty SPEC is the common options alone)");
	_cleanup_free_ char *standard = a.out ? NULL : cmd_standard_folder("ab");
	a.out = a.out ? a.out : standard;
	cmd_on_end(on_signal);
	error *e = prepare(&ab);
	if (!e)
		e = all_rounds(&ab);
	int status = signals ? EXIT_INTERRUPTED : EXIT_INCONCLUSIVE;
	if (!e && ab.last) {
		e = judge_tell(&a.judge, &ab.sides[1], ab.last);
		status = signals ? status : (int)verdict_status(ab.last->verdict);
	}
	if (e)
		status = cmd_fail(e);
	if (ab.started)
		say(&ab, "Runs: %s", a.out);
	status = judge_status(&a.judge, status);
	ab_clear(&ab);
	judge_clear(&a.judge);
	strlist_clear(&a.common);
	return status;
}

const struct command cmd_ab = {
	.name = "ab",
	.summary = "run two configurations in turns and compare them",
	.usage = "-- [RUN-OPTION...]",
	.doc = "Runs two configurations in turns, A B B A, and says whether B costs more than A. Each run is one of "
	       "'mvmscale run', or of 'mvmscale kernel' where both name a vmlinuz, with the options after -- and those of its side. With --rounds auto it looks at the results "
	       "at rounds planned beforehand, and the chance of a false alarm stays that of --alpha over all looks.\v"
	       "Examples:\n"
	       "  mvmscale ab --a qemu=/usr/bin/qemu-system-x86_64 --b qemu=./build/qemu-system-x86_64 -- --preset lean --max 40 --intervals 4\n"
	       "  mvmscale ab --a tune= --b tune=+ksm --budget 600 -- --max 500\n"
	       "  mvmscale ab --a vmlinuz=/boot/vmlinuz-6.1 --b vmlinuz=arch/x86/boot/bzImage -- --preset lean --accel tcg --max 20 --intervals 4\n\n"
	       "Ctrl-C ends it, keeps the runs that are complete and compares them; a second one ends the present run at once.\n\n"
	       "Exit status: 0 pass or improved, 1 regressed or a limit is broken, 2 bad input, 3 a run cannot be made here, 4 inconclusive, 5 invalid, 130 interrupted.\n",
	.options = options,
	.shared = judge_rows,
	.words = AT(common),
	.run = run,
};
