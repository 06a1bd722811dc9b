/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/table.h"
#include "base/text.h"
#include "base/util.h"
#include "cmd/cmd.h"
#include "compare/format.h"
#include "compare/history.h"
#include "compare/trend_plot.h"

struct history_args {
	const char *db, *label, *series, *metric, *output;
	struct strlist words; /* the first says what to do */
	bool json;
};

#define AT(field) offsetof(struct history_args, field)

static error *take_label(const struct option_row *o, const char *arg, void *config)
{
	(void)o;
	((struct history_args *)config)->label = arg;
	return text_is_utf8(arg) ? NULL : err_new(EXIT_BAD_INPUT, "--label: it is not UTF-8 text");
}

static error *take_metric(const struct option_row *o, const char *arg, void *config)
{
	(void)o;
	((struct history_args *)config)->metric = arg;
	return figure_by_name(arg) >= 0
		       ? NULL
		       : err_new(EXIT_BAD_INPUT, "'%s' is no figure; 'mvmscale compare --list' names them",
				 arg);
}

static const struct option_row options[] = {
	{ "db", 0, "FILE", NULL, OPT_ANY, AT(db),
	  .help = "The database (default $MVMSCALE_HISTORY, else mvmscale/history.db in $XDG_STATE_HOME or ~/.local/state)" },
	{ "label", 0, "TEXT", NULL, OPT_ANY, AT(label), .take = take_label,
	  .help = "add: what was tested (default: the version of the backend)" },
	{ "series", 0, "TEXT", NULL, OPT_ANY, AT(series),
	  .help = "list, trend: only this series (trend: default that of the last run)" },
	{ "metric", 'm', "NAME", NULL, OPT_ANY, AT(metric), .take = take_metric,
	  .help = "trend: only this figure; 'mvmscale compare --list' names them" },
	{ "output", 'o', "FILE", NULL, OPT_ANY, AT(output),
	  .help = "trend: draw the figure into FILE (.svg, .png, .pdf); needs --metric" },
	{ "json", 0, NULL, NULL, OPT_FLAG, AT(json), .help = "Print as JSON" },
	{ 0 },
};

static error *do_add(struct history *h, const struct history_args *a)
{
	struct side runs = { 0 };
	error *e = NULL;

	if (a->words.count < 2)
		cmd_usage(&cmd_history, "add: name at least one run folder");
	for (size_t i = 1; i < a->words.count && !e; i++)
		e = side_load(&runs, a->words.items[i]);
	for (size_t i = 0; i < runs.n && !e; i++) {
		const char *state = run_str(runs.runs[i], "state");
		bool fresh;
		int64_t id;

		if (runs.runs[i]->note)
			fprintf(stderr, "mvmscale: %s: %s\n", runs.runs[i]->dir, runs.runs[i]->note);
		if (run_measured_to(runs.runs[i]) <= 0 || str_eq(state, "failed")) {
			printf("%s: left out: it measured no VM\n", runs.runs[i]->dir);
			continue;
		}
		e = history_add(h, runs.runs[i], a->label, &id, &fresh);
		if (!e)
			printf("%s: run %" PRId64 "%s\n", runs.runs[i]->dir, id,
			       fresh ? "" : ", there already");
	}
	side_clear(&runs);
	return e;
}

static json_t *run_json(const struct history_run *r)
{
	json_t *figures = json_object();

	for (int f = 0; f < FIGURE_COUNT; f++)
		if (isfinite(r->figures[f]))
			json_object_set_new(figures, figure_table[f].name, json_real(r->figures[f]));
	return json_pack("{s:I,s:s,s:s,s:s,s:s,s:b,s:o}", "id", (json_int_t)r->id, "started", r->started,
			 "label", r->label, "series", r->series, "dir", r->dir, "baseline", (int)r->baseline,
			 "figures", figures);
}

static const struct table_column list_columns[] = { { .name = "id", .align = TABLE_RIGHT, .width = 5 },
						    { .name = "started" },
						    { .name = "label" },
						    { .name = "memory", .align = TABLE_RIGHT },
						    { .name = "folder" } };

/* The runs of one series, which are then told. */
static void print_series(const char *series, struct table *t)
{
	if (t->rows)
		printf("%s\n", series);
	table_write_text(t, "  ", stdout);
	table_clear(t);
	*t = table_new(list_columns, ARRAY_LEN(list_columns));
}

