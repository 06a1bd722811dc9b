/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <stdlib.h>

#include "advise/verdict.h"
#include "base/util.h"
#include "cmd.h"
#include "curve/runread.h"

struct advise_args {
	const char *dir;
	bool json, on_host;
	double threshold;
	struct host_spec host;
};

enum { KEY_JSON = 256, KEY_THRESHOLD, KEY_HOST };

static const struct argp_option options[] = {
	{ "json", KEY_JSON, NULL, 0, "Print the answer as one JSON object", 0 },
	{ "threshold", KEY_THRESHOLD, "PCT", 0,
	  "Ask for this use of the host, 1 to 100 %, instead of the run's own threshold", 0 },
	{ "host", KEY_HOST, "SPEC", 0,
	  "Project onto another host, such as cores=48,ram=128G,swap=0; what is left out is as measured", 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct advise_args *a = state->input;
	_cleanup_err_ error *e = NULL;

	switch (key) {
	case KEY_JSON:
		a->json = true;
		return 0;
	case KEY_THRESHOLD:
		if (!parse_double(arg, 1, 100, &a->threshold))
			argp_error(state, "--threshold '%s': give a number from 1 to 100 (%%)", arg);
		return 0;
	case KEY_HOST:
		e = host_spec_parse(arg, &a->host);
		if (e)
			argp_error(state, "%s", e->msg);
		a->on_host = true;
		return 0;
	case ARGP_KEY_ARG:
		if (a->dir)
			argp_error(state, "one run folder at a time, '%s' is a second", arg);
		a->dir = arg;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "name a run folder, such as runs/20260101T120000Z-qemu-dense-sleep");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "RUN",
	.doc = "Says what ends the growth of a run first (CPU, RAM, swap or a limit of the system), at how "
	       "many "
	       "VMs, and how sure that is. A run that reached its threshold or a limit has measured the "
	       "answer; "
	       "otherwise robust lines are fitted and the answer carries a 95 % prediction interval. No "
	       "number "
	       "is given that the data do not carry.\v"
	       "Exit status: 0 an answer; 2 not a readable run folder; 4 inconclusive (the reasons say what "
	       "to "
	       "do).\n",
};

static void print_json(const struct advice *a)
{
	json_t *o = advice_json(a);

	json_dumpf(o, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
	putchar('\n');
	json_decref(o);
}

static int run(int argc, char **argv)
{
	struct advise_args args = { 0 };
	_cleanup_(run_record_freep) struct run_record *r = NULL;
	_cleanup_(advice_freep) struct advice *a = NULL;

	cmd_parse(&cmd_advise, argc, argv, &args);
	error *e = run_record_load(args.dir, &r);
	if (!e)
		e = advise_run_with(r,
				    &(struct advise_options){ .threshold = args.threshold,
							      .host = args.on_host ? &args.host : NULL },
				    &a);
	if (e)
		return cmd_fail(e);
	if (args.json) {
		print_json(a);
	} else {
		_cleanup_free_ char *text = advice_text(a);
		fputs(text, stdout);
	}
	return a->ok ? EXIT_DONE : EXIT_INCONCLUSIVE;
}

const struct command cmd_advise = {
	.name = "advise",
	.summary = "say what ends the growth of a run first, and at how many VMs",
	.argp = &argp,
	.run = run,
};
