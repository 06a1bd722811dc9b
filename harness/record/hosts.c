/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "record/hosts.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/csv.h"
#include "base/fs.h"
#include "base/util.h"

static struct host_curve *metric_fit(struct host_curves *h, const char *name)
{
	for (size_t i = 0; i < h->count; i++)
		if (str_eq(h->items[i].name, name))
			return &h->items[i];
	h->items = xgrow(h->items, h->count, sizeof(*h->items));
	h->items[h->count] = (struct host_curve){ .name = xstrdup(name), .threshold_pct = NAN };
	return &h->items[h->count++];
}

static void add_row(struct host_curves *h, const struct csv *t, size_t row)
{
	struct host_curve *c = metric_fit(h, csv_word(t, row, "host"));
	const char *state = csv_word(t, row, "state");

	c->full = str_eq(state, "full");
	c->lost = str_eq(state, "lost");
	c->threshold_pct = csv_cell(t, row, "threshold_pct");
	c->points = xgrow(c->points, c->count, sizeof(*c->points));
	c->points[c->count++] = (struct host_point){ .repeat = csv_cell(t, row, "repeat"),
						     .vms = csv_cell(t, row, "vm_count"),
						     .cpu = csv_cell(t, row, "cpu_pct_mean"),
						     .cpu_sd = csv_cell(t, row, "cpu_pct_sd"),
						     .ram = csv_cell(t, row, "ram_pct_mean"),
						     .ram_sd = csv_cell(t, row, "ram_pct_sd") };
}

error *host_curves_parse(const char *text, const char *what, struct host_curves *ret)
{
	_cleanup_(csv_freep) struct csv *t = NULL;
	struct host_curves h = { 0 };
	error *e = csv_parse_words(text, what, &t);

	*ret = h;
	if (e)
		return e;
	if (csv_column(t, "host") < 0 || csv_column(t, "state") < 0 || csv_column(t, "vm_count") < 0)
		return err_new(EXIT_BAD_INPUT, "%s: lacks the column host, state or vm_count", what);
	for (size_t i = 0; i < t->rows; i++)
		add_row(&h, t, i);
	*ret = h;
	return NULL;
}

error *host_curves_load(const char *dir, struct host_curves *ret)
{
	_cleanup_free_ char *path = xasprintf("%s/hosts.csv", dir), *text = NULL;

	*ret = (struct host_curves){ 0 };
	if (access(path, F_OK) < 0)
		return NULL;
	error *e = fs_read(path, &text, NULL);
	return e ? e : host_curves_parse(text, path, ret);
}

void host_curves_clear(struct host_curves *h)
{
	for (size_t i = 0; i < h->count; i++) {
		free(h->items[i].name);
		free(h->items[i].points);
	}
	free(h->items);
	*h = (struct host_curves){ 0 };
}
