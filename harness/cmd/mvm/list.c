/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <jansson.h>
#include <stdio.h>

#include "base/util.h"
#include "cmd/mvm/mvm.h"
#include "guest/image.h"
#include "guest/profile.h"
#include "guest/schema.h"

/* The configuration is one bool. */
static const struct option_row options[] = {
	{ "json", 0, NULL, NULL, OPT_FLAG, 0, .help = "Print JSON" },
	{ 0 },
};

static json_t *fields_json(const struct guest_schema *s)
{
	json_t *fields = json_array();

	for (size_t i = 0; i < s->count; i++) {
		const struct schema_field *f = &s->fields[i];
		json_t *j =
			json_pack("{s:s,s:s,s:s,s:s,s:s}", "name", f->name, "type", field_type_names[f->type],
				  "default", f->fallback, "unit", f->unit, "help", f->help);

		if (f->type == FIELD_TEXT || f->type == FIELD_BYTES) {
			json_object_set_new(j, "bytes", json_integer((json_int_t)f->size));
		} else {
			json_object_set_new(j, "min", json_integer(f->min));
			json_object_set_new(j, "max", json_integer(f->max));
		}
		json_array_append_new(fields, j);
	}
	return fields;
}

static json_t *guest_json(const struct guest_image *img, const struct guest_schema *s)
{
	json_t *needs = json_array();

	for (size_t i = 0; i < s->needs.count; i++)
		json_array_append_new(needs, json_string(s->needs.items[i]));
	return json_pack("{s:s, s:s, s:i, s:i, s:o, s:o}", "name", s->guest, "summary", s->summary,
			 "code_bytes", (int)image_code_size(img), "free_bytes",
			 (int)(image_code_limit(img) - image_code_size(img)), "needs", needs, "parameters",
			 fields_json(s));
}

static json_t *profile_json(const struct profile *q)
{
	return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I}", "name", q->name, "guest", q->guest, "summary",
			 q->summary, "seed", (json_int_t)q->seed, "phase_ms", (json_int_t)q->phase_ms,
			 "spread_ms", (json_int_t)q->spread_ms);
}

/* One guest with all it declares. */
static void print_guest(const struct guest_image *img, const struct guest_schema *s)
{
	printf("  %-12s %s\n", s->guest, s->summary);
	printf("  %-12s %zu bytes of code, %zu free", "", image_code_size(img),
	       image_code_limit(img) - image_code_size(img));
	for (size_t i = 0; i < s->needs.count; i++)
		printf("%s %s", i ? "," : "; needs", s->needs.items[i]);
	putchar('\n');
	for (size_t i = 0; i < s->count; i++) {
		_cleanup_free_ char *range = schema_range(&s->fields[i]);

		printf("  %-14s%s = %s: %s (%s)\n", "", s->fields[i].name, s->fields[i].fallback,
		       s->fields[i].help, range);
	}
}

/* Into the JSON array where there is one, else printed. */
static error *list_guests(const struct strlist *guests, json_t *json)
{
	for (size_t i = 0; i < guests->count; i++) {
		_cleanup_(schema_freep) struct guest_schema *s = NULL;
		struct guest_image img;
		error *e = image_load_guest(guests->items[i], &img);

		if (!e)
			e = schema_load(guests->items[i], &s);
		if (e)
			return e;
		if (json)
			json_array_append_new(json, guest_json(&img, s));
		else
			print_guest(&img, s);
	}
	return NULL;
}

static error *print_json(const struct strlist *guests, const struct profile_list *profiles)
{
	json_t *g = json_array(), *p = json_array();
	error *e = list_guests(guests, g);

	for (size_t i = 0; i < profiles->count; i++)
		json_array_append_new(p, profile_json(profiles->items[i]));
	json_t *all = json_pack("{s:o, s:o}", "guests", g, "profiles", p);
	if (!e)
		cmd_print_json(json_incref(all), 0);
	json_decref(all);
	return e;
}

static error *print_text(const struct strlist *guests, const struct profile_list *profiles)
{
	printf("Guests\n");
	error *e = list_guests(guests, NULL);
	if (e)
		return e;
	if (!guests->count)
		printf("  none built or installed: run 'make'\n");
	printf("Profiles\n");
	for (size_t i = 0; i < profiles->count; i++)
		printf("  %-12s %s (guest %s)\n", profiles->items[i]->name, profiles->items[i]->summary,
		       profiles->items[i]->guest);
	if (!profiles->count)
		printf("  none installed: set MVMSCALE_DATA to the folder that holds profiles/\n");
	return NULL;
}

static int run(int argc, char **argv)
{
	bool json = false;
	_cleanup_(strlist_clear) struct strlist guests = { 0 };
	_cleanup_(profile_list_clear) struct profile_list profiles = { 0 };

	cmd_parse(&mvm_list, argc, argv, &json);
	guest_names(&guests);
	error *e = profile_list(&profiles);
	if (!e)
		e = json ? print_json(&guests, &profiles) : print_text(&guests, &profiles);
	return e ? cmd_fail(e) : EXIT_DONE;
}

const struct command mvm_list = {
	.name = "list",
	.summary = "list the guests and the profiles there are",
	.doc = "Lists the guests that are built, with the bytes of code and the parameters of each, and the profiles that choose a guest and set its parameters.",
	.options = options,
	NO_WORDS,
	.too_many = "takes no argument such as '%s'",
	.run = run,
};
