/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "matrix/keys.h"

#include <string.h>

#include "base/util.h"

const struct key_info matrix_keys[KEY_COUNT] = {
#define KEY_ROW(sym, key, option, kind, min, max, words, where) \
	[KEY_##sym] = { key, option, words, min, max, KIND_##kind, WHERE_##where },
	MATRIX_KEYS(KEY_ROW)
#undef KEY_ROW
};

static bool same_name(const char *a, const char *b)
{
	for (; *a && *b; a++, b++)
		if (*a != *b && !(*a == '-' && *b == '_'))
			return false;
	return *a == *b;
}

int matrix_key_find(const char *name)
{
	for (int k = 0; k < KEY_COUNT; k++)
		if (same_name(name, matrix_keys[k].name))
			return k;
	return -1;
}

static bool among(const char *words, const char *value)
{
	struct strlist l = { 0 };
	bool found = false;

	strlist_add_words(&l, words);
	for (size_t i = 0; i < l.count; i++)
		found |= str_eq(l.items[i], value);
	strlist_clear(&l);
	return found;
}

char *matrix_key_refuses(enum matrix_key k, const char *value)
{
	const struct key_info *i = &matrix_keys[k];
	const char * or = *i->words ? ", or one of " : "";
	long whole;
	double real;

	if (!*value)
		return xstrdup("a value");
	if (*i->words && among(i->words, value))
		return NULL;
	switch (i->kind) {
	case KIND_TEXT:
		return NULL;
	case KIND_WORD:
	case KIND_FLAG:
		return xasprintf("one of %s", i->words);
	case KIND_REAL:
		if (parse_double(value, i->min, i->max, &real))
			return NULL;
		return xasprintf("a number from %g to %g%s%s", i->min, i->max, or, i->words);
	case KIND_WHOLE:
	case KIND_COUNT:
		break;
	}
	if (parse_long(value, (long)i->min, (long)i->max, &whole))
		return NULL;
	return xasprintf("a whole number from %.0f to %.0f%s%s", i->min, i->max, or, i->words);
}

char *matrix_key_names(enum key_where where)
{
	struct strlist l = { 0 };

	for (int k = 0; k < KEY_COUNT; k++)
		if (matrix_keys[k].where >= where)
			strlist_add(&l, matrix_keys[k].name);
	char *names = strlist_join(&l);
	strlist_clear(&l);
	return names;
}
