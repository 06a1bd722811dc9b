/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A .matrix file, and the configurations that it stands for. */
#include "matrix/spec.h"

#include <ctype.h>
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

	if (k >= 0 && matrix_key_info(k)->where >= where) {
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
	enum matrix_key k = KEY_ROOM;
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
	enum matrix_key k = KEY_ROOM;
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
	enum matrix_key k = KEY_ROOM;
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

error *matrix_load(const char *name_or_path, struct matrix_spec **ret)
{
	_cleanup_free_ char *known = NULL, *text = NULL;
	_cleanup_free_ char *path = guest_data_find("matrix", SUFFIX, name_or_path, &known);
	size_t len = 0;
	error *e = path ? fs_read(path, &text, &len)
			: err_new(EXIT_BAD_INPUT, GUEST_DATA_UNKNOWN, "matrix", name_or_path,
				  known ?: "(none found)");

	if (e)
		return err_wrap(e, "matrix");
	if (strlen(text) != len)
		return err_new(EXIT_BAD_INPUT, "matrix: %s: holds NUL bytes, so it is not a text file", path);
	if ((e = matrix_parse(text, path, ret)))
		return e;
	(*ret)->folder = fs_folder_of(path);
	return NULL;
}

static void clear_values(char **value)
{
	for (int k = 0; k < KEY_ROOM; k++)
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

/* Whether a blank-separated list holds the value; NULL is "default". */
static bool list_holds(const char *list, const char *value)
{
	const char *want = value ? value : MATRIX_DEFAULT;
	size_t n = strlen(want);

	/* asked of every rule and combination; without quotes words are what stands between blanks */
	for (const char *at = list; !strchr(list, '"') && *at;) {
		size_t len = strcspn(at, " \t\n");

		if (len == n && n && memcmp(at, want, n) == 0)
			return true;
		at += len + strspn(at + len, " \t\n");
	}
	if (!strchr(list, '"'))
		return false;
	struct strlist l = { 0 };
	bool found = false;

	strlist_add_words(&l, list);
	for (size_t i = 0; i < l.count; i++)
		found |= str_eq(l.items[i], want);
	strlist_clear(&l);
	return found;
}

static bool rule_matches(const struct matrix_rule *r, char *const *value)
{
	for (int k = 0; k < KEY_ROOM; k++)
		if (r->value[k] && !list_holds(r->value[k], value[k]))
			return false;
	return true;
}

/* A value as it stands in names: of a path the last part; numbers and "default" also say of what. */
static char *spoken(enum matrix_key k, const char *value)
{
	const char *base = strrchr(value, '/');

	if (str_eq(value, MATRIX_DEFAULT))
		return xasprintf("%s-default", matrix_key_info(k)->name);
	if (matrix_key_info(k)->kind != KIND_TEXT && matrix_key_info(k)->kind != KIND_WORD)
		return xasprintf("%s=%s", matrix_key_info(k)->name, value);
	return xstrdup(base && base[1] ? base + 1 : value);
}

/* Only what every file system and shell takes as it is. */
static char *folder_name(const char *text)
{
	char *name = xstrdup(text);

	for (char *c = name; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("+-_.,=", *c))
			*c = '-';
	if (*name == '.')
		*name = '_';
	return name;
}

static void set_value(struct matrix_cell *c, enum matrix_key k, const char *value)
{
	free(c->value[k]);
	c->value[k] = !value || str_eq(value, MATRIX_DEFAULT) ? NULL : xstrdup(value);
}

static void clear_cell(struct matrix_cell *c)
{
	for (int k = 0; k < KEY_ROOM; k++)
		free(c->value[k]);
	free(c->name);
	free(c->label);
	free(c->at);
	*c = (struct matrix_cell){ 0 };
}

void matrix_cells_clear(struct matrix_cells *c)
{
	for (size_t i = 0; i < c->count; i++)
		clear_cell(&c->items[i]);
	free(c->items);
	*c = (struct matrix_cells){ 0 };
}

static struct matrix_cell shared_cell(const struct matrix_spec *s)
{
	struct matrix_cell c = { 0 };

	for (int k = 0; k < KEY_ROOM; k++)
		set_value(&c, (enum matrix_key)k, s->value[k]);
	return c;
}

/* The number-th combination; which value of each dimension is what its digits say. */
static struct matrix_cell product_cell(const struct matrix_spec *s, size_t number)
{
	struct matrix_cell c = shared_cell(s);
	struct strlist words = { 0 };

	c.at = xcalloc(s->dim_count, sizeof(*c.at));
	for (size_t d = s->dim_count; d-- > 0;) {
		c.at[d] = number % s->dims[d].values.count;
		number /= s->dims[d].values.count;
	}
	for (size_t d = 0; d < s->dim_count; d++) {
		const char *value = s->dims[d].values.items[c.at[d]];
		_cleanup_free_ char *word = spoken(s->dims[d].key, value);

		set_value(&c, s->dims[d].key, value);
		strlist_add(&words, word);
	}
	c.label = strlist_join(&words);
	c.name = folder_name(c.label);
	strlist_clear(&words);
	return c;
}

static struct matrix_cell config_cell(const struct matrix_spec *s, const struct matrix_config *config)
{
	struct matrix_cell c = shared_cell(s);

	for (int k = 0; k < KEY_ROOM; k++)
		if (config->value[k])
			set_value(&c, (enum matrix_key)k, config->value[k]);
	c.config = true;
	c.label = xstrdup(config->name);
	c.name = folder_name(config->name);
	return c;
}

static bool ends_with(const char *s, const char *ending)
{
	size_t n = strlen(s), len = strlen(ending);

	return n > len && str_eq(s + n - len, ending);
}

/* Files are named from the folder of the .matrix file; the names of what is shipped, and programs on PATH,
   are left as they are. */
static void make_absolute(const struct matrix_spec *s, struct matrix_cell *c)
{
	for (int k = 0; s->folder && k < KEY_ROOM; k++) {
		char **value = &c->value[k];
		const struct option_row *o = *value ? matrix_key_info(k)->option : NULL;

		if (!o || !o->file || (!strchr(*value, '/') && !ends_with(*value, o->file)))
			continue;
		char *path = fs_path_in(s->folder, *value);

		free(*value);
		*value = path;
	}
}

static error *add(struct matrix_cells *all, const struct matrix_spec *s, struct matrix_cell c)
{
	unsigned twin = 1;

	make_absolute(s, &c);
	/* paths that differ only in their folders, or in what a folder's name cannot hold */
	for (size_t i = 0; i < all->count; i++)
		twin += str_eq(all->items[i].label, c.label) || str_eq(all->items[i].name, c.name);
	if (twin > 1) {
		char *name = xasprintf("%s-%u", c.name, twin), *label = xasprintf("%s (%u)", c.label, twin);

		free(c.name);
		free(c.label);
		c.name = name;
		c.label = label;
	}
	all->items = xrealloc(all->items, all->count + 1, sizeof(*all->items));
	all->items[all->count++] = c;
	static const enum matrix_key apart[][2] = { { KEY_ARCH, KEY_QEMU }, { KEY_PROFILE, KEY_IMAGE } };
	for (size_t i = 0; i < ARRAY_LEN(apart); i++)
		if (c.value[apart[i][0]] && c.value[apart[i][1]])
			return err_new(EXIT_BAD_INPUT,
				       "matrix: %s: configuration '%s' has both %s and %s: give one", s->path,
				       c.label, matrix_key_info((int)apart[i][0])->name,
				       matrix_key_info((int)apart[i][1])->name);
	if (all->count > MATRIX_MAX_CELLS)
		return err_new(EXIT_BAD_INPUT,
			       "matrix: %s: more than %d configurations: leave out dimensions", s->path,
			       MATRIX_MAX_CELLS);
	return NULL;
}

/* Whether the rules let a combination through; used[] notes the rules that had a say. */
static bool let_through(const struct matrix_spec *s, const struct matrix_cell *c, bool *used)
{
	bool excluded = false, only = false, wanted = false;

	for (size_t r = 0; r < s->rule_count; r++) {
		bool match = rule_matches(&s->rules[r], c->value);

		used[r] |= match;
		if (s->rules[r].only) {
			only = true;
			wanted |= match;
		} else {
			excluded |= match;
		}
	}
	return !excluded && (wanted || !only);
}

/* The number of combinations; more than `most` is not counted on. */
static size_t product_size(const struct matrix_spec *s, size_t most)
{
	size_t n = s->dim_count ? 1 : 0;

	for (size_t d = 0; d < s->dim_count && n <= most; d++)
		n *= s->dims[d].values.count;
	return n;
}

error *matrix_expand(const struct matrix_spec *s, struct matrix_cells *ret)
{
	_cleanup_free_ bool *used = xcalloc(s->rule_count, sizeof(*used));
	size_t all = product_size(s, 100 * (size_t)MATRIX_MAX_CELLS);
	error *e = NULL;

	*ret = (struct matrix_cells){ 0 };
	if (all > 100 * (size_t)MATRIX_MAX_CELLS)
		return err_new(EXIT_BAD_INPUT,
			       "matrix: %s: the dimensions have over %d combinations: leave some out",
			       s->path, 100 * MATRIX_MAX_CELLS);
	for (size_t i = 0; i < all && !e; i++) {
		struct matrix_cell c = product_cell(s, i);

		if (let_through(s, &c, used))
			e = add(ret, s, c);
		else
			clear_cell(&c);
	}
	for (size_t r = 0; r < s->rule_count && !e; r++)
		if (!used[r])
			e = err_new(
				EXIT_BAD_INPUT,
				"matrix: %s:%d: [%s] matches no combination of the dimensions: correct its values or take it out",
				s->path, s->rules[r].line, s->rules[r].section);
	for (size_t i = 0; i < s->config_count && !e; i++)
		e = add(ret, s, config_cell(s, &s->configs[i]));
	if (!e && !ret->count)
		e = err_new(EXIT_BAD_INPUT, "matrix: %s: its rules leave out every combination", s->path);
	return e;
}
