/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advise/accuracy.h"
#include "advise/advice_plot.h"
#include "advise/fleet.h"
#include "advise/published.h"
#include "advise/target.h"
#include "advise/verdict.h"
#include "base/util.h"
#include "cmd/cmd.h"
#include "model/thin.h"
#include "record/read.h"

struct advise_args {
	struct strlist dirs; /* the first is judged, the others say what a change would gain */
	const char *table, *fleet, *plot;
	bool json, on_host, residuals;
	double target;
	struct host_spec host;
	struct advise_options o;
};

#define AT(field) offsetof(struct advise_args, field)
#define WHAT_IF "What if:"
#define OTHER "Other:"

static error *take_host(const struct option_row *o, const char *arg, void *config)
{
	struct advise_args *a = config;

	(void)o;
	a->on_host = true;
	return host_spec_parse(arg, &a->host);
}

/* "cpu=4,ram=1.5", or one number for both */
static error *take_overcommit(const struct option_row *o, const char *arg, void *config)
{
	struct advise_options *to = &((struct advise_args *)config)->o;
	_cleanup_free_ char *copy = xstrdup(arg);
	char *rest = copy, *part;

	while ((part = strsep(&rest, ","))) {
		bool cpu = str_starts(part, "cpu="), ram = str_starts(part, "ram=");
		double v;

		bool lone = !cpu && !ram && strchr(arg, ',');

		if (lone || !parse_double(part + (cpu || ram ? 4 : 0), o->min, o->max, &v))
			return err_new(EXIT_BAD_INPUT,
				       "--overcommit '%s': write it like cpu=4,ram=1.5, each from 1 to 1000",
				       arg);
		to->overcommit_cpu = ram ? to->overcommit_cpu : v;
		to->overcommit_ram = cpu ? to->overcommit_ram : v;
	}
	return NULL;
}

static const struct option_row options[] = {
	{ "json", 0, NULL, NULL, OPT_FLAG, AT(json), .help = "Print the answer as one JSON object" },
	{ "threshold", 0, "PCT", NULL, OPT_REAL, AT(o.threshold),
	  .help = "Ask for this use of the host, 1 to 100 %, instead of the run's own threshold", .min = 1,
	  .max = 100 },
	{ "force", 0, NULL, NULL, OPT_FLAG, AT(o.force),
	  .help = "Give a number also where it lies beyond twice what was measured" },
	{ "host", 0, "SPEC", WHAT_IF, OPT_ANY, AT(host), .take = take_host,
	  .help = "Project onto another host, such as cores=48,ram=128G,swap=0,nodes=2 (NUMA nodes); what is left out is as measured" },
	{ "reserve", 0, "PCT", WHAT_IF, OPT_REAL, AT(o.reserve_pct),
	  .help = "Keep PCT % of every resource free below the threshold, for peaks and for hosts that fail",
	  .max = 99 },
	{ "overcommit", 0, "SPEC", WHAT_IF, OPT_ANY, AT(o), .take = take_overcommit, .min = 1, .max = 1000,
	  .help = "Count the host as larger than it is, such as cpu=4,ram=1.5: what is promised, not what is there" },
	{ "target", 0, "N", WHAT_IF, OPT_REAL, AT(target), .help = "Say what host holds N such VMs", .min = 1,
	  .max = 1e9 },
	{ "fleet", 0, "FILE", WHAT_IF, OPT_ANY, AT(fleet),
	  .help = "Say how many hosts of which kind carry the demand in FILE (see docs/advice.md)" },
	{ "table", 0, "CSV", OTHER, OPT_ANY, AT(table),
	  .help = "Judge the rows of a table of results (columns cpu_pct, ram_pct, swap_pct) instead of a run" },
	{ "plot", 0, "FILE", OTHER, OPT_ANY, AT(plot),
	  .help = "Draw data, fit, prediction band, threshold and the count to plan with; .svg, .png or .pdf" },
	{ "residuals", 0, NULL, OTHER, OPT_FLAG, AT(residuals),
	  .help = "With --plot: draw what the fit leaves instead" },
	{ 0 },
};

static error *check(void *config)
{
	const struct advise_args *a = config;
	const char *wrong = NULL;

	if (!a->dirs.count && !a->table && !a->fleet)
		wrong = "name a run folder, such as runs/20260101T120000Z-qemu-dense-sleep";
	else if (a->dirs.count && (a->table || a->fleet))
		wrong = "--table and --fleet stand instead of a run folder";
	else if ((a->table || a->fleet) && (a->plot || a->on_host || a->target > 0 || a->o.force))
		wrong = "--plot, --host, --target and --force need a run folder";
	else if (a->table &&
		 (a->fleet || a->o.reserve_pct > 0 || a->o.overcommit_cpu > 0 || a->o.overcommit_ram > 0))
		wrong = "--table goes with --threshold and --json only";
	else if (a->residuals && !a->plot)
		wrong = "--residuals says how to draw: give --plot FILE, too";
	return wrong ? err_new(EXIT_BAD_INPUT, "%s", wrong) : NULL;
}

