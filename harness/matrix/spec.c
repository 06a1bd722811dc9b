/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading .matrix files. */
#include "matrix/spec.h"

#include <jansson.h>
#include <string.h>

#include "base/fs.h"
#include "base/ini.h"
#include "guest/image.h"

#define SUFFIX ".matrix"

enum section_kind { SECTION_MATRIX, SECTION_DIMENSIONS, SECTION_EXCLUDE, SECTION_ONLY, SECTION_CONFIG };
static const char *const section_words[] = {
	[SECTION_MATRIX] = "matrix", [SECTION_DIMENSIONS] = "dimensions", [SECTION_EXCLUDE] = "exclude",
	[SECTION_ONLY] = "only",     [SECTION_CONFIG] = "config",
};

static error *bad(const struct ini_file *f, const struct ini_entry *e, const char *text)
{
	return err_new(EXIT_BAD_INPUT, "%s:%d: [%s] %s = %s: %s", f->path, e->line, e->section, e->key,
		       e->value, text);
}

/* The first word of a section's name says what it is; the rest is its own name. */
static error *section_of(const struct ini_file *f, const struct ini_entry *e, enum section_kind *ret,
			 const char **ret_name)
{
	size_t n = strcspn(e->section, " \t");

	*ret_name = e->section + n + strspn(e->section + n, " \t");
	for (size_t i = 0; i < ARRAY_LEN(section_words); i++) {
		if (strlen(section_words[i]) != n || strncmp(e->section, section_words[i], n) != 0)
			continue;
		*ret = (enum section_kind)i;
		if (i <= SECTION_DIMENSIONS && **ret_name)
			break;
		if (i == SECTION_CONFIG && !**ret_name)
			return err_new(EXIT_BAD_INPUT, "%s:%d: [config] needs a name: [config NAME]", f->path,
				       e->line);
		return NULL;
	}
	return err_new(
		EXIT_BAD_INPUT,
		"%s:%d: unknown section [%s]; known are [matrix], [dimensions], [exclude NAME], [only NAME] and [config NAME]",
		f->path, e->line, e->section);
}

static error *key_of(const struct ini_file *f, const struct ini_entry *e, enum key_where where,
		     enum matrix_key *ret)
{
	int k = matrix_key_find(e->key);

	if (k >= 0 && matrix_keys[k].where >= where) {
		*ret = (enum matrix_key)k;
		return NULL;
	}
	_cleanup_free_ char *known = matrix_key_names(where);
	return err_new(EXIT_BAD_INPUT, "%s:%d: %s key '%s' in section [%s]; known there are %s", f->path,
		       e->line, k < 0 ? "unknown" : "misplaced", e->key, e->section, known);
}

static error *check_value(const struct ini_file *f, const struct ini_entry *e, enum matrix_key k,
			  const char *value)
{
	_cleanup_free_ char *needs = matrix_key_refuses(k, value);

	if (!needs)
		return NULL;
	_cleanup_free_ char *text = xasprintf("'%s' will not do: it needs %s", value, needs);
	return bad(f, e, text);
}

static error *take_value(const struct ini_file *f, const struct ini_entry *e, enum key_where where,
			 char **values)
{
	enum matrix_key k = KEY_COUNT;
	error *err = key_of(f, e, where, &k);

	if (err)
		return err;
	bool unset = where == WHERE_CONFIG && str_eq(e->value, MATRIX_DEFAULT);
	if (!unset && (err = check_value(f, e, k, e->value)))
		return err;
	if (values[k])
		return bad(f, e, "the key is given twice in this section");
	values[k] = xstrdup(e->value);
	return NULL;
}

/* The values of a list, each checked; "default" suits every key. */
static error *check_list(const struct ini_file *f, const struct ini_entry *e, enum matrix_key k,
			 const struct strlist *l)
{
	error *err = NULL;

	if (!l->count)
		return bad(f, e, "needs at least one value");
	for (size_t i = 0; i < l->count && !err; i++) {
		if (!str_eq(l->items[i], MATRIX_DEFAULT))
			err = check_value(f, e, k, l->items[i]);
		for (size_t j = 0; j < i && !err; j++)
			if (str_eq(l->items[i], l->items[j]))
				err = bad(f, e, "the same value stands there twice");
	}
	return err;
}

