/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "advise/published.h"
#include "advise/parts.h"

#include <math.h>
#include <string.h>

#include "report/plot_text.h"

static const char *const resources[] = { "CPU", "RAM", "swap" };
static const char *const columns[][2] = {
	{ "cpu_pct", "cpu_pct_mean" },
	{ "ram_pct", "ram_pct_mean" },
	{ "swap_pct", "swap_pct_mean" },
};
static const char *const counts[] = { "vm_count", "vms", "mvms", "n" };

static double use_of(const struct csv *t, size_t row, size_t k)
{
	double v = csv_cell(t, row, columns[k][0]);

	return isfinite(v) ? v : csv_cell(t, row, columns[k][1]);
}

static bool is_ours(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(counts); i++)
		if (strcmp(name, counts[i]) == 0)
			return true;
	for (size_t i = 0; i < ARRAY_LEN(columns); i++)
		if (strcmp(name, columns[i][0]) == 0 || strcmp(name, columns[i][1]) == 0)
			return true;
	return false;
}

/* The columns that say what the row is; at most a few, of whatever name. */
static char *label_of(const struct csv *t, size_t row)
{
	struct strlist l = { 0 };

	for (size_t c = 0; c < t->columns && l.count < 4; c++) {
		double v = t->cells[row * t->columns + c];

		if (isfinite(v) && !is_ours(t->names[c]))
			strlist_addf(&l, "%s %g", t->names[c], v);
	}
	char *text = advice_commas(&l);
	strlist_clear(&l);
	return text;
}

/* Swap at its end says that RAM was before it: swap was the last reserve. RAM and CPU: the higher one. */
static void judge(const double use[3], double threshold, struct published_row *row)
{
	static const enum run_class classes[] = { CLASS_CPU, CLASS_RAM, CLASS_SWAP };
	static const char *const names[] = { "cpu-bound", "ram-bound", "swap-bound" };
	size_t first = use[2] >= threshold ? 2 : use[0] > use[1] || isnan(use[1]) ? 0 : 1;
	double next = -INFINITY;

	for (size_t i = 0; i < 3; i++)
		if (i != first && !(first == 2 && i == 1) && isfinite(use[i]))
			next = fmax(next, use[i]);
	row->margin_pct = use[first] - next;
	if (isnan(use[0]) && isnan(use[1]) && first != 2) {
		row->class = CLASS_INCONCLUSIVE;
		row->class_name = "inconclusive";
		row->reason = xstrdup("The row has a value neither of CPU nor of RAM.");
		return;
	}
	if (!(use[first] >= threshold)) {
		row->class = CLASS_UNBOUNDED;
		row->class_name = "unbounded in range";
		row->reason = xasprintf(
			"No resource was at %g %%: what ended it is not in the table, or it was not at its end.",
			threshold);
		return;
	}
	row->class = classes[first];
	row->class_name = names[first];
	if (first == 2)
		row->reason =
			xasprintf("Swap was at %.1f %% and RAM at %.1f %%: both were used up, swap last.",
				  use[2], use[1]);
	else if (first == 1 && use[2] > 0)
		row->reason =
			xasprintf("RAM was at %.1f %%; swapping had begun (%.1f %%), CPU was at %.1f %%.",
				  use[1], use[2], use[0]);
	else
		row->reason = xasprintf("%s was at %.1f %%, %s only at %.1f %%.", resources[first],
					use[first], resources[!first], use[!first]);
	if (row->margin_pct < 100 - threshold && first != 2 && use[!first] >= threshold) {
		free(row->reason);
		row->class = CLASS_INCONCLUSIVE;
		row->class_name = "inconclusive";
		row->reason = xasprintf("CPU was at %.1f %% and RAM at %.1f %%: both were at their end.",
					use[0], use[1]);
	}
}

error *published_classify(const struct csv *t, const char *what, double threshold_pct, struct published_row **ret,
		      size_t *ret_n)
{
	bool any = false;

	for (size_t k = 0; k < 2; k++)
		any |= csv_column(t, columns[k][0]) >= 0 || csv_column(t, columns[k][1]) >= 0;
	if (!any)
		return err_new(
			EXIT_BAD_INPUT,
			"%s: line 1: neither a column cpu_pct nor ram_pct: a table needs the use of CPU and RAM in %% of the host",
			what);
	if (!t->rows)
		return err_new(EXIT_BAD_INPUT, "%s: no row: nothing to judge", what);
	struct published_row *rows = xcalloc(t->rows, sizeof(*rows));
	for (size_t i = 0; i < t->rows; i++) {
		const double use[3] = { use_of(t, i, 0), use_of(t, i, 1), use_of(t, i, 2) };

		rows[i].vms = (double)NAN;
		for (size_t k = ARRAY_LEN(counts); k-- > 0;)
			if (csv_column(t, counts[k]) >= 0)
				rows[i].vms = csv_cell(t, i, counts[k]);
		rows[i].label = label_of(t, i);
		judge(use, threshold_pct, &rows[i]);
	}
	*ret = rows;
	*ret_n = t->rows;
	return NULL;
}

void published_free(struct published_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(rows[i].reason);
		free(rows[i].label);
	}
	free(rows);
}

json_t *published_json(const struct published_row *rows, size_t n)
{
	json_t *all = json_array();

	for (size_t i = 0; i < n; i++) {
		json_t *o = json_pack("{s:i, s:s, s:s, s:s}", "row", (int)i + 1, "class", rows[i].class_name,
				      "reason", rows[i].reason, "label", rows[i].label);

		json_object_set_new(o, "vms",
				    isfinite(rows[i].vms) ? json_integer((json_int_t)rows[i].vms)
							  : json_null());
		json_object_set_new(o, "margin_pct",
				    isfinite(rows[i].margin_pct) ? json_real(rows[i].margin_pct)
								 : json_null());
		json_array_append_new(all, o);
	}
	return all;
}

char *published_text(const struct published_row *rows, size_t n)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return xstrdup("out of memory\n");
	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *vms =
			isfinite(rows[i].vms) ? plot_thousands(rows[i].vms, 0) : xstrdup("?");

		fprintf(out, "%zu. %s VMs", i + 1, vms);
		if (*rows[i].label)
			fprintf(out, " (%s)", rows[i].label);
		fprintf(out, ": %s. %s\n", rows[i].class_name, rows[i].reason);
	}
	fclose(out);
	return text;
}
