/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "compare/spec.h"

#include <string.h>

static error *check_name(const char *word, size_t len, const struct option_row *const *known)
{
	const struct option_row *o = option_find(known, word, len);

	if (!o)
		return err_new(EXIT_BAD_INPUT,
			       "'%.*s' is no option of 'mvmscale run' ('mvmscale run --help' names them%s)",
			       (int)len, word,
			       len == 5 && str_starts(word, "guest")
				       ? "; a guest is named by profile=NAME or image=FILE"
				       : "");
	return o->set_by_ab
		       ? err_new(EXIT_BAD_INPUT,
				 "'%s' is set by ab itself, and cannot differ between the sides", o->name)
		       : NULL;
}

/* Whether a word that is no option by itself goes on with the value before it: "-noaslr" of
 * "tune=+ksm,-noaslr". */
static bool continues(const struct strlist *so_far, const char *word, const struct option_row *const *known)
{
	const char *last = so_far->count ? so_far->items[so_far->count - 1] : "";
	size_t len = strcspn(word, "=");

	if (!strchr(last, '='))
		return false;
	/* a machine type has properties of its own */
	return word[len] != '=' || (str_starts(last, "--machine=") && !option_find(known, word, len));
}

/* The last item goes on with a comma and that word; *room: bytes that were taken for it, 0 for its own size.
 */
static void go_on(struct strlist *l, size_t *len, size_t *room, const char *word)
{
	char **last = &l->items[l->count - 1];
	size_t n = strlen(word);

	if (!*room)
		*len = strlen(*last);
	if (*room < *len + n + 2) {
		*room = 2 * (*len + n + 2);
		*last = xrealloc(*last, *room, 1);
	}
	(*last)[*len] = ',';
	memcpy(*last + *len + 1, word, n + 1);
	*len += n + 1;
}

error *spec_parse(const char *text, const struct option_row *const *known, struct strlist *ret)
{
	_cleanup_free_ char *copy = xstrdup(text);
	size_t last_len = 0, last_room = 0;
	char *rest = copy, *word;

	while ((word = strsep(&rest, ","))) {
		size_t len = strcspn(word, "=");
		const struct option_row *o = option_find(known, word, len);
		bool option = o && (word[len] == '=') == (o->arg != NULL);
		error *e = NULL;

		if (!*word)
			continue;
		if (!option && continues(ret, word, known)) {
			go_on(ret, &last_len, &last_room, word);
			continue;
		}
		if ((e = check_name(word, len, known)))
			return e;
		if (!option && o && o->arg)
			return err_new(EXIT_BAD_INPUT, "'%s' needs a value: %s=%s", word, o->name, o->arg);
		if (!option)
			return err_new(EXIT_BAD_INPUT, "'%s': the option %.*s takes no value", word, (int)len,
				       word);
		strlist_addf(ret, "--%s", word);
		last_room = 0;
	}
	return NULL;
}

static bool holds(const struct strlist *l, const char *item)
{
	for (size_t i = 0; i < l->count; i++)
		if (str_eq(l->items[i], item))
			return true;
	return false;
}

void spec_differences(const struct strlist *a, const struct strlist *b, struct strlist *ret)
{
	const struct strlist *lists[2] = { a, b };

	for (int k = 0; k < 2; k++)
		for (size_t i = 0; i < lists[k]->count; i++) {
			const char *item = lists[k]->items[i];

			if (holds(lists[!k], item))
				continue;
			_cleanup_free_ char *name = xasprintf("%.*s", (int)strcspn(item + 2, "="), item + 2);
			if (!holds(ret, name))
				strlist_add(ret, name);
		}
}
