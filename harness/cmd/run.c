/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "advise/accuracy.h"
#include "base/text.h"
#include "base/util.h"
#include "cmd/cmd.h"
#include "cmd/run.h"
#include "host/facts.h"
#include "run/progress.h"
#include "run/run.h"

static void on_signal(int sig)
{
	/* The second one means now: the kernel kills the VMs with us, the janitor puts the host back. */
	if (run_interrupted)
		_exit(EXIT_INTERRUPTED);
	run_interrupted = sig;
}

static void on_status(void *user, const struct run_status *s)
{
	progress_status(user, s);
}

static void on_notice(void *user, const char *text)
{
	progress_notice(user, text);
}

static void on_interval(void *user, const struct run_status *s, double kb, bool settled)
{
	progress_interval(user, s, kb, settled);
}

/* How far growth strayed from forecasts on this host; 0: the ledger does not say (why, its next entry says).
 */
static double model_error_here(void)
{
	_cleanup_free_ char *ledger = ledger_path(), *name = NULL;
	struct host h;
	double model_error = 0;

	if (!ledger)
		return 0;
	host_read(&h, "");
	name = ledger_host_name(h.cpu_model, (double)h.cores_online, (double)h.mem_total_kb);
	host_free(&h);
	err_free(ledger_wander(ledger, name, &model_error));
	return model_error;
}

static error *take(void *config, size_t at, const char *arg)
{
	return run_options_take(config, at, arg);
}

void run_parse(int argc, char **argv, struct run_options *o)
{
	run_options_init(o);
	cmd_parse(&cmd_run, argc, argv, o);
	error *e = run_options_finish(o);
	if (e)
		cmd_usage(&cmd_run, "%s", e->msg);
}

static int run_main(int argc, char **argv)
{
	_cleanup_(run_options_clear) struct run_options o = { 0 };
	struct run_outcome out = { 0 };
	struct progress p;
	_cleanup_(aftermath_clear) struct aftermath after = { 0 };
	_cleanup_(slo_freep) struct slo *slo = NULL;
	error *e = NULL;

	run_parse(argc, argv, &o);
	/* rather than a record in which what cannot be written is missing */
	for (int i = 1; i < argc; i++)
		if (!text_is_utf8(argv[i]))
			return cmd_fail(err_new(
				EXIT_BAD_INPUT,
				"'%s' is no UTF-8 text, and run.json can hold no other: choose another name",
				argv[i]));
	/* before the first VM: a file that cannot be read must not cost a run */
	if (o.slo && (e = slo_load(o.slo, &slo)))
		return cmd_fail(e);
	if (slo && !slo_has_limits(slo))
		return cmd_fail(err_new(
			EXIT_BAD_INPUT,
			"--slo %s: it has no [limits], so this run would pass whatever it is: its [changes] are for 'mvmscale compare' and 'ab'",
			o.slo));
	/* A null VM is quiet at once, and its figures need no long windows. */
	o.fast = o.backend->flags & BACKEND_SYNTHETIC;
	if (o.fast)
		o.sample_s = MIN(o.sample_s, 0.005);
	if (o.predict && !o.fast)
		o.model_error = model_error_here();
	progress_init(&p, stderr, o.quiet);
	struct run_observer obs = {
		.user = &p, .status = on_status, .notice = on_notice, .interval = on_interval
	};
	cmd_on_end(on_signal);
	signal(SIGPIPE, SIG_IGN);
	e = run_ramp(&o, &obs, &out);
	progress_clear(&p);
	if (e && !out.dir) {
		run_outcome_clear(&out);
		return cmd_fail(e);
	}
	bool said = e || (out.stop.kind == STOP_FAILED && out.reached == 0);
	int status = e ? cmd_fail(e) : outcome_status(&out);
	outcome_finish(out.dir, &after);
	if (out.stop.kind == STOP_FAILED && out.reached == 0 && !e)
		fprintf(stderr, "mvmscale: no VM came up: %s\n", out.stop.evidence);
	if (slo)
		status = outcome_check_slo(&after, slo, status);
	if (o.json)
		outcome_print_json(&out, &after, status);
	else if (!o.quiet)
		outcome_print(&out, &after);
	else if (!said && (out.failed || outcome_status(&out) != EXIT_DONE))
		outcome_headline(&out, stderr);
	run_outcome_clear(&out);
	return status;
}

const struct command cmd_run = {
	.name = "run",
	.summary = "boot VMs in rising numbers and record what they cost (the default command)",
	.doc = "Boots minimal VMs in rising numbers and records CPU, RAM and swap of the host at each step."
	       "\vThe run stops at --max, when a resource reaches the threshold, or before a limit of the host would "
	       "be hit, and says which. It leaves a run folder with samples.csv, intervals.csv, run.json, plot.svg, plot.png, advice.txt and advice.json.\n\n"
	       "Of an option that is given twice the last one counts.\n\n"
	       "Examples:\n"
	       "  mvmscale --max 200\n"
	       "  mvmscale --max 300 --profile idle --name 'PIT on'\n"
	       "  mvmscale --max 1000 --qemu ./qemu-system-x86_64 --repeat 3\n\n"
	       "Exit status: 0 done, 1 a limit of --slo is broken, 2 bad input, 3 cannot run here, 4 a limit of --slo could not be checked, 5 VMs were lost or did not answer, 130 interrupted with "
	       "results saved.",
	.rows = run_option_rows,
	NO_WORDS,
	.too_many = "'%s': run takes options only",
	.take = take,
	.run = run_main,
};
