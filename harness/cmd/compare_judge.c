/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Options of judging and telling, which compare and ab share. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
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

static void list_figures(void)
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
	table_write_text(&t, "", stdout);
	table_clear(&t);
}

static int figure_of(struct argp_state *st, const char *name)
{
	int f = figure_by_name(name);

	if (f < 0)
		argp_error(st, "'%s' is no figure that is compared; --list names them", name);
	return f;
}

static void select_figures(struct argp_state *st, const char *arg, struct compare_options *o)
{
	_cleanup_free_ char *list = xstrdup(arg);
	char *save = NULL;

	if (!*arg)
		argp_error(st, "--metric: needs at least one figure; --list names them");
	for (char *w = strtok_r(list, ",", &save); w; w = strtok_r(NULL, ",", &save))
		o->selected[figure_of(st, w)] = true;
}

static void set_gate(struct argp_state *st, const char *arg, struct compare_options *o)
{
	_cleanup_free_ char *name = xstrdup(arg);
	char *value = strchr(name, '=');

	if (!value) {
		argp_error(st, "--gate %s: give NAME=CHANGE, such as mem_per_vm_kb=3%%", arg);
		return;
	}
	*value++ = '\0';
	int f = figure_of(st, name);
	const char *wrong = slo_parse_gate((enum figure)f, value, &o->gates[f]);
	if (wrong)
		argp_error(st, "--gate %s: %s", arg, wrong);
}

static void load_slo(struct argp_state *st, const char *arg, struct judge_args *a)
{
	slo_free(STEAL(a->slo));
	_cleanup_err_ error *e = slo_load(arg, &a->slo);

	if (e)
		argp_error(st, "--slo %s: %s", arg, e->msg);
	else
		slo_gates(a->slo, &a->o);
}

error_t judge_parse(int key, char *arg, struct argp_state *st, struct judge_args *a)
{
	switch (key) {
	case JUDGE_FORMAT:
		a->format = comparison_format_find(arg);
		if (!a->format)
			argp_error(st, "--format %s: known are text, json, markdown, junit and tap", arg);
		return 0;
	case JUDGE_JSON:
		a->format = comparison_format_find("json");
		return 0;
	case JUDGE_METRIC:
		select_figures(st, arg, &a->o);
		return 0;
	case JUDGE_GATE:
		set_gate(st, arg, &a->o);
		return 0;
	case JUDGE_SLO:
		load_slo(st, arg, a);
		return 0;
	case JUDGE_ALPHA:
		a->o.alpha = cmd_real(st, "alpha", arg, 1e-6, 0.5);
		return 0;
	case JUDGE_HOST:
		a->o.other_host = true;
		return 0;
	case JUDGE_BISECT:
		a->bisect = true;
		return 0;
	case JUDGE_OUTPUT:
		a->output = arg;
		return 0;
	case JUDGE_LIST:
		list_figures();
		exit(EXIT_DONE);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

error *judge_tell(const struct judge_args *a, const struct side *new_side, struct comparison *c)
{
	if (a->slo)
		slo_check_comparison(a->slo, new_side, c);
	_cleanup_free_ char *text = a->format->write(c);
	if (a->output)
		return fs_write_atomic(a->output, text, strlen(text));
	fputs(text, stdout);
	return NULL;
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
