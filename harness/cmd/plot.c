/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "cmd/cmd.h"
#include "report/hosts_plot.h"
#include "report/plot.h"

struct plot_args {
	const char *dirs[PLOT_MAX_RUNS];
	size_t n;
	const char *output, *metric, *title;
	bool hosts;
};

static const struct argp_option options[] = {
	{ "output", 'o', "FILE", 0,
	  "Write this file; its ending .svg, .png or .pdf says the format. Without it plot.svg and plot.png (plot-NAME.svg and plot-NAME.png of a metric) are written into the (first) run folder",
	  0 },
	{ "metric", 'm', "NAME", 0,
	  "Plot one metric in its own unit instead of CPU, RAM and swap ('mvmscale list metrics' names them; any other column of intervals.csv works too, such as boot_p50_ms)",
	  0 },
	{ "hosts", 'H', NULL, 0,
	  "Plot each host of a run over several hosts, and all of them together. Without -o this is drawn besides, as plot-hosts.svg and plot-hosts.png, for every run that has a hosts.csv",
	  0 },
	{ "nodes", 'N', NULL, 0, "Plot the memory in use on each NUMA node", 0 },
	{ "title", 't', "TEXT", 0, "Title of the figure; without it the title says what the values say", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct plot_args *a = state->input;

	switch (key) {
	case 'o':
		a->output = arg;
		return 0;
	case 'm':
		a->metric = arg;
		return 0;
	case 'H':
		a->hosts = true;
		return 0;
	case 'N':
		a->metric = PLOT_NODES;
		return 0;
	case 't':
		a->title = arg;
		return 0;
	case ARGP_KEY_ARG:
		if (a->n == PLOT_MAX_RUNS)
			argp_error(state, "a figure shows at most %d runs: draw several", PLOT_MAX_RUNS);
		else
			a->dirs[a->n++] = arg;
		return 0;
	case ARGP_KEY_SUCCESS:
		if (a->hosts && (a->n > 1 || a->metric))
			argp_error(state, "--hosts draws one run, without --metric");
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state,
			   "name at least one run folder, such as runs/20260101T120000Z-qemu-dense-sleep");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "RUN...",
	.doc = "Draws the scalability figure of a run folder: CPU, RAM and swap of the host over the number of VMs, with error bars (standard deviation) and the threshold. Several runs share one figure: "
	       "colour says the metric, marker and dash the run.\v"
	       "Examples:\n"
	       "  mvmscale plot runs/A\n"
	       "  mvmscale plot runs/A runs/B -o both.pdf\n"
	       "  mvmscale plot runs/A --metric slab_kb -o slab.svg\n"
	       "  mvmscale plot runs/fleet --hosts -o hosts.pdf\n",
};

static error *write_one(struct run_record *const *runs, const struct plot_args *a, bool hosts,
			const char *path)
{
	struct host_curves h = { 0 };
	error *e = hosts ? host_curves_load(runs[0]->dir, &h) : NULL;

	if (!e)
		e = hosts ? plot_hosts(runs[0], &h, a->title, path)
			  : plot_runs(runs, a->n, a->metric, a->title, path);
	host_curves_clear(&h);
	if (!e)
		puts(path);
	return e;
}

static error *write_all(struct run_record *const *runs, const struct plot_args *a)
{
	static const char *const endings[] = { "svg", "png" };
	_cleanup_free_ char *csv = xasprintf("%s/hosts.csv", runs[0]->dir);
	bool fleet = a->n == 1 && !a->metric && access(csv, F_OK) == 0;
	error *e = NULL;

	if (a->output)
		return write_one(runs, a, a->hosts, a->output);
	for (size_t i = 0; i < ARRAY_LEN(endings) && !e; i++) {
		_cleanup_free_ char *path = xasprintf("%s/plot%s%s.%s", runs[0]->dir, a->metric ? "-" : "",
						      a->metric ? a->metric : "", endings[i]);
		_cleanup_free_ char *hosts = xasprintf("%s/plot-hosts.%s", runs[0]->dir, endings[i]);

		if (!a->hosts)
			e = write_one(runs, a, false, path);
		if (!e && (fleet || a->hosts))
			e = write_one(runs, a, true, hosts);
	}
	return e;
}

static int run(int argc, char **argv)
{
	struct plot_args a = { 0 };
	struct run_record *runs[PLOT_MAX_RUNS] = { 0 };

	cmd_parse(&cmd_plot, argc, argv, &a);
	error *e = cmd_load_runs(a.dirs, a.n, runs);
	if (!e && runs[0])
		e = write_all(runs, &a);
	for (size_t i = 0; i < a.n; i++)
		run_record_free(runs[i]);
	return e ? cmd_fail(e) : EXIT_DONE;
}

const struct command cmd_plot = {
	.name = "plot",
	.summary = "draw the scalability figure of one or several runs",
	.argp = &argp,
	.run = run,
};
