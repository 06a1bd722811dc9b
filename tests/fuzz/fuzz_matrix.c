/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Matrices and what is kept of them: an input that begins with '{' is a matrix.json, anything else a .matrix
 * file. Cells have names of their own that lead nowhere else, and what was written is read back as the same.
 */
#include <string.h>

#include "driver.h"
#include "matrix/matrix.h"

static void check_cells(const struct matrix_cells *c)
{
	for (size_t i = 0; i < c->count; i++) {
		const char *name = c->items[i].name;

		fuzz_must(*name && *name != '.' && !strchr(name, '/'), "a folder would be named '%s'", name);
		for (size_t k = 0; k < i && c->count < 50; k++)
			fuzz_must(!str_eq(c->items[k].name, name), "two cells are named '%s'", name);
	}
}

/* As JSON and back is the same JSON. */
static void check_state(const struct matrix *m)
{
	json_t *j = matrix_json(m, "paused");
	struct matrix *back = NULL;
	error *e = matrix_from_json(j, "again", &back);

	fuzz_must(!e, "what was written is not read: %s", e ? e->msg : "");
	json_t *again = matrix_json(back, "paused");
	fuzz_must(json_equal(j, again), "what was written is read as something else");
	json_decref(j);
	json_decref(again);
	matrix_free(back);
}

static void try_state(const char *text, size_t len)
{
	json_t *j = json_loadb(text, len, 0, NULL);
	struct matrix *m = NULL;

	if (j && !fuzz_refused(matrix_from_json(j, "x.json", &m), "x.json")) {
		check_cells(&m->cells);
		check_state(m);
	}
	json_decref(j);
	matrix_free(m);
}

static void try_spec(const char *text)
{
	struct matrix_cells cells = { 0 };
	struct matrix_spec *s = NULL;
	struct matrix *m = NULL;

	if (fuzz_refused(matrix_parse(text, "x.matrix", &s), "x.matrix"))
		return;
	if (!fuzz_refused(matrix_expand(s, &cells), "x.matrix"))
		check_cells(&cells);
	/* big ones take long to write and read */
	bool small = cells.count < 20;
	matrix_cells_clear(&cells);
	if (small && !fuzz_refused(matrix_new(s, 2, 0, &m), "x.matrix")) {
		s = NULL;
		check_state(m);
	}
	matrix_free(m);
	matrix_spec_free(s);
}

static void run(const char *text, size_t len)
{
	if (*text == '{')
		try_state(text, len);
	else
		try_spec(text);
}

static const char *const words[] = {
	"[matrix]\n",  "[dimensions]\n", "[exclude a]\n", "[only b]\n", "[config c]\n",
	"preset = ",   "default",	 "profile = ",	  "accel = ",	"max = auto\n",
	"\"rounds\":", "\"cells\":[",	 "\"runs\":",	  NULL
};
static const struct fuzz_shape shapes[] = {
	{ "[dimensions]\npreset = a", "\n b", "\n" },
	{ "[config a]\nmax = 2\n", "[config b]\nmax = 3\n[config c]\nmax = 1\n", "" },
	{ "[dimensions]\naccel = tcg kvm\n", "[exclude a]\naccel = kvm\n[exclude b]\naccel = kvm\n", "" },
	{ "[dimensions]\nprofile = a b c d e f g h i j\npreset = a b c d e f g h i j\nqemu = a b c d e f g h i j\n",
	  "[only a]\naccel = kvm\n[only b]\naccel = kvm\n", "" },
	{ "{\"text\":[", "[],", "1]}" },
	{ 0 },
};

const struct fuzz_target fuzz_target = { .name = "matrix", .run = run, .words = words, .shapes = shapes };
