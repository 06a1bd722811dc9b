/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From what a .matrix file says to the configurations that are run. Pure. */
#include <ctype.h>
#include <string.h>

#include "base/fs.h"
#include "matrix/spec.h"

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
	for (int k = 0; k < KEY_COUNT; k++)
		if (r->value[k] && !list_holds(r->value[k], value[k]))
			return false;
	return true;
}

/* A value as it stands in names: of a path the last part; numbers and "default" also say of what. */
static char *spoken(enum matrix_key k, const char *value)
{
	const char *base = strrchr(value, '/');

	if (str_eq(value, MATRIX_DEFAULT))
		return xasprintf("%s-default", matrix_keys[k].name);
	if (matrix_keys[k].kind != KIND_TEXT && matrix_keys[k].kind != KIND_WORD)
		return xasprintf("%s=%s", matrix_keys[k].name, value);
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
	for (int k = 0; k < KEY_COUNT; k++)
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

	for (int k = 0; k < KEY_COUNT; k++)
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

	for (int k = 0; k < KEY_COUNT; k++)
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
	static const struct {
		enum matrix_key key;
		const char *ending; /* of a file; "": any is one */
	} files[] = {
		{ KEY_PROFILE, ".profile" }, { KEY_PRESET, ".preset" }, { KEY_IMAGE, "" }, { KEY_QEMU, "/" }
	};

	for (size_t i = 0; s->folder && i < ARRAY_LEN(files); i++) {
		char **value = &c->value[files[i].key];

		if (!*value || (!strchr(*value, '/') && !ends_with(*value, files[i].ending)))
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
				       c.label, matrix_keys[apart[i][0]].name, matrix_keys[apart[i][1]].name);
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
