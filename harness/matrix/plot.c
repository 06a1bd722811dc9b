/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The curves of all cells, a few to a figure. */
#include <math.h>
#include <string.h>

#include "matrix/table.h"
#include "record/resource.h"
#include "report/plot.h"

/* Puts the rows of the later rounds behind those of the first: the figure draws each ramp as a line of its
 * own. */
static void append_rows(struct csv *to, const struct csv *from)
{
	to->cells = xrealloc(to->cells, (to->rows + from->rows) * to->columns, sizeof(*to->cells));
	for (size_t r = 0; r < from->rows; r++)
		for (size_t c = 0; c < to->columns; c++)
			to->cells[(to->rows + r) * to->columns + c] = csv_cell(from, r, to->names[c]);
	to->rows += from->rows;
}

/* One record of all rounds of a cell; NULL when none was measured. */
static struct run_record *pooled(const struct matrix *m, size_t cell)
{
	_cleanup_free_ char *note = NULL;
	struct run_record **records, *all = NULL;
	size_t n = matrix_records(m, cell, &records, &note);

	for (size_t i = 1; i < n; i++)
		append_rows(records[0]->intervals, records[i]->intervals);
	if (n) {
		all = records[0];
		records[0] = NULL;
	}
	matrix_records_free(records, n);
	return all;
}

static const struct {
	const char *name;
	enum metric metric;
} figures[] = {
#define RESOURCE_FIGURE(sym, name, size) { (name), METRIC_##sym },
	RESOURCES(RESOURCE_FIGURE)
#undef RESOURCE_FIGURE
		{ "guests", METRIC_CPU_GUESTS },
};

/* Whether each run has values of it; and swap, whether there is any: a line at 0 tells nothing. */
static bool worth_drawing(struct run_record *const *runs, size_t n, enum metric m)
{
	bool swap = false;

	for (size_t i = 0; i < n; i++) {
		bool any = false;

		for (size_t r = 0; r < runs[i]->intervals->rows && !any; r++)
			any = isfinite(csv_cell(runs[i]->intervals, r, metric_table[m].mean));
		if (!any)
			return false;
		swap |= run_num(runs[i], "host.swap_kb") > 0;
	}
	return m != METRIC_SWAP || swap;
}

static const char *base_of(const char *value)
{
	const char *slash = strrchr(value, '/');

	return slash ? slash + 1 : value;
}

/* "-i386", "-2", or "" where there is but one figure. */
static char *part_name(const struct matrix *m, int dim, const struct figure_group *g, size_t number,
		       size_t all)
{
	if (all == 1)
		return xstrdup("");
	if (dim < 0)
		return xasprintf("-%zu", number + 1);
	if (g->value < 0)
		return xstrdup("-configs");
	const struct strlist *values = &m->spec->dims[dim].values;
	const char *base = base_of(values->items[g->value]);
	/* paths that differ only in their folders must not take each other's file */
	for (size_t i = 0; i < values->count; i++)
		if (i != (size_t)g->value && str_eq(base_of(values->items[i]), base))
			return xasprintf("-%s-%d", base, g->value + 1);
	return xasprintf("-%s", base);
}

static error *draw_group(const struct matrix *m, struct run_record *const *runs, size_t n, const char *part,
			 struct strlist *made)
{
	static const char *const endings[] = { "svg", "png" };
	error *e = NULL;

	for (size_t f = 0; f < ARRAY_LEN(figures) && !e; f++) {
		if (!worth_drawing(runs, n, figures[f].metric))
			continue;
		for (size_t k = 0; k < ARRAY_LEN(endings) && !e; k++) {
			_cleanup_free_ char *name = xasprintf("%s%s.%s", figures[f].name, part, endings[k]);
			_cleanup_free_ char *path = xasprintf("%s/%s", m->dir, name);

			e = plot_runs(runs, n, metric_table[figures[f].metric].column, NULL, path);
			if (!e)
				strlist_add(made, name);
		}
	}
	return e;
}

/* Where each cell stands in each dimension; -1 for a config. The caller frees it. */
static int *positions(const struct matrix *m)
{
	size_t dims = m->spec->dim_count, n = m->cells.count;
	int *at = xcalloc(n * dims + 1, sizeof(*at));

	for (size_t i = 0; i < n; i++)
		for (size_t d = 0; d < dims; d++)
			at[i * dims + d] = m->cells.items[i].config ? -1 : (int)m->cells.items[i].at[d];
	return at;
}

error *matrix_draw(const struct matrix *m, struct strlist *made)
{
	size_t n = m->cells.count;
	_cleanup_free_ size_t *order = xcalloc(n, sizeof(*order));
	_cleanup_free_ struct figure_group *groups = xcalloc(n, sizeof(*groups));
	_cleanup_free_ int *at = positions(m);
	error *e = NULL;
	int dim = -1;
	size_t count = matrix_figures(at, n, m->spec->dim_count, PLOT_MAX_RUNS, order, groups, &dim);

	for (size_t g = 0; g < count && !e; g++) {
		struct run_record *runs[PLOT_MAX_RUNS];
		size_t have = 0;

		for (size_t i = groups[g].first; i < groups[g].first + groups[g].count; i++)
			if ((runs[have] = pooled(m, order[i])))
				have++;
		_cleanup_free_ char *part = part_name(m, dim, &groups[g], g, count);
		if (have)
			e = draw_group(m, runs, have, part, made);
		for (size_t i = 0; i < have; i++)
			run_record_free(runs[i]);
	}
	return e;
}
