/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "model/thin.h"

#include <math.h>
#include <string.h>

#include "base/util.h"
#include "record/interval.h"

static void keep(struct csv *t, size_t from, size_t to)
{
	/* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): a table with rows has cells */
	memmove(t->cells + to * t->columns, t->cells + from * t->columns, t->columns * sizeof(*t->cells));
	if (t->lines)
		t->lines[to] = t->lines[from];
}

void run_record_thin(struct run_record *r)
{
	struct csv *t = r->intervals;
	size_t rows = t->rows, kept = 0;
	int asked = csv_column(t, interval_extra_columns[EXTRA_PING_ASKED]);
	double sum = 0;

	if (rows <= THIN_ROWS)
		return;
	for (size_t i = 0; i < rows; i++) {
		double *n = asked < 0 ? NULL : t->cells + i * t->columns + (size_t)asked;

		sum += n && isfinite(*n) ? *n : 0;
		/* row k of those that stay is row k (rows - 1) / (THIN_ROWS - 1) */
		if (i != kept * (rows - 1) / (THIN_ROWS - 1))
			continue;
		if (n)
			*n = sum;
		sum = 0;
		keep(t, i, kept++);
	}
	t->rows = kept;
	r->rows_thinned = rows - kept;
	char *note = xasprintf("%s%sof its %zu intervals %zu were used, evenly: more make no fit better",
			       r->note ? r->note : "", r->note ? "; " : "", rows, kept);
	free(r->note);
	r->note = note;
}
