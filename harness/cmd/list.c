/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <jansson.h>
#include <stdio.h>

#include "backend/backend.h"
#include "backend/qemu/preset.h"
#include "backend/qemu/tune.h"
#include "base/table.h"
#include "base/util.h"
#include "cmd/cmd.h"
#include "guest/profile.h"
#include "matrix/spec.h"
#include "record/interval.h"
#include "record/metric.h"

/* Every list is rows of name and text, so that one printer serves people and programs. */
static void add(json_t *rows, const char *name, const char *text)
{
	json_array_append_new(rows, json_pack("{s:s,s:s}", "name", name, "summary", text));
}

static error *list_backends(json_t *rows)
{
	for (size_t i = 0; backends[i]; i++) {
		_cleanup_err_ error *e = backends[i]->probe ? backends[i]->probe() : NULL;
		_cleanup_free_ char *text =
			xasprintf("%s (needs %s)%s%s", backends[i]->summary, backends[i]->needs,
				  e ? "; not here: " : "", e ? e->msg : "");
		add(rows, backends[i]->name, text);
		json_t *can = json_array();
		for (int k = 0; k < BACKEND_CAPABILITY_COUNT; k++)
			if (backends[i]->flags & 1U << k)
				json_array_append_new(can, json_string(backend_capability_names[k]));
		json_object_set_new(json_array_get(rows, i), "can", can);
		json_object_set_new(json_array_get(rows, i), "why_not",
				    e ? json_string(e->msg) : json_null());
	}
	return NULL;
}

static error *list_presets(json_t *rows)
{
	struct strlist names;
	error *e = NULL;

	preset_names(&names);
	for (size_t i = 0; i < names.count && !e; i++) {
		_cleanup_(preset_freep) struct preset *p = NULL;

		if (!(e = preset_load(names.items[i], &p)))
			add(rows, p->name, p->summary);
	}
	strlist_clear(&names);
	return e;
}

static error *list_profiles(json_t *rows)
{
	struct profile_list l = { 0 };
	error *e = profile_list(&l);

	for (size_t i = 0; !e && i < l.count; i++)
		add(rows, l.items[i]->name, l.items[i]->summary);
	profile_list_clear(&l);
	return e;
}

static error *list_guests(json_t *rows)
{
	struct strlist names;
	error *e = NULL;

	guest_names(&names);
	for (size_t i = 0; i < names.count && !e; i++) {
		struct guest_image img;

		if ((e = image_load_guest(names.items[i], &img)))
			break;
		_cleanup_free_ char *text =
			xasprintf("%zu bytes of code, %zu free, parameters version %u", image_code_size(&img),
				  image_code_limit(&img) - image_code_size(&img), img.version);
		add(rows, names.items[i], text);
	}
	strlist_clear(&names);
	return e;
}

static error *list_metrics(json_t *rows)
{
	for (int m = 0; m < METRIC_COUNT; m++) {
		_cleanup_free_ char *text = xasprintf("%s [%s]", metric_table[m].label, metric_table[m].unit);
		add(rows, metric_table[m].column, text);
	}
	for (int k = 0; k < EXTRA_COUNT; k++) {
		_cleanup_free_ char *text = xasprintf("%s (intervals.csv only)", interval_extra_meanings[k]);
		add(rows, interval_extra_columns[k], text);
	}
	for (int k = 0; k < NODE_COLUMN_COUNT; k++) {
		_cleanup_free_ char *name = xasprintf("node<N>_%s", node_column_names[k]);
		_cleanup_free_ char *text = xasprintf("%s (intervals.csv only)", node_column_meanings[k]);
		add(rows, name, text);
	}
	return NULL;
}

static error *list_techniques(json_t *rows)
{
	for (int k = 0; k < TECH_COUNT; k++)
		add(rows, technique_names[k], technique_texts[k]);
	return NULL;
}

static error *list_matrices(json_t *rows)
{
	struct strlist names;
	error *e = NULL;

	matrix_names(&names);
	for (size_t i = 0; i < names.count && !e; i++) {
		_cleanup_(matrix_spec_freep) struct matrix_spec *s = NULL;

		if (!(e = matrix_load(names.items[i], &s)))
			add(rows, s->name, s->value[KEY_SUMMARY] ? s->value[KEY_SUMMARY] : "");
	}
	strlist_clear(&names);
	return e;
}

static const struct {
	const char *kind;
	error *(*list)(json_t *rows);
} kinds[] = {
	{ "backends", list_backends }, { "presets", list_presets }, { "profiles", list_profiles },
	{ "guests", list_guests },     { "metrics", list_metrics }, { "techniques", list_techniques },
	{ "matrices", list_matrices },
};

struct list_args {
	struct strlist kind;
	bool json;
};

static const struct option_row options[] = {
	{ "json", 'J', NULL, NULL, OPT_FLAG, offsetof(struct list_args, json), .help = "Print as JSON" },
	{ 0 },
};

static int list_main(int argc, char **argv)
{
	static const struct table_column columns[] = { { .name = "name" }, { .name = "summary" } };
	struct table t = table_new(columns, ARRAY_LEN(columns));
	struct list_args a = { 0 };
	json_t *rows = json_array(), *row;
	size_t i;

	cmd_parse(&cmd_list, argc, argv, &a);
	error *e = err_new(
		EXIT_BAD_INPUT,
		"list %s: unknown; known are backends, presets, profiles, guests, metrics, techniques, matrices",
		a.kind.items[0]);
	for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
		if (!str_eq(kinds[k].kind, a.kind.items[0]))
			continue;
		err_free(e);
		e = kinds[k].list(rows);
		break;
	}
	if (!e && a.json) {
		cmd_print_json(json_incref(rows), 0);
	} else if (!e) {
		json_array_foreach(rows, i, row) table_row(
			&t, (char *[]){ xstrdup(json_string_value(json_object_get(row, "name"))),
					xstrdup(json_string_value(json_object_get(row, "summary"))) });
		table_write_text(&t, "", stdout);
	}
	table_clear(&t);
	json_decref(rows);
	strlist_clear(&a.kind);
	return e ? cmd_fail(e) : EXIT_DONE;
}

const struct command cmd_list = {
	.name = "list",
	.summary = "backends, presets, profiles, guests, metrics, techniques or matrices to choose from",
	.usage = "backends|presets|profiles|guests|metrics|techniques|matrices",
	.doc = "Lists what can be chosen, with one line each.",
	.options = options,
	.words = offsetof(struct list_args, kind),
	.most = 1,
	.too_many = "one kind at a time",
	.none = "what to list? backends, presets, profiles, guests, metrics, techniques or matrices",
	.run = list_main,
};
