/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "cmd/cmd.h"
#include "report/hosts_plot.h"
#include "report/plot.h"

struct plot_args {
	struct strlist dirs;
	const char *output, *metric, *title;
	bool hosts;
};

#define AT(field) offsetof(struct plot_args, field)

static const struct option_row options[] = {
	{ "output", 'o', "FILE", NULL, OPT_ANY, AT(output),
	  .help = "Write this file; its ending .svg, .png or .pdf says the format. Without it plot.svg and plot.png (plot-NAME.svg and plot-NAME.png of a metric) are written into the (first) run folder" },
	{ "metric", 'm', "NAME", NULL, OPT_ANY, AT(metric),
	  .help = "Plot one metric in its own unit instead of CPU, RAM and swap ('mvmscale list metrics' names them; any other column of intervals.csv works too, such as boot_p50_ms)" },
	{ "hosts", 'H', NULL, NULL, OPT_FLAG, AT(hosts),
	  .help = "Plot each host of a run over several hosts, and all of them together. Without -o this is drawn besides, as plot-hosts.svg and plot-hosts.png, for every run that has a hosts.csv" },
	{ "nodes", 'N', NULL, NULL, OPT_ANY, AT(metric), .bare = PLOT_NODES,
	  .help = "Plot the memory in use on each NUMA node" },
	{ "title", 't', "TEXT", NULL, OPT_ANY, AT(title),
	  .help = "Title of the figure; without it the title says what the values say" },
	{ 0 },
};

static error *check(void *config)
{
	const struct plot_args *a = config;

	return a->hosts && (a->dirs.count > 1 || a->metric)
		       ? err_new(EXIT_BAD_INPUT, "--hosts draws one run, without --metric")
		       : NULL;
}

static error *write_one(struct run_record *const *runs, const struct plot_args *a, bool hosts,
			const char *path)
{
	struct host_curves h = { 0 };
	error *e = hosts ? host_curves_load(runs[0]->dir, &h) : NULL;

	if (!e)
		e = hosts ? plot_hosts(runs[0], &h, a->title, path)
			  : plot_runs(runs, a->dirs.count, a->metric, a->title, path);
	host_curves_clear(&h);
	if (!e)
		puts(path);
	return e;
}

static error *write_all(struct run_record *const *runs, const struct plot_args *a)
{
	static const char *const endings[] = { "svg", "png" };
	_cleanup_free_ char *csv = xasprintf("%s/hosts.csv", runs[0]->dir);
	bool fleet = a->dirs.count == 1 && !a->metric && access(csv, F_OK) == 0;
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
	struct run_record **runs;

	cmd_parse(&cmd_plot, argc, argv, &a);
	error *e = cmd_load_runs(&a.dirs, &runs);
	if (!e)
		e = write_all(runs, &a);
	cmd_free_runs(runs, &a.dirs);
	return e ? cmd_fail(e) : EXIT_DONE;
}

const struct command cmd_plot = {
	.name = "plot",
	.summary = "draw the scalability figure of one or several runs",
	.usage = "RUN...",
	.doc = "Draws the scalability figure of a run folder: CPU, RAM and swap of the host over the number of VMs, with error bars (standard deviation) and the threshold. Several runs share one figure: "
	       "colour says the metric, marker and dash the run.\v"
	       "Examples:\n"
	       "  mvmscale plot runs/A\n"
	       "  mvmscale plot runs/A runs/B -o both.pdf\n"
	       "  mvmscale plot runs/A --metric slab_kb -o slab.svg\n"
	       "  mvmscale plot runs/fleet --hosts -o hosts.pdf\n",
	.options = options,
	.words = AT(dirs),
	.most = PLOT_MAX_RUNS,
	.too_many = "a figure shows at most " STRING_OF(PLOT_MAX_RUNS) " runs: draw several",
	.none = CMD_NO_RUN,
	.check = check,
	.run = run,
};