static error *take_dimension(const struct ini_file *f, const struct ini_entry *e, struct matrix_spec *s)
{
	enum matrix_key k = KEY_COUNT;
	error *err = key_of(f, e, WHERE_ANY, &k);

	if (err)
		return err;
	for (size_t i = 0; i < s->dim_count; i++)
		if (s->dims[i].key == k)
			return bad(f, e, "this dimension is given twice");
	s->dims = xgrow(s->dims, s->dim_count, sizeof(*s->dims));
	struct matrix_dimension *d = &s->dims[s->dim_count++];
	*d = (struct matrix_dimension){ .key = k };
	strlist_add_words(&d->values, e->value);
	return check_list(f, e, k, &d->values);
}

static error *take_rule(const struct ini_file *f, const struct ini_entry *e, struct matrix_spec *s, bool only)
{
	struct matrix_rule *r = s->rule_count ? &s->rules[s->rule_count - 1] : NULL;
	struct strlist l = { 0 };
	enum matrix_key k = KEY_COUNT;
	error *err = key_of(f, e, WHERE_ANY, &k);

	if (err)
		return err;
	if (!r || !str_eq(r->section, e->section)) {
		if (s->rule_count == MATRIX_MAX_RULES) {
			strlist_clear(&l);
			return err_new(EXIT_BAD_INPUT, "%s:%d: more than %d rules: leave some out", f->path,
				       e->line, MATRIX_MAX_RULES);
		}
		s->rules = xgrow(s->rules, s->rule_count, sizeof(*s->rules));
		r = &s->rules[s->rule_count++];
		*r = (struct matrix_rule){ .section = xstrdup(e->section), .line = e->line, .only = only };
	}
	strlist_add_words(&l, e->value);
	err = check_list(f, e, k, &l);
	strlist_clear(&l);
	if (!err && r->value[k])
		err = bad(f, e, "the key is given twice in this section; two rules need two names");
	if (!err)
		r->value[k] = xstrdup(e->value);
	return err;
}

static error *take_config(const struct ini_file *f, const struct ini_entry *e, struct matrix_spec *s,
			  const char *name)
{
	struct matrix_config *c = s->config_count ? &s->configs[s->config_count - 1] : NULL;

	if (!c || !str_eq(c->name, name)) {
		for (size_t i = 0; i < s->config_count; i++)
			if (str_eq(s->configs[i].name, name))
				return err_new(EXIT_BAD_INPUT, "%s:%d: there are two sections [%s]", f->path,
					       e->line, e->section);
		if (s->config_count == MATRIX_MAX_CELLS)
			return err_new(EXIT_BAD_INPUT, "%s:%d: more than %d configurations: leave some out",
				       f->path, e->line, MATRIX_MAX_CELLS);
		s->configs = xgrow(s->configs, s->config_count, sizeof(*s->configs));
		c = &s->configs[s->config_count++];
		*c = (struct matrix_config){ .name = xstrdup(name), .line = e->line };
	}
	return take_value(f, e, WHERE_CONFIG, c->value);
}

static error *take_entry(const struct ini_file *f, const struct ini_entry *e, struct matrix_spec *s)
{
	enum section_kind kind = SECTION_MATRIX;
	const char *name;
	error *err = section_of(f, e, &kind, &name);

	if (err)
		return err;
	switch (kind) {
	case SECTION_MATRIX:
		return take_value(f, e, WHERE_GLOBAL, s->value);
	case SECTION_DIMENSIONS:
		return take_dimension(f, e, s);
	case SECTION_EXCLUDE:
	case SECTION_ONLY:
		return take_rule(f, e, s, kind == SECTION_ONLY);
	case SECTION_CONFIG:
		return take_config(f, e, s, name);
	}
	return NULL;
}

