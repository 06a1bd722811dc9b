/* SPDX-License-Identifier: GPL-3.0-or-later */
/* run --predict: forecasts the stop from a quarter of the ramp on. What it says changes nothing that is
 * measured. */
#include <math.h>
#include <string.h>

#include "run/session.h"

/* The means of a metric over the intervals so far; the caller frees them. */
static double *means(const struct record *rec, enum metric m)
{
	double *v = xcalloc(rec->row_count, sizeof(*v));

	for (size_t i = 0; i < rec->row_count; i++)
		v[i] = moments_mean(&rec->rows[i].metric[m]);
	return v;
}

/* Pings sent, and the memory that woken VMs may have grown by: why the RAM curve bends. */
static void bends_of(const struct record *rec, double *asked, double *held_kb)
{
	for (size_t i = 0; i < rec->row_count; i++) {
		const double *x = rec->rows[i].extra;

		asked[i] = x[EXTRA_PING_ASKED];
		held_kb[i] = x[EXTRA_LEDGER_ANON] + x[EXTRA_LEDGER_PAGE_TABLES] + x[EXTRA_LEDGER_STACKS];
	}
}

static json_t *forecast_json(const struct forecast *f)
{
	return json_pack("{s:f, s:f, s:f, s:s, s:b, s:f, s:i}", "vms", f->vms, "lower", f->lower, "upper",
			 f->upper, "resource", f->resource, "is_limit", (int)f->is_limit, "at", f->at,
			 "intervals", (int)f->intervals);
}

static bool due(const struct run_options *o, const struct record *rec, size_t index)
{
	return o->predict && !rec->repeat && index + 1 >= FORECAST_INTERVALS &&
	       (double)index >= FORECAST_SHARE * o->intervals;
}

/* run.json keeps the first, which the ledger of forecasts judges, and the last. */
static error *keep(struct record *rec, const struct forecast *f)
{
	json_t *all = json_object_get(rec->folder.meta, "forecast");

	if (!all) {
		all = json_pack("{s:o}", "first", forecast_json(f));
		json_object_set_new(rec->folder.meta, "forecast", all);
	}
	json_object_set_new(all, "last", forecast_json(f));
	return run_folder_event(&rec->folder, "forecast", forecast_json(f));
}

error *predict_stop(const struct plan *plan, const struct population *pop, bool guests, struct record *rec,
		    size_t index)
{
	double *pct[RESOURCE_COUNT] = { NULL }, ram_kb = (double)plan->host.mem_total_kb;
	struct forecast_input in = { .n = rec->row_count,
				     .threshold_pct = plan->o->threshold_pct,
				     .max = plan->o->max };
	error *e = NULL;

	if (!due(plan->o, rec, index))
		return NULL;
	_cleanup_free_ double *vms = xcalloc(rec->row_count, sizeof(*vms)), *ram = means(rec, METRIC_RAM);
	_cleanup_free_ double *asked = xcalloc(rec->row_count, sizeof(*asked));
	_cleanup_free_ double *held_kb = xcalloc(rec->row_count, sizeof(*held_kb));

	for (size_t i = 0; i < rec->row_count; i++)
		vms[i] = moments_mean(&rec->rows[i].vm_count);
	for (int i = 0; i < RESOURCE_COUNT; i++)
		if (plan_stops_on(plan, i))
			in.pct[i] = pct[i] = means(rec, resources[i].metric);
	bends_of(rec, asked, held_kb);
	in.vms = vms;
	in.asked = asked;
	in.held_kb = held_kb;
	in.pct_per_kb = ram_kb > 0 ? 100 / ram_kb : 0;
	in.left = fmax((double)plan->o->intervals - (double)index, 0);
	in.model_error = !guests ? 0 : plan->o->model_error > 0 ? plan->o->model_error : TREND_WANDER;
	in.ram_pct = ram;
	in.swap_per_ram = ram_kb > 0 ? (double)plan->host.swap_total_kb / ram_kb : 0;
	if (pop->limit_vms < plan->o->max) {
		in.limit = pop->limit_name;
		in.limit_vms = pop->limit_vms;
	}
	rec->status.forecast = forecast_stop(&in);
	if (rec->status.forecast.ok)
		e = keep(rec, &rec->status.forecast);
	for (int i = 0; i < RESOURCE_COUNT; i++)
		free(pct[i]);
	return e;
}
