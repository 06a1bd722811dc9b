/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Options of judging and telling, which compare and ab share. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "base/util.h"
#include "cmd/compare.h"

/* What `git bisect run` takes for "this revision cannot be tested" and "stop bisecting". */
#define BISECT_SKIP 125
#define BISECT_ABORT 128

void judge_init(struct judge_args *a, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (str_eq(argv[i], "--bisect"))
			cmd_usage_status = BISECT_ABORT;
	*a = (struct judge_args){ .o = compare_defaults(), .format = &comparison_formats[0] };
}

static error *take_list(const struct option_row *o, const char *arg, void *config)
{
	static const struct table_column columns[] = { { .heading = "figure" },
						       { .heading = "what" },
						       { .heading = "unit" },
						       { .heading = "gate", .align = TABLE_RIGHT },
						       { .heading = "better" } };
	struct table t = table_new(columns, ARRAY_LEN(columns));

	for (int i = 0; i < FIGURE_COUNT; i++) {
		const struct figure_info *f = &figure_table[i];

		table_row(&t, (char *[]){ xstrdup(f->name), xstrdup(f->label), xstrdup(f->unit),
					  figure_gate_text((enum figure)i, f->gate),
					  xasprintf("%s%s", f->higher_is_better ? "higher" : "lower",
						    f->decides ? "; must be told" : "") });
	}
	(void)o, (void)arg, (void)config;
	table_write_text(&t, "", stdout);
	table_clear(&t);
	exit(EXIT_DONE);
}

static error *figure_of(const char *name, int *ret)
{
	*ret = figure_by_name(name);
	return *ret >= 0 ? NULL
			 : err_new(EXIT_BAD_INPUT, "'%s' is no figure that is compared; --list names them",
				   name);
}

static error *take_metric(const struct option_row *o, const char *arg, void *config)
{
	_cleanup_free_ char *list = xstrdup(arg);
	char *save = NULL;
	error *e = *arg ? NULL
			: err_new(EXIT_BAD_INPUT, "--metric: needs at least one figure; --list names them");
	int f;

	(void)o;
	for (char *w = strtok_r(list, ",", &save); w && !e; w = strtok_r(NULL, ",", &save))
		if (!(e = figure_of(w, &f)))
			((struct judge_args *)config)->o.selected[f] = true;
	return e;
}

static error *take_gate(const struct option_row *o, const char *arg, void *config)
{
	_cleanup_free_ char *name = xstrdup(arg);
	char *value = strchr(name, '=');
	int f;

	(void)o;
	if (!value)
		return err_new(EXIT_BAD_INPUT, "--gate %s: give NAME=CHANGE, such as mem_per_vm_kb=3%%", arg);
	*value++ = '\0';
	error *e = figure_of(name, &f);
	if (e)
		return e;
	const char *wrong = slo_parse_gate((enum figure)f, value, &((struct judge_args *)config)->o.gates[f]);
	return wrong ? err_new(EXIT_BAD_INPUT, "--gate %s: %s", arg, wrong) : NULL;
}

static error *take_slo(const struct option_row *o, const char *arg, void *config)
{
	struct judge_args *a = config;

	(void)o;
	slo_free(STEAL(a->slo));
	_cleanup_err_ error *e = slo_load(arg, &a->slo);
	if (e)
		return err_new(EXIT_BAD_INPUT, "--slo %s: %s", arg, e->msg);
	slo_gates(a->slo, &a->o);
	return NULL;
}

static error *take_format(const struct option_row *o, const char *arg, void *config)
{
	const struct comparison_format *f = comparison_format_find(arg);

	(void)o;
	((struct judge_args *)config)->format = f;
	return f ? NULL
		 : err_new(EXIT_BAD_INPUT, "--format %s: known are text, json, markdown, junit and tap", arg);
}

#define AT(field) offsetof(struct judge_args, field)
#define JUDGE "How to judge:"
#define TELL "How to tell:"

const struct option_row judge_rows[] = {
	{ "metric", 0, "NAME,...", JUDGE, OPT_ANY, 0, .take = take_metric,
	  .help = "Compare only these figures; each of them must then be told" },
	{ "gate", 0, "NAME=CHANGE", JUDGE, OPT_ANY, 0, .take = take_gate,
	  .help = "Smallest change of a figure that counts, such as mem_per_vm_kb=3% or idle_cpu_pct=0.2" },
	{ "slo", 0, "NAME|FILE", JUDGE, OPT_ANY, 0, .take = take_slo,
	  .help = "File of limits: gates, and what the new side must keep by itself" },
	{ "alpha", 0, "P", JUDGE, OPT_REAL, AT(o.alpha),
	  .help = "Chance to find a difference between equals, over all figures together (default 0.01)",
	  .min = 1e-6, .max = 0.5 },
	{ "other-host", 0, NULL, JUDGE, OPT_FLAG, AT(o.other_host),
	  .help = "Compare runs of different hosts all the same" },
	{ "list", 0, NULL, JUDGE, OPT_NOTHING, 0, .take = take_list,
	  .help = "List the figures that are compared, with unit and gate, and end" },
	{ "format", 0, "text|json|markdown|junit|tap", TELL, OPT_ANY, 0, .take = take_format,
	  .help = "Form of the answer (default text)" },
	{ "json", 0, NULL, TELL, OPT_ANY, 0, .take = take_format, .bare = "json",
	  .help = "The same as --format json" },
	{ "bisect", 0, NULL, TELL, OPT_FLAG, AT(bisect),
	  .help = "Exit as 'git bisect run' wants it: 0 good, 1 bad, 125 cannot tell, 128 stop (bad input, cannot run here)" },
	{ "output", 'o', "FILE", TELL, OPT_ANY, AT(output), .help = "Write the answer into this file" },
	{ 0 },
};

error *judge_tell(const struct judge_args *a, const struct side *new_side, struct comparison *c)
{
	if (a->slo)
		slo_check_comparison(a->slo, new_side, c);
	_cleanup_free_ char *text = a->format->write(c);
	return cmd_tell(text, a->output);
}

int judge_status(const struct judge_args *a, int status)
{
	if (!a->bisect)
		return status;
	switch (status) {
	case EXIT_DONE:
	case EXIT_REGRESSION:
		return status;
	case EXIT_INCONCLUSIVE:
	case EXIT_UNTRUSTED:
		return BISECT_SKIP;
	case EXIT_INTERRUPTED:
		return EXIT_INTERRUPTED; /* git stops at this one too */
	default:
		return BISECT_ABORT;
	}
}

void judge_clear(struct judge_args *a)
{
	slo_free(STEAL(a->slo));
}
