/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "matrix/keys.h"

#include <assert.h>
#include <string.h>

#include "base/util.h"
#include "run/options.h"

static const struct key_info own[] = {
#define KEY_ROW(sym, key, kind, min, max, words, where) \
	[KEY_##sym] = { key, words, min, max, KIND_##kind, WHERE_##where, NULL },
	MATRIX_KEYS(KEY_ROW)
#undef KEY_ROW
};
static const char *const looked_at[] = {
#define KEY_OPTION(sym, option) [KEY_##sym - ARRAY_LEN(own)] = option,
	MATRIX_RUN_KEYS(KEY_OPTION)
#undef KEY_OPTION
};
_Static_assert(ARRAY_LEN(own) + ARRAY_LEN(looked_at) == KEY_NAMED, "each symbol has a key");

static struct key_info keys[KEY_ROOM];
static int key_count;

static void add_option(const struct option_row *o)
{
	static const enum key_kind kinds[] = {
		[OPT_NOTHING] = KIND_TEXT, [OPT_FLAG] = KIND_FLAG, [OPT_WHOLE] = KIND_WHOLE,
		[OPT_REAL] = KIND_REAL,	   [OPT_TEXT] = KIND_TEXT, [OPT_ANY] = KIND_TEXT,
		[OPT_WORD] = KIND_WORD,
	};
	static char names[KEY_ROOM][24];
	char *name = names[key_count];

	assert(key_count < KEY_ROOM && strlen(o->name) < sizeof(names[0]));
	for (size_t i = 0; o->name[i]; i++)
		name[i] = o->name[i] == '-' ? '_' : o->name[i];
	keys[key_count++] = (struct key_info){
		.name = name,
		.words = o->kind == OPT_FLAG ? "yes no"
			 : o->key_words	     ? o->key_words
			 : o->words	     ? o->words
					     : "",
		.min = o->min,
		.max = o->key_max > 0 ? o->key_max : o->max,
		.kind = kinds[o->kind],
		.where = o->key == OPT_KEY ? WHERE_ANY : WHERE_CONFIG,
		.option = o,
	};
}

const struct key_info *matrix_keys(int *ret_count)
{
	const struct option_row *const *rows = run_option_rows();

	if (!key_count) {
		memcpy(keys, own, sizeof(own));
		key_count = (int)ARRAY_LEN(own);
		for (size_t i = 0; i < ARRAY_LEN(looked_at); i++)
			add_option(option_find(rows, looked_at[i], strlen(looked_at[i])));
		for (; *rows; rows++)
			if ((*rows)->key != OPT_NO_KEY && matrix_key_find((*rows)->name) < 0)
				add_option(*rows);
	}
	*ret_count = key_count;
	return keys;
}

const struct key_info *matrix_key_info(int key)
{
	int n;

	return &matrix_keys(&n)[key];
}

static bool same_name(const char *a, const char *b)
{
	for (; *a && *b; a++, b++)
		if (*a != *b && !(*a == '-' && *b == '_'))
			return false;
	return *a == *b;
}

int matrix_key_find(const char *name)
{
	int n;
	const struct key_info *all = matrix_keys(&n);

	for (int k = 0; k < n; k++)
		if (same_name(name, all[k].name))
			return k;
	return -1;
}

char *matrix_key_refuses(enum matrix_key k, const char *value)
{
	const struct key_info *i = matrix_key_info((int)k);
	const char * or = *i->words ? ", or one of " : "";
	long whole;
	double real;

	if (!*value)
		return xstrdup("a value");
	if (*i->words && option_among(i->words, value))
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
		break;
	}
	if (parse_long(value, (long)i->min, (long)i->max, &whole))
		return NULL;
	return xasprintf("a whole number from %.0f to %.0f%s%s", i->min, i->max, or, i->words);
}

char *matrix_key_names(enum key_where where)
{
	struct strlist l = { 0 };
	int n;
	const struct key_info *all = matrix_keys(&n);

	for (int k = 0; k < n; k++)
		if (all[k].where >= where)
			strlist_add(&l, all[k].name);
	char *names = strlist_join(&l);
	strlist_clear(&l);
	return names;
}
