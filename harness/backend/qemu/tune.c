/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "backend/qemu/tune.h"

#include <stdarg.h>
#include <string.h>

#include "base/util.h"

const char *const technique_names[TECH_COUNT] = {
#define TECHNIQUE_NAME(sym, name, what) [TECH_##sym] = (name),
	TECHNIQUES(TECHNIQUE_NAME)
#undef TECHNIQUE_NAME
};

const char *const technique_texts[TECH_COUNT] = {
#define TECHNIQUE_TEXT(sym, name, what) [TECH_##sym] = (what),
	TECHNIQUES(TECHNIQUE_TEXT)
#undef TECHNIQUE_TEXT
};

static bool find(const char *name, enum technique *ret)
{
	for (int k = 0; k < TECH_COUNT; k++) {
		if (!str_eq(technique_names[k], name))
			continue;
		*ret = (enum technique)k;
		return true;
	}
	return false;
}

static error *unknown(const char *where, const char *name)
{
	struct strlist known = { 0 };

	for (int k = 0; k < TECH_COUNT; k++)
		strlist_add(&known, technique_names[k]);
	_cleanup_free_ char *names = strlist_join(&known);
	strlist_clear(&known);
	return err_new(EXIT_BAD_INPUT, "%s: unknown technique '%s'; known are %s", where, name, names);
}

error *tuning_parse(const char *preset_words, const char *changes, struct tuning *ret)
{
	_cleanup_free_ char *words = xstrdup(preset_words), *list = xstrdup(changes ? changes : "");
	enum technique k;

	*ret = (struct tuning){ 0 };
	for (char *rest = words, *w; (w = strsep(&rest, " ,"));) {
		if (!*w)
			continue;
		if (!find(w, &k))
			return unknown("preset's tune", w);
		ret->t[k].asked = true;
	}
	for (char *rest = list, *w; (w = strsep(&rest, ","));) {
		if (!*w)
			continue;
		if (*w != '+' && *w != '-')
			return err_new(EXIT_BAD_INPUT,
				       "--tune %s: write +%s to add it or -%s to leave it out", w, w, w);
		if (!find(w + 1, &k))
			return unknown("--tune", w + 1);
		ret->t[k].asked = *w == '+';
	}
	return NULL;
}

bool tuning_leaves_out(const char *changes, enum technique t)
{
	_cleanup_free_ char *list = xstrdup(changes ? changes : "");
	bool out = false;
	enum technique k;

	for (char *rest = list, *w; (w = strsep(&rest, ","));)
		if (*w && find(w + 1, &k) && k == t)
			out = *w == '-';
	return out;
}

void tuning_note(struct tuning *t, enum technique k, bool in_force, const char *fmt, ...)
{
	va_list ap;

	free(t->t[k].note);
	va_start(ap, fmt);
	t->t[k].note = xvasprintf(fmt, ap);
	va_end(ap);
	t->t[k].in_force = in_force;
}

json_t *tuning_json(const struct tuning *t)
{
	json_t *all = json_object();

	for (int k = 0; k < TECH_COUNT; k++)
		json_object_set_new(all, technique_names[k],
				    json_pack("{s:b,s:b,s:s?}", "asked", t->t[k].asked, "in_force",
					      t->t[k].in_force, "note", t->t[k].note));
	return all;
}

void tuning_clear(struct tuning *t)
{
	for (int k = 0; k < TECH_COUNT; k++)
		free(t->t[k].note);
	*t = (struct tuning){ 0 };
}
