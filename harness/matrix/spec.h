/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_MATRIX_SPEC_H
#define MVM_MATRIX_SPEC_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/util.h"
#include "matrix/keys.h"

/* One dimension: a key and the values it takes in turn. */
struct matrix_dimension {
	enum matrix_key key;
	struct strlist values;
};

/* [exclude NAME] or [only NAME]: a combination matches when every key given here has one of its values. */
struct matrix_rule {
	char *section;
	int line;
	bool only;
	char *value[KEY_ROOM]; /* blank-separated lists; NULL: any */
};

/* [config NAME]: one combination of its own, beside the product of the dimensions. */
struct matrix_config {
	char *name;
	int line;
	char *value[KEY_ROOM];
};

/* A .matrix file as read. */
struct matrix_spec {
	char *path, *name, *text; /* name: file name without ".matrix" */
	char *folder;		  /* from which files in it are named; NULL: where the program runs */
	char *value[KEY_ROOM];	  /* [matrix]; NULL where not given */
	struct matrix_dimension *dims;
	size_t dim_count;
	struct matrix_rule *rules;
	size_t rule_count;
	struct matrix_config *configs;
	size_t config_count;
};

/* One configuration to run. */
struct matrix_cell {
	char *name;	       /* unique, fit for a folder's name */
	char *label;	       /* for plots and tables */
	char *value[KEY_ROOM]; /* complete: shared values included, "default" left out */
	bool config;	       /* from a [config] section */
	size_t *at;	       /* of dims[i]: which of its values; NULL for a config */
};

struct matrix_cells {
	struct matrix_cell *items;
	size_t count;
};

/* More cells than this are a mistake. */
#define MATRIX_MAX_CELLS 1000
#define MATRIX_MAX_RULES 200

/* Reads .matrix text; errors name `what` and the line. Pure. */
error *matrix_parse(const char *text, const char *what, struct matrix_spec **ret) ERR_MUST_CHECK;
/* By path (anything with a '/' or ending in ".matrix"), else by name among the shipped matrices. */
error *matrix_load(const char *name_or_path, struct matrix_spec **ret) ERR_MUST_CHECK;
void matrix_spec_free(struct matrix_spec *s);
static inline void matrix_spec_freep(struct matrix_spec **s)
{
	matrix_spec_free(*s);
}
/* Names of the shipped matrices, sorted. */
void matrix_names(struct strlist *ret);

/* The product of the dimensions (the last one turns fastest) without what rules leave out, then the configs.
   Pure; clear *ret with matrix_cells_clear(), also after an error. */
error *matrix_expand(const struct matrix_spec *s, struct matrix_cells *ret) ERR_MUST_CHECK;
void matrix_cells_clear(struct matrix_cells *c);

/* "line 7: 'rounds = 2' there, 'rounds = 3' here" of the first line that differs; NULL when none does. Pure;
   the caller frees it. */
char *matrix_difference(const char *there, const char *here);

#endif
