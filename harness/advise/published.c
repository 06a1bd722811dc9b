/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "advise/published.h"
#include "advise/steps.h"

#include <math.h>
#include <string.h>

#include "base/text.h"

static const char *const counts[] = { "vm_count", "vms", "mvms", "n" };

static double use_of(const struct csv *t, size_t row, enum resource r)
{
	_cleanup_free_ char *mean = xasprintf("%s_mean", resource_column(r));
	double v = csv_cell(t, row, resource_column(r));

	return isfinite(v) ? v : csv_cell(t, row, mean);
}

static bool is_ours(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(counts); i++)
		if (strcmp(name, counts[i]) == 0)
			return true;
	return resource_of_column(name) != RESOURCE_COUNT;
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
	char *text = strlist_join_by(&l, ", ");
	strlist_clear(&l);
	return text;
}

/* Swap at its end says that RAM was before it: swap was the last reserve. RAM and CPU: the higher one. */
static void judge(const double use[RESOURCE_COUNT], double threshold, struct published_row *row)
{
#define BOUND_BY(sym, name, size) name "-bound",
	static const char *const names[] = { RESOURCES(BOUND_BY) };
#undef BOUND_BY
	double cpu = use[RESOURCE_CPU], ram = use[RESOURCE_RAM], swap = use[RESOURCE_SWAP];
	enum resource higher = cpu > ram || isnan(ram) ? RESOURCE_CPU : RESOURCE_RAM;
	enum resource other = higher == RESOURCE_CPU ? RESOURCE_RAM : RESOURCE_CPU;
	enum resource first = swap >= threshold ? RESOURCE_SWAP : higher;
	double next = -INFINITY;

	for (enum resource i = 0; i < RESOURCE_COUNT; i++)
		if (i != first && !(first == RESOURCE_SWAP && i == RESOURCE_RAM) && isfinite(use[i]))
			next = fmax(next, use[i]);
	row->margin_pct = use[first] - next;
	if (isnan(cpu) && isnan(ram) && first != RESOURCE_SWAP) {
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
	row->class = class_of(first);
	row->class_name = names[first];
	if (first == RESOURCE_SWAP)
		row->reason = xasprintf(
			"Swap was at %.1f %% and RAM at %.1f %%: both were used up, swap last.", swap, ram);
	else if (first == RESOURCE_RAM && swap > 0)
		row->reason =
			xasprintf("RAM was at %.1f %%; swapping had begun (%.1f %%), CPU was at %.1f %%.",
				  ram, swap, cpu);
	else
		row->reason = xasprintf("%s was at %.1f %%, %s only at %.1f %%.", resource_label(first),
					use[first], resource_label(other), use[other]);
	if (row->margin_pct < 100 - threshold && first != RESOURCE_SWAP && use[other] >= threshold) {
		free(row->reason);
		row->class = CLASS_INCONCLUSIVE;
		row->class_name = "inconclusive";
		row->reason =
			xasprintf("CPU was at %.1f %% and RAM at %.1f %%: both were at their end.", cpu, ram);
	}
}

error *published_classify(const struct csv *t, const char *what, double threshold_pct,
			  struct published_row **ret, size_t *ret_n)
{
	bool any = false;

	for (size_t c = 0; c < t->columns; c++)
		any |= resource_of_column(t->names[c]) < RESOURCE_SWAP;
	if (!any)
		return err_new(
			EXIT_BAD_INPUT,
			"%s: line 1: neither a column cpu_pct nor ram_pct: a table needs the use of CPU and RAM in %% of the host",
			what);
	if (!t->rows)
		return err_new(EXIT_BAD_INPUT, "%s: no row: nothing to judge", what);
	struct published_row *rows = xcalloc(t->rows, sizeof(*rows));
	for (size_t i = 0; i < t->rows; i++) {
		double use[RESOURCE_COUNT];

		for (enum resource r = 0; r < RESOURCE_COUNT; r++)
			use[r] = use_of(t, i, r);
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
	struct textbuf buf;
	FILE *out = textbuf_open(&buf);

	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *vms =
			isfinite(rows[i].vms) ? text_thousands(rows[i].vms, 0) : xstrdup("?");

		fprintf(out, "%zu. %s VMs", i + 1, vms);
		if (*rows[i].label)
			fprintf(out, " (%s)", rows[i].label);
		fprintf(out, ": %s. %s\n", rows[i].class_name, rows[i].reason);
	}
	return textbuf_close(&buf);
}
