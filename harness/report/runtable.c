/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "report/runtable.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/util.h"
#include "record/interval.h"
#include "record/metric.h"

static const struct table_column columns[RUNTABLE_COLUMN_COUNT] = {
#define TABLE_INFO(sym, name, heading, digits, meaning) \
	{ name, heading, (digits) < 0 ? TABLE_LEFT : TABLE_RIGHT, (digits) >= 0, digits, 0, false, false },
	RUNTABLE_COLUMNS(TABLE_INFO)
#undef TABLE_INFO
};

/* The last interval that has VMs, be they silent; false when there is none. */
static bool full_row(const struct run_record *r, size_t *ret)
{
	for (size_t i = r->intervals->rows; i-- > 0;)
		if (csv_cell(r->intervals, i, "vm_count") > 0 ||
		    csv_cell(r->intervals, i, interval_extra_columns[EXTRA_UNPROVEN]) > 0) {
			*ret = i;
			return true;
		}
	return false;
}

static double value_of(const struct run_record *r, size_t row, int k)
{
	/* where the column of the table goes by another name in intervals.csv */
	const char *const sources[RUNTABLE_COLUMN_COUNT] = {
		[TABLE_VMS] = "vm_count",
		[TABLE_RSS] = metric_table[METRIC_GUEST_RSS].mean,
		[TABLE_PSS] = metric_table[METRIC_GUEST_PSS].mean,
		[TABLE_USS] = metric_table[METRIC_GUEST_USS].mean,
		[TABLE_CPU_GUESTS] = metric_table[METRIC_CPU_GUESTS].mean,
	};

	if (k == TABLE_CPU_ADDED)
		return csv_cell(r->intervals, 0, "vm_count") > 0
			       ? (double)NAN
			       : csv_cell(r->intervals, row, metric_table[METRIC_CPU].mean) -
					 csv_cell(r->intervals, 0, metric_table[METRIC_CPU].mean);
	return csv_cell(r->intervals, row, sources[k] ? sources[k] : columns[k].name);
}

/* "qemu 7.2.22": the binary's name unless the version says it itself. */
static char *software_of(const struct run_record *r)
{
	const char *version = run_str(r, "backend.version"), *binary = run_str(r, "backend.binary");
	const char *name = binary ? strrchr(binary, '/') : NULL;

	if (!version)
		return NULL;
	name = name ? name + 1 : binary;
	if (!name || str_starts(version, name))
		return xstrdup(version);
	return xasprintf("%s %s", name, version);
}

static char *text_of(const struct run_record *r, int k)
{
	static const char *const paths[RUNTABLE_COLUMN_COUNT] = {
		[TABLE_BACKEND] = "backend.name",
		[TABLE_ACCEL] = "backend.accel",
		[TABLE_LAUNCH] = "launch.mode",
		[TABLE_PROFILE] = "profile",
	};
	const char *s = paths[k] ? run_str(r, paths[k]) : NULL;

	if (k == TABLE_RUN)
		return run_label(r);
	if (k == TABLE_SOFTWARE)
		return software_of(r);
	return s ? xstrdup(s) : NULL;
}

static error *add_run(const struct run_record *r, struct table *t)
{
	size_t row = 0;

	if (!full_row(r, &row))
		return err_new(EXIT_BAD_INPUT, "%s: no interval with a VM was measured: nothing to compare",
			       r->dir);
	table_add(t);
	for (int k = 0; k < RUNTABLE_COLUMN_COUNT; k++)
		if (columns[k].number)
			table_set_number(t, (size_t)k, value_of(r, row, k));
		else
			table_set_text(t, (size_t)k, text_of(r, k));
	return NULL;
}

error *runtable_render(struct run_record *const *runs, size_t n, enum table_format format, char **ret)
{
	struct table t = table_new(columns, RUNTABLE_COLUMN_COUNT);
	error *e = NULL;

	for (size_t i = 0; i < n && !e; i++)
		e = add_run(runs[i], &t);
	if (!e) {
		struct textbuf buf;

		if (format == TABLE_TEXT || format == TABLE_MARKDOWN)
			table_drop_empty(&t);
		table_write(&t, format, textbuf_open(&buf));
		*ret = textbuf_close(&buf);
	}
	table_clear(&t);
	return e;
}