/* All runs, or those of the baseline. */
static error *do_list(struct history *h, const struct history_args *a, bool baseline)
{
	struct history_list l;
	error *e = history_runs(h, a->series, &l);
	json_t *rows = json_array();
	const char *series = NULL;
	struct table t = table_new(list_columns, ARRAY_LEN(list_columns));

	for (size_t i = 0; !e && i < l.count; i++) {
		const struct history_run *r = &l.items[i];
		double memory = r->figures[FIGURE_MEM_PER_VM];

		if (baseline && !r->baseline)
			continue;
		json_array_append_new(rows, run_json(r));
		if (a->json)
			continue;
		if (!str_eq(series, r->series)) {
			print_series(series, &t);
			series = r->series;
		}
		table_row(&t, (char *[]){ xasprintf("%" PRId64 "%s", r->id, r->baseline ? "*" : " "),
					  xstrdup(r->started), xstrdup(r->label),
					  isfinite(memory) ? xasprintf("%.5g kB per VM", memory) : NULL,
					  xstrdup(r->dir) });
	}
	print_series(series, &t);
	table_clear(&t);
	if (!e && a->json)
		cmd_print_json(json_incref(rows), 8);
	else if (!e && !json_array_size(rows))
		printf("%s holds no %s\n", history_path(h), baseline ? "baseline" : "run");
	json_decref(rows);
	history_list_clear(&l);
	return e;
}

static json_t *change_json(const struct figure_trend *t, const struct change_point *c)
{
	return json_pack("{s:I,s:s,s:s,s:f,s:f,s:f}", "run", (json_int_t)t->runs[c->at]->id, "started",
			 t->runs[c->at]->started, "label", t->runs[c->at]->label, "before", c->before,
			 "after", c->after, "p", c->p);
}

static void say_change(const struct figure_trend *t, const struct change_point *c)
{
	const struct figure_info *f = &figure_table[t->figure];
	double change = f->scale == FIGURE_RATIO ? c->after / c->before : c->after - c->before;
	_cleanup_free_ char *text = figure_change_text(t->figure, change);
	bool worse = (c->after > c->before) != f->higher_is_better;

	printf("  %-36s %s: %.5g -> %.5g %s (%s) from run %" PRId64 ", %s, %s on (p %.4f)\n", f->label,
	       worse ? "worse" : "better", c->before, c->after, f->unit, text, t->runs[c->at]->id,
	       t->runs[c->at]->started, t->runs[c->at]->label, c->p);
}

/* One figure of a series: its change points are printed or added to `all`, or it is drawn. */
static error *one_trend(const struct history_args *a, const struct history_list *l, enum figure f,
			json_t *all, size_t *changes, bool *enough)
{
	struct figure_trend t;
	json_t *list = json_array();
	error *e = NULL;

	figure_trend_of(l, f, &t);
	*changes += t.n_changes;
	*enough |= t.n >= 2 * (size_t)CHANGEPOINT_SEGMENT;
	for (size_t i = 0; i < t.n_changes; i++) {
		json_array_append_new(list, change_json(&t, &t.changes[i]));
		if (!a->json)
			say_change(&t, &t.changes[i]);
	}
	if (t.n)
		json_object_set_new(all, figure_table[f].name,
				    json_pack("{s:i,s:O}", "runs", (int)t.n, "changes", list));
	json_decref(list);
	if (a->output && !(e = figure_trend_plot(&t, figure_table[f].label, a->output)))
		fprintf(a->json ? stderr : stdout, "%s\n", a->output);
	figure_trend_clear(&t);
	return e;
}

static error *do_trend(struct history *h, const struct history_args *a)
{
	struct history_list l;
	error *e = history_runs(h, a->series, &l);
	size_t changes = 0;
	bool enough = false; /* runs to find a change in any of the figures */

	if (!e && !a->series && l.count) {
		/* the last run says which series is of interest */
		_cleanup_free_ char *series = xstrdup(l.items[l.count - 1].series);

		history_list_clear(&l);
		e = history_runs(h, series, &l);
	}
	if (!e && !l.count)
		e = err_new(EXIT_BAD_INPUT, "%s holds no run%s: add some with 'mvmscale history add RUN...'",
			    history_path(h), a->series ? " of this series" : "");
	json_t *all = json_object();
	if (!e && !a->json)
		printf("%s: %zu runs\n", l.items[0].series, l.count);
	for (enum figure f = 0; f < FIGURE_COUNT && !e; f++)
		if (!a->metric || str_eq(a->metric, figure_table[f].name))
			e = one_trend(a, &l, f, all, &changes, &enough);
	if (!e && a->json)
		cmd_print_json(json_pack("{s:s,s:i,s:O}", "series", l.items[0].series, "runs", (int)l.count,
					 "figures", all),
			       8);
	else if (!e && !changes && enough)
		printf("  no change of level (it takes at least %d runs before and after one)\n",
		       CHANGEPOINT_SEGMENT);
	if (!e && !enough && !a->output)
		e = err_new(
			EXIT_INCONCLUSIVE,
			"%s%s: fewer than %d runs have the figure, and a change of level takes that many: add more runs",
			a->metric ? a->metric : l.items[0].series, a->metric ? "" : ", all figures",
			2 * CHANGEPOINT_SEGMENT);
	json_decref(all);
	history_list_clear(&l);
	return e;
}

