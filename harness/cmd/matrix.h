/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_CMD_MATRIX_H
#define MVM_CMD_MATRIX_H

#include <stdio.h>

#include "base/csv.h"
#include "matrix/table.h"

/* What of another table is shown beside ours. */
struct matrix_beside {
	struct csv *csv;
	char *label;
};

/* What the command line of `mvmscale matrix` says; all strings are borrowed. */
struct matrix_args {
	struct strlist file; /* one, or none */
	const char *out, *resume, *table;
	unsigned rounds; /* 0: as the file says */
	unsigned max;	 /* 0: as the file says */
	enum table_format format;
	bool dry_run, plots, quiet;
	struct matrix_beside *beside;
	size_t beside_count;
	struct strlist warned; /* warnings that were shown: every run has the same */
};

/* matrix_show.c: everything that is printed or written of a matrix. */
void matrix_show_plan(const struct matrix *m, FILE *out);
/* Writes table.txt, .csv, .json, .md and .tex into the folder. */
error *matrix_write_tables(const struct matrix *m, const struct matrix_args *a) ERR_MUST_CHECK;
/* Prints the table in the format asked for. */
error *matrix_print_table(const struct matrix *m, const struct matrix_args *a) ERR_MUST_CHECK;
void matrix_observer_init(struct matrix_observer *obs, struct matrix_args *a);
/* The exit status that the whole matrix stands for. */
int matrix_status(const struct matrix *m, bool interrupted);

#endif