static int judge_table(const struct advise_args *args)
{
	_cleanup_(csv_freep) struct csv *t = NULL;
	struct published_row *rows = NULL;
	size_t n = 0;
	int status = EXIT_DONE;
	error *e = csv_load_whole(args->table, &t);

	if (!e)
		e = published_classify(t, args->table,
				       args->o.threshold > 0 ? args->o.threshold : PUBLISHED_THRESHOLD_PCT,
				       &rows, &n);
	if (e)
		return cmd_fail(e);
	if (args->json) {
		cmd_print_json(published_json(rows, n), 6);
	} else {
		_cleanup_free_ char *text = published_text(rows, n);
		fputs(text, stdout);
	}
	for (size_t i = 0; i < n; i++)
		if (rows[i].class == CLASS_INCONCLUSIVE)
			status = EXIT_INCONCLUSIVE;
	published_free(rows, n);
	return status;
}

static int plan_fleet(const struct advise_args *args)
{
	_cleanup_(fleet_freep) struct fleet *f = NULL;
	struct fleet_plan p;
	error *e = fleet_load(args->fleet, &args->o, &f);

	if (e)
		return cmd_fail(e);
	fleet_pack(f, &p);
	int status = p.left > 0 ? EXIT_REGRESSION : EXIT_DONE;
	if (args->json) {
		cmd_print_json(fleet_json(f, &p), 6);
	} else {
		_cleanup_free_ char *text = fleet_text(f, &p);
		fputs(text, stdout);
	}
	fleet_plan_clear(&p);
	return status;
}

static void print_advice(const struct advise_args *args, const struct run_record *r, const struct advice *a)
{
	struct host_need need = { 0 };

	if (args->target > 0)
		host_need_of(r, a, args->target, &need);
	if (args->json) {
		json_t *o = advice_json(a);

		if (args->target > 0)
			json_object_set_new(o, "target", host_need_json(&need));
		cmd_print_json(o, 6);
	} else {
		_cleanup_free_ char *text = advice_text(a);

		if (args->target > 0) {
			_cleanup_free_ char *words = host_need_text(&need, a);
			fputs(words, stdout);
		}
		fputs(text, stdout);
	}
	host_need_clear(&need);
}

/* The runs after the first; all of them are freed by the caller. */
static error *load_all(const struct strlist *dirs, struct run_record **runs)
{
	error *e = NULL;

	for (size_t i = 0; i < dirs->count && !e; i++)
		if (!(e = run_record_load(dirs->items[i], &runs[i])))
			run_record_thin(runs[i]);
	return e;
}

static error *advise(struct advise_args *args, struct run_record **runs, int *status)
{
	_cleanup_(advice_freep) struct advice *a = NULL;
	_cleanup_free_ char *ledger = ledger_path(), *host = NULL;
	error *e = load_all(&args->dirs, runs);

	if (e)
		return e;
	host = ledger_host(runs[0]);
	if (ledger) /* what is wrong with it is said below */
		err_free(ledger_wander(ledger, host, &args->o.model_error));
	if ((e = advise_run_with(runs[0], &args->o, &a)))
		return e;
	e = advice_complete(runs[0], a, runs + 1, args->dirs.count - 1, ledger);
	if (e) /* the advice stands without it */
		cmd_fail(err_wrap(e, "the advice lacks what others measured"));
	print_advice(args, runs[0], a);
	*status = a->ok ? EXIT_DONE : EXIT_INCONCLUSIVE;
	return args->plot ? advice_plot(runs[0], a, args->residuals, args->plot) : NULL;
}

static int run(int argc, char **argv)
{
	struct advise_args args = { 0 };
	int status = EXIT_DONE;

	cmd_parse(&cmd_advise, argc, argv, &args);
	if (args.table)
		return judge_table(&args);
	if (args.fleet)
		return plan_fleet(&args);
	args.o.host = args.on_host ? &args.host : NULL;
	struct run_record **runs = xcalloc(args.dirs.count, sizeof(void *));
	error *e = advise(&args, runs, &status);
	cmd_free_runs(runs, &args.dirs);
	return e ? cmd_fail(e) : status;
}

const struct command cmd_advise = {
	.name = "advise",
	.summary = "say what ends the growth of a run first, and at how many VMs",
	.usage = "RUN [OTHER...]\n--table CSV\n--fleet FILE",
	.doc = "Says what ends the growth of a run first (CPU, RAM, swap or a limit of the system), at how many VMs, and how sure that is. A run that reached its threshold or a limit has measured the "
	       "answer; otherwise robust fits say where the first curve crosses, with a 95 % prediction interval. No number is given that the data do not carry. OTHER runs say what a change would gain.\v"
	       "Examples:\n"
	       "  mvmscale advise runs/A\n"
	       "  mvmscale advise runs/A runs/B --plot advice.png\n"
	       "  mvmscale advise runs/A --host cores=64,ram=512G,swap=0 --reserve 10\n"
	       "  mvmscale advise runs/A --target 10000\n\n"
	       "Past forecasts are quoted from the ledger that 'mvmscale run --predict' keeps ($MVMSCALE_LEDGER, else mvmscale/ledger.db below $XDG_STATE_HOME or ~/.local/state).\n\n"
	       "Exit status: 0 an answer; 2 not a readable run folder; 3 no gnuplot for --plot; 4 inconclusive (the reasons say what to do).\n",
	.options = options,
	.words = AT(dirs),
	.check = check,
	.run = run,
};
