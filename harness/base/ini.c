/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/ini.h"

#include <ini.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/util.h"

/* inih hands over a line number only when it is built so; count from the text instead. */
struct reader {
	const char *rest;
	int line;
	bool indented; /* the line at hand begins with a blank: it goes on with the value before it */
	int too_long;  /* first line that does not fit inih's buffer, 0 */
	int room;      /* bytes that fit */
	size_t value_len, value_room; /* of the last entry's value */
	struct ini_file *file;
};

static char *next_line(char *buf, int size, void *stream)
{
	struct reader *r = stream;
	int n = 0;

	if (!*r->rest)
		return NULL;
	while (*r->rest && n < size - 1) {
		buf[n++] = *r->rest;
		if (*r->rest++ == '\n')
			break;
	}
	buf[n] = '\0';
	r->line++;
	r->indented = buf[0] == ' ' || buf[0] == '\t';
	if (n == size - 1 && buf[n - 1] != '\n' && *r->rest && !r->too_long) {
		r->too_long = r->line;
		r->room = size - 2;
	}
	return buf;
}

/* Puts a line behind the value that it goes on with. */
static void go_on(struct reader *r, struct ini_entry *last, const char *more)
{
	size_t n = strlen(more);

	if (r->value_room < r->value_len + n + 2) {
		r->value_room = 2 * (r->value_len + n + 2);
		last->value = xrealloc(last->value, r->value_room, 1);
	}
	last->value[r->value_len++] = ' ';
	memcpy(last->value + r->value_len, more, n + 1);
	r->value_len += n;
}

static int take_line(void *user, const char *section, const char *key, const char *value)
{
	struct reader *r = user;
	struct ini_file *f = r->file;
	struct ini_entry *last = f->count ? &f->entries[f->count - 1] : NULL;

	if (r->indented && last && str_eq(last->section, section) && str_eq(last->key, key)) {
		go_on(r, last, value ? value : "");
		return 1;
	}
	r->value_len = value ? strlen(value) : 0;
	r->value_room = r->value_len + 1;
	f->entries = xgrow(f->entries, f->count, sizeof(*f->entries));
	f->entries[f->count++] = (struct ini_entry){
		.section = xstrdup(section),
		.key = xstrdup(key),
		.value = xstrdup(value ? value : ""),
		.line = r->line,
	};
	return 1;
}

error *ini_parse_text(const char *text, const char *what, struct ini_file **ret)
{
	_cleanup_(ini_freep) struct ini_file *f = xcalloc(1, sizeof(*f));
	struct reader r = { .rest = text, .file = f };

	f->path = xstrdup(what);
	int bad = ini_parse_stream(next_line, &r, take_line, &r);
	if (r.too_long)
		return err_new(
			EXIT_BAD_INPUT,
			"%s: line %d is longer than %d bytes: go on in the next line, indented by a blank",
			what, r.too_long, r.room);
	if (bad > 0)
		return err_new(EXIT_BAD_INPUT, "%s: line %d is neither '[section]' nor 'key = value'", what,
			       bad);
	if (bad < 0)
		return err_new(EXIT_BAD_INPUT, "%s: cannot be parsed", what);
	*ret = STEAL(f);
	return NULL;
}

error *ini_load(const char *path, struct ini_file **ret)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	error *e = fs_read(path, &text, &len);

	if (e)
		return e;
	if (strlen(text) != len)
		return err_new(EXIT_BAD_INPUT, "%s: holds NUL bytes, so it is not a text file", path);
	return ini_parse_text(text, path, ret);
}

static const struct ini_entry *find(const struct ini_file *f, const char *section, const char *key)
{
	for (size_t i = f->count; i-- > 0;)
		if (str_eq(f->entries[i].section, section) && str_eq(f->entries[i].key, key))
			return &f->entries[i];
	return NULL;
}

const char *ini_get(const struct ini_file *f, const char *section, const char *key)
{
	const struct ini_entry *e = find(f, section, key);

	return e ? e->value : NULL;
}

error *ini_get_long(const struct ini_file *f, const char *section, const char *key, long min, long max,
		    long fallback, long *ret)
{
	const struct ini_entry *e = find(f, section, key);

	*ret = fallback;
	if (!e || parse_long(e->value, min, max, ret))
		return NULL;
	return err_new(EXIT_BAD_INPUT, "%s:%d: %s = %s: needs a whole number from %ld to %ld", f->path,
		       e->line, key, e->value, min, max);
}

static bool matches(const struct ini_entry *e, const char *pattern)
{
	size_t n = strlen(e->section);

	return strncmp(pattern, e->section, n) == 0 && pattern[n] == '.' &&
	       (str_eq(pattern + n + 1, "*") || str_eq(pattern + n + 1, e->key));
}

error *ini_only(const struct ini_file *f, const char *const *allowed)
{
	for (size_t i = 0; i < f->count; i++) {
		const struct ini_entry *e = &f->entries[i];
		bool known = false;

		for (size_t k = 0; allowed[k] && !known; k++)
			known = matches(e, allowed[k]);
		if (!known)
			return err_new(EXIT_BAD_INPUT, "%s:%d: unknown key '%s' in section [%s]", f->path,
				       e->line, e->key, e->section);
	}
	return NULL;
}

void ini_free(struct ini_file *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < f->count; i++) {
		free(f->entries[i].section);
		free(f->entries[i].key);
		free(f->entries[i].value);
	}
	free(f->entries);
	free(f->path);
	free(f);
}