static char *name_of(const char *path)
{
	const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	size_t n = strlen(base), suffix = strlen(SUFFIX);

	if (n > suffix && str_eq(base + n - suffix, SUFFIX))
		n -= suffix;
	return xasprintf("%.*s", (int)n, base);
}

error *matrix_parse(const char *text, const char *what, struct matrix_spec **ret)
{
	_cleanup_(matrix_spec_freep) struct matrix_spec *s = xcalloc(1, sizeof(*s));
	_cleanup_(ini_freep) struct ini_file *f = NULL;
	json_t *utf8 = json_string(text);
	error *e = utf8 ? ini_parse_text(text, what, &f)
			: err_new(EXIT_BAD_INPUT, "%s: is not UTF-8 text: save it as such", what);

	json_decref(utf8);
	s->path = xstrdup(what);
	s->name = name_of(what);
	s->text = xstrdup(text);
	for (size_t i = 0; !e && i < f->count; i++)
		e = take_entry(f, &f->entries[i], s);
	if (!e && !s->dim_count && !s->config_count)
		e = err_new(
			EXIT_BAD_INPUT,
			"%s: there is nothing to run: it has neither a section [dimensions] nor a [config NAME]",
			what);
	if (e)
		return err_wrap(e, "matrix");
	*ret = STEAL(s);
	return NULL;
}

void matrix_names(struct strlist *ret)
{
	*ret = (struct strlist){ 0 };
	guest_data_names("matrix", SUFFIX, ret);
}

static error *find_matrix(const char *name, char **ret)
{
	size_t n = strlen(name), suffix = strlen(SUFFIX);

	if (strchr(name, '/') || (n > suffix && str_eq(name + n - suffix, SUFFIX))) {
		*ret = xstrdup(name);
		return NULL;
	}
	_cleanup_free_ char *file = xasprintf("%s%s", name, SUFFIX);
	*ret = fs_find_data("matrix", file);
	if (*ret)
		return NULL;
	struct strlist names;
	matrix_names(&names);
	_cleanup_free_ char *known = names.count ? strlist_join(&names) : xstrdup("(none found)");
	strlist_clear(&names);
	return err_new(EXIT_BAD_INPUT,
		       "unknown matrix '%s': known are %s; a file of your own is given by its path", name,
		       known);
}

error *matrix_load(const char *name_or_path, struct matrix_spec **ret)
{
	_cleanup_free_ char *path = NULL, *text = NULL;
	size_t len = 0;
	error *e = find_matrix(name_or_path, &path);

	if (e || (e = fs_read(path, &text, &len)))
		return e ? err_wrap(e, "matrix") : NULL;
	if (strlen(text) != len)
		return err_new(EXIT_BAD_INPUT, "matrix: %s: holds NUL bytes, so it is not a text file", path);
	if ((e = matrix_parse(text, path, ret)))
		return e;
	(*ret)->folder = fs_folder_of(path);
	return NULL;
}

static void clear_values(char **value)
{
	for (int k = 0; k < KEY_COUNT; k++)
		free(value[k]);
}

void matrix_spec_free(struct matrix_spec *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->dim_count; i++)
		strlist_clear(&s->dims[i].values);
	for (size_t i = 0; i < s->rule_count; i++) {
		free(s->rules[i].section);
		clear_values(s->rules[i].value);
	}
	for (size_t i = 0; i < s->config_count; i++) {
		free(s->configs[i].name);
		clear_values(s->configs[i].value);
	}
	clear_values(s->value);
	free(s->dims);
	free(s->rules);
	free(s->configs);
	free(s->path);
	free(s->name);
	free(s->text);
	free(s->folder);
	free(s);
}

char *matrix_difference(const char *there, const char *here)
{
	for (int line = 1; *there || *here; line++) {
		size_t a = strcspn(there, "\n"), b = strcspn(here, "\n");

		if (a != b || strncmp(there, here, a) != 0)
			return xasprintf("line %d: '%.*s' there, '%.*s' here", line, (int)a, there, (int)b,
					 here);
		there += a + (there[a] == '\n');
		here += b + (here[b] == '\n');
	}
	return NULL;
}
