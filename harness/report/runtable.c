/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "report/runtable.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/util.h"
#include "report/grid.h"

static const struct {
	const char *name, *heading;
	int digits;
	const char *meaning;
} columns[RUNTABLE_COLUMN_COUNT] = {
#define TABLE_INFO(sym, name, heading, digits, meaning) { name, heading, digits, meaning },
	RUNTABLE_COLUMNS(TABLE_INFO)
#undef TABLE_INFO
};

const char *const runtable_format_names[RUNTABLE_FORMATS] = { [RUNTABLE_TEXT] = "text",
							      [RUNTABLE_CSV] = "csv",
							      [RUNTABLE_JSON] = "json",
							      [RUNTABLE_MARKDOWN] = "markdown" };

struct cells {
	char *text[RUNTABLE_COLUMN_COUNT]; /* NULL: the run does not have it */
};

static bool is_number(int k)
{
	return columns[k].digits >= 0;
}

/* The last interval that has VMs, be they silent; false when there is none. */
static bool full_row(const struct run_record *r, size_t *ret)
{
	for (size_t i = r->intervals->rows; i-- > 0;)
		if (csv_cell(r->intervals, i, "vm_count") > 0 || csv_cell(r->intervals, i, "unproven") > 0) {
			*ret = i;
			return true;
		}
	return false;
}

static double value_of(const struct run_record *r, size_t row, int k)
{
	/* where the column of the table goes by another name in intervals.csv */
	static const char *const sources[RUNTABLE_COLUMN_COUNT] = {
		[TABLE_VMS] = "vm_count",
		[TABLE_RSS] = "guest_rss_kb_mean",
		[TABLE_PSS] = "guest_pss_kb_mean",
		[TABLE_USS] = "guest_uss_kb_mean",
		[TABLE_CPU_GUESTS] = "cpu_guests_pct_mean",
	};

	if (k == TABLE_CPU_ADDED)
		return csv_cell(r->intervals, 0, "vm_count") > 0
			       ? (double)NAN
			       : csv_cell(r->intervals, row, "cpu_pct_mean") -
					 csv_cell(r->intervals, 0, "cpu_pct_mean");
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

static error *fill(const struct run_record *r, struct cells *c)
{
	size_t row = 0;

	if (!full_row(r, &row))
		return err_new(EXIT_BAD_INPUT, "%s: no interval with a VM was measured: nothing to compare",
			       r->dir);
	for (int k = 0; k < RUNTABLE_COLUMN_COUNT; k++) {
		double v = is_number(k) ? value_of(r, row, k) : (double)NAN;

		if (!is_number(k))
			c->text[k] = text_of(r, k);
		else if (isfinite(v))
			c->text[k] = xasprintf("%.*f", columns[k].digits, v);
	}
	return NULL;
}

/* As people read it: what no run has is left out. */
static struct grid grid_of(const struct cells *rows, size_t n, bool markdown)
{
	struct grid g = grid_new(RUNTABLE_COLUMN_COUNT, n);

	for (size_t k = 0; k < RUNTABLE_COLUMN_COUNT; k++) {
		g.headings[k] = columns[k].heading;
		g.right[k] = is_number((int)k);
		for (size_t i = 0; i < n; i++) {
			const char *s = rows[i].text[k];

			grid_put(&g, i, k, !s ? NULL : markdown ? text_markdown(s) : xstrdup(s));
		}
	}
	grid_drop_empty(&g);
	return g;
}

static void print_text(FILE *f, const struct cells *rows, size_t n)
{
	struct grid g = grid_of(rows, n, false);

	grid_text(&g, f);
	grid_clear(&g);
}

/* RFC 4180: quoted where it must be. */
static void print_csv(FILE *f, const struct cells *rows, size_t n)
{
	for (size_t i = 0; i <= n; i++)
		for (int k = 0; k < RUNTABLE_COLUMN_COUNT; k++) {
			const char *s = i ? rows[i - 1].text[k] : columns[k].name;
			bool quote = s && strpbrk(s, ",\"\r\n");

			if (quote)
				fputc('"', f);
			for (; s && *s; s++) {
				if (*s == '"')
					fputc('"', f);
				fputc(*s, f);
			}
			if (quote)
				fputc('"', f);
			fputc(k + 1 == RUNTABLE_COLUMN_COUNT ? '\n' : ',', f);
		}
}

static void print_markdown(FILE *f, const struct cells *rows, size_t n)
{
	struct grid g = grid_of(rows, n, true);

	grid_markdown(&g, f);
	grid_clear(&g);
}

static void print_json(FILE *f, const struct cells *rows, size_t n)
{
	json_t *all = json_array();

	for (size_t i = 0; i < n; i++) {
		json_t *o = json_object();

		for (int k = 0; k < RUNTABLE_COLUMN_COUNT; k++) {
			const char *s = rows[i].text[k];
			json_t *v = !s		   ? json_null()
				    : is_number(k) ? json_real(strtod(s, NULL))
						   : json_string(s);

			json_object_set_new(o, columns[k].name, v);
		}
		json_array_append_new(all, o);
	}
	json_dumpf(all, f, JSON_INDENT(2));
	fputc('\n', f);
	json_decref(all);
}

error *runtable_render(struct run_record *const *runs, size_t n, enum runtable_format format, char **ret)
{
	static void (*const printers[RUNTABLE_FORMATS])(FILE *, const struct cells *, size_t) = {
		[RUNTABLE_TEXT] = print_text,
		[RUNTABLE_CSV] = print_csv,
		[RUNTABLE_JSON] = print_json,
		[RUNTABLE_MARKDOWN] = print_markdown,
	};
	_cleanup_free_ struct cells *rows = xcalloc(n, sizeof(*rows));
	size_t size = 0;
	error *e = NULL;

	for (size_t i = 0; i < n && !e; i++)
		e = fill(runs[i], &rows[i]);
	if (!e) {
		FILE *f = open_memstream(ret, &size);

		if (!f)
			return err_new(EXIT_CANNOT, "out of memory");
		printers[format](f, rows, n);
		fclose(f);
	}
	for (size_t i = 0; i < n; i++)
		for (int k = 0; k < RUNTABLE_COLUMN_COUNT; k++)
			free(rows[i].text[k]);
	return e;
}
