/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/option.h"

#include <stdint.h>
#include <string.h>

#include "base/fs.h"

bool option_among(const char *words, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = words ? words : ""; *at; at += strspn(at, " ")) {
		size_t len = strcspn(at, " ");

		if (len == n && memcmp(at, word, n) == 0)
			return true;
		at += len;
	}
	return false;
}

char *option_list(const struct strlist *l, const char *last)
{
	char *text = xstrdup("");

	for (size_t i = 0; i < l->count; i++) {
		char *longer = xasprintf("%s%s%s", text,
					 i == 0		    ? ""
					 : i + 1 < l->count ? ", "
							    : last,
					 l->items[i]);

		free(text);
		text = longer;
	}
	return text;
}

void option_keep_program(const char **name, struct strlist *kept)
{
	if (!*name)
		return;
	_cleanup_free_ char *absolute = fs_program(*name);
	strlist_add(kept, absolute);
	*name = kept->items[kept->count - 1];
}

static unsigned place_of(const char *words, const char *word)
{
	_cleanup_(strlist_clear) struct strlist all = { 0 };
	unsigned i = 0;

	strlist_add_words(&all, words);
	while (!str_eq(all.items[i], word))
		i++;
	return i;
}

static error *check_word(const struct option_row *o, const char *arg)
{
	_cleanup_(strlist_clear) struct strlist words = { 0 };

	if (option_among(o->words, arg))
		return NULL;
	strlist_add_words(&words, o->words);
	_cleanup_free_ char *all = option_list(&words, " or ");
	return err_new(EXIT_BAD_INPUT, "--%s %s: must be %s", o->name, arg, all);
}

error *option_take(const struct option_row *o, const char *arg, void *config)
{
	void *at = (char *)config + o->offset;
	_cleanup_free_ char *wrong = NULL;
	double real = -1;
	long whole = 0;

	arg = arg ? arg : o->bare;
	if (o->kind == OPT_WHOLE && !option_among(o->words, arg))
		wrong = option_whole(o->name, arg, (long)o->min, (long)o->max, &whole);
	else if (o->kind == OPT_REAL && !option_among(o->words, arg))
		wrong = option_real(o->name, arg, o->min, o->max, &real);
	else if (o->kind == OPT_TEXT && !*arg)
		wrong = xasprintf("--%s '': needs a value", o->name);
	if (wrong)
		return err_new(EXIT_BAD_INPUT, "%s", wrong);
	error *e = o->kind == OPT_WORD || o->kind == OPT_CHOICE ? check_word(o, arg) : NULL;
	if (e || o->take)
		return e ? e : o->take(o, arg, config);
	switch (o->kind) {
	case OPT_NOTHING:
		break;
	case OPT_FLAG:
		*(bool *)at = true;
		break;
	case OPT_WHOLE:
		*(unsigned *)at = (unsigned)whole;
		break;
	case OPT_REAL:
		*(double *)at = real;
		break;
	case OPT_TEXT:
	case OPT_ANY:
	case OPT_WORD:
		*(const char **)at = arg;
		break;
	case OPT_CHOICE:
		*(unsigned *)at = place_of(o->words, arg);
		break;
	case OPT_LIST:
		strlist_add(at, arg);
		break;
	}
	return NULL;
}

const struct option_row *option_find(const struct option_row *const *list, const char *name, size_t len)
{
	for (; *list; list++)
		if (strlen((*list)->name) == len && strncmp((*list)->name, name, len) == 0)
			return *list;
	return NULL;
}
