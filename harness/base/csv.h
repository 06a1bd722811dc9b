/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BASE_CSV_H
#define MVM_BASE_CSV_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* A table of numbers with named columns; an empty or non-numeric field is NAN. */
struct csv {
	char **names; /* columns of them */
	size_t columns;
	double *cells; /* rows * columns, row by row */
	size_t rows;
	char **words;	/* of csv_parse_words(): each cell as it stood there, else NULL */
	bool truncated; /* the last line was cut (a writer was killed) and left out */
};

/* Parses text; `what` names it in errors. A row with another number of fields is
   an error naming the line, save a last line without its newline. Fields may stand in quotes. */
error *csv_parse(const char *text, const char *what, struct csv **ret) ERR_MUST_CHECK;
/* The same, and keeps the text of every cell for csv_word(). */
error *csv_parse_words(const char *text, const char *what, struct csv **ret) ERR_MUST_CHECK;
error *csv_load(const char *path, struct csv **ret) ERR_MUST_CHECK;
/* For tables that people and spreadsheets write: a last line without its newline is as good as the others. */
error *csv_load_whole(const char *path, struct csv **ret) ERR_MUST_CHECK;
/* Column index by name, -1 when there is none. */
int csv_column(const struct csv *t, const char *name);
/* Cell by row and column name; NAN where the column is absent. */
double csv_cell(const struct csv *t, size_t row, const char *name);
/* Text of a cell, owned by the table; "" where the column is absent or texts were not kept. */
const char *csv_word(const struct csv *t, size_t row, const char *name);
void csv_free(struct csv *t);
static inline void csv_freep(struct csv **t)
{
	csv_free(*t);
}

#endif
