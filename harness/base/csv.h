/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BASE_CSV_H
#define MVM_BASE_CSV_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/util.h"

/* No line of ours comes near them; what does is no table. */
#define CSV_LINE_MAX (1UL << 20)
#define CSV_COLUMNS_MAX 4096

/* A table of numbers with named columns; a field that is empty, no number or not finite is NAN. */
struct csv {
	char **names; /* columns of them */
	size_t columns;
	double *cells; /* rows * columns, row by row */
	size_t rows;
	size_t *lines;	/* of each row: its line in the file, from 1; NULL where it comes from no file */
	char **words;	/* of csv_parse_words(): each cell as it stood there, else NULL */
	bool truncated; /* the last line was cut (a writer was killed) and left out */
	/* of csv_load(): "line 3 has 4 fields, the header has 9", of the first rows that were left out, and
	 * how many */
	struct strlist dropped;
	size_t n_dropped;
};
#define CSV_DROPPED_TOLD 3

/* Parses text; `what` names it in errors. A row with another number of fields is
   an error naming the line, save a last line without its newline. Fields may stand in quotes. */
error *csv_parse(const char *text, const char *what, struct csv **ret) ERR_MUST_CHECK;
/* The same, and keeps the text of every cell for csv_word(). */
error *csv_parse_words(const char *text, const char *what, struct csv **ret) ERR_MUST_CHECK;
/*
 * A table of a record, from a regular file only: rows that cannot be read are left out, and ->dropped names
 * them. A file that was cut before the end of its header has neither columns nor rows.
 */
error *csv_load(const char *path, struct csv **ret) ERR_MUST_CHECK;
error *csv_parse_good(const char *text, size_t len, const char *what, struct csv **ret) ERR_MUST_CHECK;
/* Leaves out the rows whose why[row] is not NULL; it goes into ->dropped behind "line N ". */
void csv_drop(struct csv *t, char *const *why);
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
