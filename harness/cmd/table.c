/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "cmd/cmd.h"
#include "report/runtable.h"

#define TABLE_MAX_RUNS 256

struct table_args {
	const char *dirs[TABLE_MAX_RUNS];
	size_t n;
	enum table_format format;
	const char *output;
};

static const struct argp_option options[] = {
	{ "format", 'f', "FORMAT", 0, "How to print it: text, csv, json or markdown (default text)", 0 },
	{ "json", 'J', NULL, 0, "The same as --format json", 0 },
	{ "output", 'o', "FILE", 0, "Write this file instead of standard output", 0 },
	{ 0 },
};

static enum table_format format_named(struct argp_state *state, const char *name)
{
	static const char *const names[] = { [TABLE_TEXT] = "text",
					     [TABLE_CSV] = "csv",
					     [TABLE_JSON] = "json",
					     [TABLE_MARKDOWN] = "markdown" };

	for (size_t k = 0; k < ARRAY_LEN(names); k++)
		if (str_eq(name, names[k]))
			return (enum table_format)k;
	argp_error(state, "--format %s: must be text, csv, json or markdown", name);
	return TABLE_TEXT;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct table_args *a = state->input;

	switch (key) {
	case 'f':
		a->format = format_named(state, arg);
		return 0;
	case 'J':
		a->format = TABLE_JSON;
		return 0;
	case 'o':
		a->output = arg;
		return 0;
	case ARGP_KEY_ARG:
		if (a->n == TABLE_MAX_RUNS)
			argp_error(state, "a table holds at most %d runs", TABLE_MAX_RUNS);
		else
			a->dirs[a->n++] = arg;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "name at least one run folder");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "RUN...",
	.doc = "Sets runs side by side, one line each: backend, launch mode, memory per VM (RAM, RSS, PSS, USS), start latency, CPU per start, and CPU of the population once it waits. All figures are those "
	       "of the run's last interval.\v"
	       "Examples:\n"
	       "  mvmscale table runs/process runs/oci runs/qemu\n"
	       "  mvmscale table runs/* --format markdown -o table.md\n",
};

static int run(int argc, char **argv)
{
	struct table_args a = { 0 };
	struct run_record *runs[TABLE_MAX_RUNS] = { 0 };
	_cleanup_free_ char *text = NULL;

	cmd_parse(&cmd_table, argc, argv, &a);
	error *e = cmd_load_runs(a.dirs, a.n, runs);
	if (!e)
		e = runtable_render(runs, a.n, a.format, &text);
	if (!e && a.output)
		e = fs_write_atomic(a.output, text, strlen(text));
	else if (!e)
		fputs(text, stdout);
	for (size_t i = 0; i < a.n; i++)
		run_record_free(runs[i]);
	return e ? cmd_fail(e) : EXIT_DONE;
}

const struct command cmd_table = {
	.name = "table",
	.summary = "set runs side by side: memory, start latency and CPU of each backend",
	.argp = &argp,
	.run = run,
};
