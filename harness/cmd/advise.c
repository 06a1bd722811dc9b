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

enum {
	KEY_JSON = 256,
	KEY_THRESHOLD,
	KEY_HOST,
	KEY_FORCE,
	KEY_RESERVE,
	KEY_OVERCOMMIT,
	KEY_TARGET,
	KEY_FLEET,
	KEY_TABLE,
	KEY_PLOT,
	KEY_RESIDUALS
};

static const struct argp_option options[] = {
	{ "json", KEY_JSON, NULL, 0, "Print the answer as one JSON object", 0 },
	{ "threshold", KEY_THRESHOLD, "PCT", 0,
	  "Ask for this use of the host, 1 to 100 %, instead of the run's own threshold", 0 },
	{ "force", KEY_FORCE, NULL, 0, "Give a number also where it lies beyond twice what was measured", 0 },
	{ NULL, 0, NULL, 0, "What if:", 1 },
	{ "host", KEY_HOST, "SPEC", 0,
	  "Project onto another host, such as cores=48,ram=128G,swap=0,nodes=2 (NUMA nodes); what is left out is as measured",
	  0 },
	{ "reserve", KEY_RESERVE, "PCT", 0,
	  "Keep PCT % of every resource free below the threshold, for peaks and for hosts that fail", 0 },
	{ "overcommit", KEY_OVERCOMMIT, "SPEC", 0,
	  "Count the host as larger than it is, such as cpu=4,ram=1.5: what is promised, not what is there",
	  0 },
	{ "target", KEY_TARGET, "N", 0, "Say what host holds N such VMs", 0 },
	{ "fleet", KEY_FLEET, "FILE", 0,
	  "Say how many hosts of which kind carry the demand in FILE (see docs/advice.md)", 0 },
	{ NULL, 0, NULL, 0, "Other:", 2 },
	{ "table", KEY_TABLE, "CSV", 0,
	  "Judge the rows of a table of results (columns cpu_pct, ram_pct, swap_pct) instead of a run", 0 },
	{ "plot", KEY_PLOT, "FILE", 0,
	  "Draw data, fit, prediction band, threshold and the count to plan with; .svg, .png or .pdf", 0 },
	{ "residuals", KEY_RESIDUALS, NULL, 0, "With --plot: draw what the fit leaves instead", 0 },
	{ 0 },
};

/* "cpu=4,ram=1.5", or one number for both */
static void parse_overcommit(struct argp_state *state, const char *arg, struct advise_options *o)
{
	_cleanup_free_ char *copy = xstrdup(arg);
	char *rest = copy, *part;

	while ((part = strsep(&rest, ","))) {
		bool cpu = str_starts(part, "cpu="), ram = str_starts(part, "ram=");
		double v;

		bool lone = !cpu && !ram && strchr(arg, ',');

		if (lone || !parse_double(part + (cpu || ram ? 4 : 0), 1, 1000, &v))
			argp_error(state,
				   "--overcommit '%s': write it like cpu=4,ram=1.5, each from 1 to 1000",
				   arg);
		o->overcommit_cpu = ram ? o->overcommit_cpu : v;
		o->overcommit_ram = cpu ? o->overcommit_ram : v;
	}
}

static error_t parse_what_if(int key, char *arg, struct argp_state *state, struct advise_args *a)
{
	_cleanup_err_ error *e = NULL;

	switch (key) {
	case KEY_HOST:
		e = host_spec_parse(arg, &a->host);
		if (e)
			argp_error(state, "%s", e->msg);
		a->on_host = true;
		return 0;
	case KEY_RESERVE:
		a->o.reserve_pct = cmd_real(state, "reserve", arg, 0, 99);
		return 0;
	case KEY_OVERCOMMIT:
		parse_overcommit(state, arg, &a->o);
		return 0;
	case KEY_TARGET:
		a->target = cmd_real(state, "target", arg, 1, 1e9);
		return 0;
	case KEY_FLEET:
		a->fleet = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct advise_args *a = state->input;

	switch (key) {
	case KEY_JSON:
		a->json = true;
		return 0;
	case KEY_THRESHOLD:
		a->o.threshold = cmd_real(state, "threshold", arg, 1, 100);
		return 0;
	case KEY_FORCE:
		a->o.force = true;
		return 0;
	case KEY_TABLE:
		a->table = arg;
		return 0;
	case KEY_PLOT:
		a->plot = arg;
		return 0;
	case KEY_RESIDUALS:
		a->residuals = true;
		return 0;
	case ARGP_KEY_ARG:
		strlist_add(&a->dirs, arg);
		return 0;
	case ARGP_KEY_END:
		if (!a->dirs.count && !a->table && !a->fleet)
			argp_error(state,
				   "name a run folder, such as runs/20260101T120000Z-qemu-dense-sleep");
		if (a->dirs.count && (a->table || a->fleet))
			argp_error(state, "--table and --fleet stand instead of a run folder");
		if ((a->table || a->fleet) && (a->plot || a->on_host || a->target > 0 || a->o.force))
			argp_error(state, "--plot, --host, --target and --force need a run folder");
		if (a->table &&
		    (a->fleet || a->o.reserve_pct > 0 || a->o.overcommit_cpu > 0 || a->o.overcommit_ram > 0))
			argp_error(state, "--table goes with --threshold and --json only");
		if (a->residuals && !a->plot)
			argp_error(state, "--residuals says how to draw: give --plot FILE, too");
		return 0;
	default:
		return parse_what_if(key, arg, state, a);
	}
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "RUN [OTHER...]\n--table CSV\n--fleet FILE",
	.doc = "Says what ends the growth of a run first (CPU, RAM, swap or a limit of the system), at how many VMs, and how sure that is. A run that reached its threshold or a limit has measured the "
	       "answer; otherwise robust fits say where the first curve crosses, with a 95 % prediction interval. No number is given that the data do not carry. OTHER runs say what a change would gain.\v"
	       "Examples:\n"
	       "  mvmscale advise runs/A\n"
	       "  mvmscale advise runs/A runs/B --plot advice.png\n"
	       "  mvmscale advise runs/A --host cores=64,ram=512G,swap=0 --reserve 10\n"
	       "  mvmscale advise runs/A --target 10000\n\n"
	       "Past forecasts are quoted from the ledger that 'mvmscale run --predict' keeps ($MVMSCALE_LEDGER, else mvmscale/ledger.db below $XDG_STATE_HOME or ~/.local/state).\n\n"
	       "Exit status: 0 an answer; 2 not a readable run folder; 3 no gnuplot for --plot; 4 inconclusive (the reasons say what to do).\n",
};

static int judge_table(const struct advise_args *args)
{
	_cleanup_(csv_freep) struct csv *t = NULL;
	struct published_row *rows = NULL;
	size_t n = 0;
	int status = EXIT_DONE;
	error *e = csv_load_whole(args->table, &t);

	if (!e)
		e = published_classify(t, args->table,
				   args->o.threshold > 0 ? args->o.threshold : PUBLISHED_THRESHOLD_PCT, &rows,
				   &n);
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
	for (size_t i = 0; i < args.dirs.count; i++)
		run_record_free(runs[i]);
	free(runs);
	strlist_clear(&args.dirs);
	return e ? cmd_fail(e) : status;
}

const struct command cmd_advise = {
	.name = "advise",
	.summary = "say what ends the growth of a run first, and at how many VMs",
	.argp = &argp,
	.run = run,
};
