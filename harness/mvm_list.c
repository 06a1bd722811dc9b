/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <argp.h>
#include <jansson.h>
#include <stdio.h>

#include "base/util.h"
#include "guest/image.h"
#include "guest/profile.h"
#include "mvm.h"

enum {
	OPT_JSON = 0x100,
};

static const struct argp_option options[] = {
	{ "json", OPT_JSON, NULL, 0, "Print JSON", 0 },
	{ 0 },
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	bool *json = state->input;

	switch (key) {
	case OPT_JSON:
		*json = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "takes no argument such as '%s'", arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp mvm_list_argp = {
	.options = options,
	.parser = parse_option,
	.doc = "Lists the guests that are built, with the bytes of code of each, and the profiles that "
	       "choose a "
	       "guest and its parameters.",
};

static error *print_json(const struct strlist *guests, const struct profile_list *profiles)
{
	json_t *g = json_array(), *p = json_array();

	for (size_t i = 0; i < guests->count; i++) {
		struct guest_image img;
		error *e = image_load_guest(guests->items[i], &img);

		if (e) {
			json_decref(g);
			json_decref(p);
			return e;
		}
		json_array_append_new(g, json_pack("{s:s, s:i, s:i}", "name", guests->items[i], "code_bytes",
						   (int)image_code_size(&img), "free_bytes",
						   (int)(image_code_limit(&img) - image_code_size(&img))));
	}
	for (size_t i = 0; i < profiles->count; i++) {
		const struct profile *q = profiles->items[i];

		json_array_append_new(p, json_pack("{s:s, s:s, s:s, s:I, s:I}", "name", q->name, "guest",
						   q->guest, "summary", q->summary, "seed",
						   (json_int_t)q->seed, "phase_ms", (json_int_t)q->phase_ms));
	}
	json_t *all = json_pack("{s:o, s:o}", "guests", g, "profiles", p);
	json_dumpf(all, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(all);
	return NULL;
}

static error *print_text(const struct strlist *guests, const struct profile_list *profiles)
{
	printf("Guests\n");
	for (size_t i = 0; i < guests->count; i++) {
		struct guest_image img;
		error *e = image_load_guest(guests->items[i], &img);

		if (e)
			return e;
		printf("  %-12s %3zu bytes of code, %3zu free\n", guests->items[i], image_code_size(&img),
		       image_code_limit(&img) - image_code_size(&img));
	}
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

int mvm_list(int argc, char **argv)
{
	bool json = false;
	_cleanup_(strlist_clear) struct strlist guests = { 0 };
	_cleanup_(profile_list_clear) struct profile_list profiles = { 0 };

	mvm_parse(&mvm_list_argp, argc, argv, &json);
	guest_names(&guests);
	error *e = profile_list(&profiles);
	if (!e)
		e = json ? print_json(&guests, &profiles) : print_text(&guests, &profiles);
	return e ? mvm_fail(e) : EXIT_DONE;
}
