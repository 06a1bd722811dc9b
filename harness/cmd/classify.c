/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>

#include "advise/verdict.h"
#include "cmd/cmd.h"
#include "model/thin.h"

struct classify_args {
	struct strlist dirs;
	bool json;
	double threshold;
};

#define AT(field) offsetof(struct classify_args, field)

static const struct option_row options[] = {
	{ "json", 0, NULL, NULL, OPT_FLAG, AT(json),
	  .help = "Print one JSON array with an object for each run" },
	{ "threshold", 0, "PCT", NULL, OPT_REAL, AT(threshold),
	  .help = "What counts as the end of a resource, 1 to 100 % (default: each run's own threshold)",
	  .min = 1, .max = 100 },
	{ 0 },
};

static error *classify_one(const struct classify_args *args, const char *dir, json_t *all, int *status)
{
	_cleanup_(run_record_freep) struct run_record *r = NULL;
	_cleanup_(advice_freep) struct advice *a = NULL;
	error *e = run_record_load(dir, &r);

	if (!e)
		run_record_thin(r);
	if (!e)
		e = advise_run(r, args->threshold, &a);
	if (e)
		return e;
	if (r->note)
		fprintf(stderr, "mvmscale: %s: %s\n", r->dir, r->note);
	if (args->json) {
		json_array_append_new(all, classify_json(r, a));
	} else {
		_cleanup_free_ char *text = classify_text(r, a);
		fputs(text, stdout);
	}
	if (a->class == CLASS_INCONCLUSIVE)
		*status = EXIT_INCONCLUSIVE;
	return NULL;
}

static int run(int argc, char **argv)
{
	struct classify_args args = { 0 };
	json_t *all = json_array();
	int status = EXIT_DONE;
	error *e = NULL;

	cmd_parse(&cmd_classify, argc, argv, &args);
	for (size_t i = 0; i < args.dirs.count && !e; i++)
		e = classify_one(&args, args.dirs.items[i], all, &status);
	if (!e && args.json)
		cmd_print_json(json_incref(all), 6);
	json_decref(all);
	strlist_clear(&args.dirs);
	return e ? cmd_fail(e) : status;
}

const struct command cmd_classify = {
	.name = "classify",
	.summary = "name the shape of a run's curves and what it is bound by",
	.usage = "RUN...",
	.doc = "Names the shape of each curve of a run (flat, linear, knee, saturating, noisy) and what the run as a whole is bound by (CPU, RAM, swap, a limit by name, launching, or nothing in range), "
	       "each with a probability. Rates and latencies are fitted with the Universal Scalability Law.\v"
	       "Exit status: 0 every run has a class; 2 not a readable run folder; 4 one is inconclusive or has no usable row.\n",
	.options = options,
	.words = AT(dirs),
	.none = CMD_NO_RUN,
	.run = run,
};
