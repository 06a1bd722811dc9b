/* SPDX-License-Identifier: GPL-3.0-or-later */
/* run --predict: forecasts the stop from a quarter of the ramp on. What it says changes nothing that is
 * measured. */
#include <math.h>
#include <string.h>

#include "run/session.h"

/* The means of a metric over the intervals so far; the caller frees them. */
static double *means(const struct session *s, enum metric m)
{
	double *v = xcalloc(s->row_count, sizeof(*v));

	for (size_t i = 0; i < s->row_count; i++)
		v[i] = moments_mean(&s->rows[i].metric[m]);
	return v;
}

/* Pings sent, and the memory that woken VMs may have grown by: why the RAM curve bends. */
static void bends_of(const struct session *s, double *asked, double *held_kb)
{
	for (size_t i = 0; i < s->row_count; i++) {
		const double *x = s->rows[i].extra;

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

static bool due(const struct session *s, size_t index)
{
	return s->o->predict && !s->repeat && index + 1 >= FORECAST_INTERVALS &&
	       (double)index >= FORECAST_SHARE * s->o->intervals;
}

/* run.json keeps the first, which the ledger of forecasts judges, and the last. */
static error *keep(struct session *s, const struct forecast *f)
{
	json_t *all = json_object_get(s->folder.meta, "forecast");

	if (!all) {
		all = json_pack("{s:o}", "first", forecast_json(f));
		json_object_set_new(s->folder.meta, "forecast", all);
	}
	json_object_set_new(all, "last", forecast_json(f));
	return run_folder_event(&s->folder, "forecast", forecast_json(f));
}

error *predict_stop(struct session *s, size_t index)
{
	double *pct[RESOURCE_COUNT] = { NULL }, ram_kb = (double)s->host.mem_total_kb;
	struct forecast_input in = { .n = s->row_count,
				     .threshold_pct = s->o->threshold_pct,
				     .max = s->o->max };
	error *e = NULL;

	if (!due(s, index))
		return NULL;
	_cleanup_free_ double *vms = xcalloc(s->row_count, sizeof(*vms)), *ram = means(s, METRIC_RAM);
	_cleanup_free_ double *asked = xcalloc(s->row_count, sizeof(*asked));
	_cleanup_free_ double *held_kb = xcalloc(s->row_count, sizeof(*held_kb));

	for (size_t i = 0; i < s->row_count; i++)
		vms[i] = moments_mean(&s->rows[i].vm_count);
	for (int i = 0; i < RESOURCE_COUNT; i++)
		if (session_stops_on(s, i))
			in.pct[i] = pct[i] = means(s, resources[i].metric);
	bends_of(s, asked, held_kb);
	in.vms = vms;
	in.asked = asked;
	in.held_kb = held_kb;
	in.pct_per_kb = ram_kb > 0 ? 100 / ram_kb : 0;
	in.left = fmax((double)s->o->intervals - (double)index, 0);
	in.model_error = !s->source.ops->guests	 ? 0
			 : s->o->model_error > 0 ? s->o->model_error
						 : TREND_WANDER;
	in.ram_pct = ram;
	in.swap_per_ram = ram_kb > 0 ? (double)s->host.swap_total_kb / ram_kb : 0;
	if (s->limit_vms < s->o->max) {
		in.limit = s->limit_name;
		in.limit_vms = s->limit_vms;
	}
	s->status.forecast = forecast_stop(&in);
	if (s->status.forecast.ok)
		e = keep(s, &s->status.forecast);
	for (int i = 0; i < RESOURCE_COUNT; i++)
		free(pct[i]);
	return e;
}
