/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BASE_TABLE_H
#define MVM_BASE_TABLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/*
 * A table for people and programs: rows of texts and numbers, written as text, CSV, JSON, Markdown or LaTeX,
 * each with the escapes and the alignment that it needs. It is not for reading tables (see csv.h), nor for
 * the files of a record, which grow row by row (see record/write.h). All pure.
 */
enum table_format { TABLE_TEXT, TABLE_CSV, TABLE_JSON, TABLE_MARKDOWN, TABLE_LATEX, TABLE_FORMAT_COUNT };
/* The ending of its file. */
extern const char *const table_format_endings[TABLE_FORMAT_COUNT];

enum table_align { TABLE_LEFT, TABLE_RIGHT, TABLE_CENTRE };

/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): in the order in which a row is read */
struct table_column {
	const char *name;    /* in CSV and JSON */
	const char *heading; /* for people; where no column has one, text has no line of them */
	enum table_align align;
	bool number;  /* in JSON; else a text */
	int digits;   /* of numbers, after the point; -1: up to eight digits in all */
	size_t width; /* in text: at least */
	bool close;   /* in text: one blank before it, not two */
	bool strong;  /* in Markdown */
};

struct table {
	struct table_column *columns;
	size_t width, rows;
	char **cells; /* width * rows, row by row, owned; NULL: unknown */
};

/* The texts in the columns are borrowed. */
struct table table_new(const struct table_column *columns, size_t n);
void table_clear(struct table *t);
/* A row of texts, one for each column, which are taken over. */
void table_row(struct table *t, char *const *texts);
/* A row of which nothing is known; the others set its cells. Text is taken over. */
void table_add(struct table *t);
void table_set_text(struct table *t, size_t column, char *text);
void table_set_number(struct table *t, size_t column, double v);
/* Takes out the columns of which nothing is known in any row. */
void table_drop_empty(struct table *t);

/* What is unknown is "-" for people, empty in CSV, null in JSON. */
void table_write(const struct table *t, enum table_format f, FILE *out);
/* Text whose lines begin with `indent`. */
void table_write_text(const struct table *t, const char *indent, FILE *out);
/* One object for each row; a new reference. */
json_t *table_json(const struct table *t);
/* Text made safe for one format. The caller frees it. */
char *table_escape(const char *text, enum table_format f);

#endif
