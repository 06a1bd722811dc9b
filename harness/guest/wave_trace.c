/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>

#include "base/csv.h"
#include "base/util.h"
#include "guest/wave.h"

/* The column of that name, as a run's samples.csv has it, else the one at that place. */
static int column(const struct csv *t, const char *name, int place)
{
	int c = csv_column(t, name);

	return c < 0 ? place : c;
}

/* Line of a row in the file: the header is line 1. */
static error *bad_row(const char *what, size_t row, const char *why)
{
	return err_new(EXIT_BAD_INPUT, "%s: line %zu: %s", what, row + 2, why);
}

static error *check_row(const struct csv *t, size_t row, int time, int cpu, const char *what)
{
	const double *cells = t->cells + row * t->columns;

	if (!isfinite(cells[time]))
		return bad_row(what, row, "the time is not a number (seconds)");
	if (!(cells[cpu] >= 0 && cells[cpu] <= 100))
		return bad_row(what, row, "the CPU load is not a number from 0 to 100 (percent)");
	if (row && !(cells[time] > cells[(long)time - (long)t->columns]))
		return bad_row(what, row, "the time is not later than that of the line before");
	return NULL;
}

static error *take_rows(const struct csv *t, const char *what, double period_ms, struct wave *w)
{
	int time = column(t, "time_s", 0), cpu = column(t, "cpu_pct", 1);
	error *e = NULL;

	for (size_t i = 0; i < t->rows && !e; i++)
		e = check_row(t, i, time, cpu, what);
	if (e)
		return e;
	const double *first = t->cells, *last = t->cells + (t->rows - 1) * t->columns;
	/* the last value holds as long as values held on average */
	double span = last[time] - first[time];
	double total = span + span / (double)(t->rows - 1);
	double scale = period_ms > 0 ? period_ms / total : 1000;
	for (size_t i = 0; i < t->rows; i++) {
		const double *row = t->cells + i * t->columns;
		double s = i + 1 < t->rows ? row[t->columns + (size_t)time] - row[time] : total - span;

		wave_add(w, row[cpu], s * scale);
	}
	return NULL;
}

error *wave_take_trace(const char *text, const char *what, double period_ms, struct wave *w)
{
	_cleanup_(csv_freep) struct csv *t = NULL;
	error *e = csv_parse(text, what, &t);

	if (e)
		return e;
	if (t->truncated)
		return err_new(EXIT_BAD_INPUT, "%s: line %zu is cut off: it has no end of line", what,
			       t->rows + 2);
	if (t->columns < 2)
		return err_new(EXIT_BAD_INPUT,
			       "%s: line 1: a trace needs two columns, time in seconds and CPU in percent",
			       what);
	if (t->rows < 2)
		return err_new(EXIT_BAD_INPUT, "%s: a trace needs two lines of values or more, there %s %zu",
			       what, t->rows == 1 ? "is" : "are", t->rows);
	return take_rows(t, what, period_ms, w);
}