static error *do_baseline(struct history *h, const struct history_args *a)
{
	_cleanup_free_ int64_t *ids = xcalloc(a->words.count, sizeof(*ids));

	for (size_t i = 1; i < a->words.count; i++) {
		long id = 0;

		if (!parse_long(a->words.items[i], 1, 0x7fffffffL, &id))
			cmd_usage(&cmd_history, "baseline %s: give the numbers that 'history list' prints",
				  a->words.items[i]);
		ids[i - 1] = id;
	}
	error *e = a->words.count > 1 ? history_set_baseline(h, ids, a->words.count - 1) : NULL;
	return e ? e : do_list(h, a, true);
}

enum verb { VERB_ADD, VERB_LIST, VERB_TREND, VERB_BASELINE, VERB_COUNT };

/* Words and options that the verb would ignore are refused. */
static enum verb check(const struct history_args *a)
{
	static const char *const verbs[VERB_COUNT] = { "add", "list", "trend", "baseline" };
	const char *verb = a->words.items[0];
	int v = 0;

	while (v < VERB_COUNT && !str_eq(verbs[v], verb))
		v++;
	if (v == VERB_COUNT)
		cmd_usage(&cmd_history, "'%s': known are add, list, trend and baseline", verb);
	if ((v == VERB_LIST || v == VERB_TREND) && a->words.count > 1)
		cmd_usage(&cmd_history, "'%s': %s takes no further word", a->words.items[1], verb);
	if (a->label && v != VERB_ADD)
		cmd_usage(&cmd_history, "--label goes with add");
	if (a->series && v != VERB_LIST && v != VERB_TREND)
		cmd_usage(&cmd_history, "--series goes with list and trend");
	if ((a->metric || a->output) && v != VERB_TREND)
		cmd_usage(&cmd_history, "--metric and --output go with trend");
	if (a->output && !a->metric)
		cmd_usage(&cmd_history, "trend -o: name the figure to draw with --metric");
	return (enum verb)v;
}

static int run(int argc, char **argv)
{
	struct history_args a = { 0 };
	_cleanup_(history_closep) struct history *h = NULL;

	cmd_parse(&cmd_history, argc, argv, &a);
	enum verb verb = check(&a);
	enum history_use use = verb == VERB_ADD				    ? HISTORY_ADD
			       : verb == VERB_BASELINE && a.words.count > 1 ? HISTORY_CHANGE
									    : HISTORY_READ;
	error *e = history_open(a.db, use, &h);
	if (!e)
		e = verb == VERB_ADD	 ? do_add(h, &a)
		    : verb == VERB_LIST	 ? do_list(h, &a, false)
		    : verb == VERB_TREND ? do_trend(h, &a)
					 : do_baseline(h, &a);
	strlist_clear(&a.words);
	return e ? cmd_fail(e) : EXIT_DONE;
}

const struct command cmd_history = {
	.name = "history",
	.summary = "keep runs over time, and find where a figure changed",
	.usage = "add RUN...\nlist\ntrend\nbaseline [ID...]",
	.doc = "Keeps runs over time in a database, and finds where a figure changed its level. Runs of one host, backend, preset, profile and size make a series.\v"
	       "add takes run folders, or folders that hold some. trend looks for change points in every figure, or draws "
	       "one. baseline names the runs that 'mvmscale compare --baseline' takes as base; without ID it lists them.\n\n"
	       "Examples:\n"
	       "  mvmscale history add runs/* --label 'QEMU 10.1-rc2'\n"
	       "  mvmscale history trend --metric mem_per_vm_kb -o memory.svg\n"
	       "  mvmscale history baseline 11 12 13 14 15 16 17\n\n"
	       "Exit status: 0 done, 2 bad input, 3 the database cannot be written, 4 trend: too few runs to find a change.\n",
	.options = options,
	.words = AT(words),
	.none = "what to do? add, list, trend or baseline",
	.run = run,
};
