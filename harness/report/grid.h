/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_REPORT_GRID_H
#define MVM_REPORT_GRID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* A table of texts as people read it: columns apart by blanks, or Markdown. */
struct grid {
	size_t columns, rows;
	const char **headings; /* columns of them, borrowed */
	bool *right;	       /* columns of numbers stand at the right */
	char **cells;	       /* rows * columns, row by row, owned; NULL shows as "-" */
};

struct grid grid_new(size_t columns, size_t rows);
void grid_clear(struct grid *g);
/* Where the text of a cell belongs; it is taken over. */
void grid_put(struct grid *g, size_t row, size_t column, char *text);
/* Takes out the columns that no row has a text for. */
void grid_drop_empty(struct grid *g);
void grid_text(const struct grid *g, FILE *out);
/* The cells are Markdown already: see text_markdown(). */
void grid_markdown(const struct grid *g, FILE *out);

#endif
