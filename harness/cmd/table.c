/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "report/runtable.h"

#define TABLE_MAX_RUNS 256

struct table_args {
	struct strlist dirs;
	enum table_format format;
	const char *output;
};

#define AT(field) offsetof(struct table_args, field)
/* in the order of the enum */
#define FORMATS .words = "text csv json markdown"

static const struct option_row options[] = {
	{ "format", 'f', "FORMAT", NULL, OPT_CHOICE, AT(format), FORMATS,
	  .help = "How to print it: text, csv, json or markdown (default text)" },
	{ "json", 'J', NULL, NULL, OPT_CHOICE, AT(format), FORMATS, .bare = "json",
	  .help = "The same as --format json" },
	{ "output", 'o', "FILE", NULL, OPT_ANY, AT(output),
	  .help = "Write this file instead of standard output" },
	{ 0 },
};

static int run(int argc, char **argv)
{
	struct table_args a = { 0 };
	struct run_record **runs;
	_cleanup_free_ char *text = NULL;

	cmd_parse(&cmd_table, argc, argv, &a);
	error *e = cmd_load_runs(&a.dirs, &runs);
	if (!e)
		e = runtable_render(runs, a.dirs.count, a.format, &text);
	if (!e)
		e = cmd_tell(text, a.output);
	cmd_free_runs(runs, &a.dirs);
	return e ? cmd_fail(e) : EXIT_DONE;
}

const struct command cmd_table = {
	.name = "table",
	.summary = "set runs side by side: memory, start latency and CPU of each backend",
	.usage = "RUN...",
	.doc = "Sets runs side by side, one line each: backend, launch mode, memory per VM (RAM, RSS, PSS, USS), start latency, CPU per start, and CPU of the population once it waits. All figures are those "
	       "of the run's last interval.\v"
	       "Examples:\n"
	       "  mvmscale table runs/process runs/oci runs/qemu\n"
	       "  mvmscale table runs/* --format markdown -o table.md\n",
	.options = options,
	.words = AT(dirs),
	.most = TABLE_MAX_RUNS,
	.too_many = "a table holds at most " STRING_OF(TABLE_MAX_RUNS) " runs",
	.none = "name at least one run folder",
	.run = run,
};
