/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>

#include "advise/parts.h"

json_t *advice_real(double v)
{
	return isfinite(v) ? json_real(v) : json_null();
}

static json_t *whole_or_null(double v)
{
	return isfinite(v) && fabs(v) < 1e15 ? json_integer((json_int_t)v) : json_null();
}

static json_t *metric_json(const struct metric_advice *m)
{
	json_t *o = json_pack("{s:s, s:b, s:b, s:o, s:o, s:o, s:o, s:o}", "name", m->name, "rises",
			      (int)m->rises, "measured", (int)m->measured, "baseline_pct",
			      advice_real(m->baseline_pct), "per_vm_pct", advice_real(m->per_vm_pct),
			      "per_vm_pct_lower", advice_real(m->per_vm_pct - m->per_vm_half),
			      "per_vm_pct_upper", advice_real(m->per_vm_pct + m->per_vm_half),
			      "holdout_error_pct", advice_real(m->holdout_pct));

	json_object_set_new(o, "shape", json_string(shape_names[m->trend.shape.shape]));
	json_object_set_new(o, "shape_probability", advice_real(m->trend.shape.probability));
	json_object_set_new(o, "knee",
			    isfinite(m->trend.shape.knee) ? json_real(m->trend.shape.knee) : json_null());
	return o;
}

static json_t *assumptions_json(const struct advice *a)
{
	json_t *all = json_array();

	for (size_t i = 0; i < a->n_assumptions; i++)
		json_array_append_new(all,
				      json_pack("{s:s, s:s, s:s}", "name", a->assumptions[i].name, "value",
						a->assumptions[i].value, "effect", a->assumptions[i].effect));
	return all;
}

static json_t *whatif_json(const struct advice *a)
{
	json_t *all = json_array();

	for (size_t i = 0; i < a->n_gains; i++)
		json_array_append_new(all,
				      json_pack("{s:s, s:o, s:o, s:s}", "change", a->gains[i].change, "vms",
						whole_or_null(a->gains[i].vms), "pct",
						advice_real(a->gains[i].pct), "source", a->gains[i].source));
	return all;
}

/* How well forecasts on such hosts, and on all, came true. */
static json_t *record_json(const struct advice *a)
{
	if (!a->record.all_runs)
		return json_null();
	return json_pack("{s:i, s:o, s:o, s:i, s:o, s:o}", "runs_on_such_hosts", (int)a->record.runs,
			 "median_error_pct", advice_real(a->record.median_pct), "p90_error_pct",
			 advice_real(a->record.p90_pct), "runs", (int)a->record.all_runs,
			 "all_median_error_pct", advice_real(a->record.all_median_pct), "all_p90_error_pct",
			 advice_real(a->record.all_p90_pct));
}

json_t *advice_json(const struct advice *a)
{
	json_t *metrics = json_array(), *reasons = json_array();

	for (size_t i = 0; i < RESOURCE_COUNT; i++)
		if (a->metrics[i].present)
			json_array_append_new(metrics, metric_json(&a->metrics[i]));
	for (size_t i = 0; i < a->reasons.count; i++)
		json_array_append_new(reasons, json_string(a->reasons.items[i]));
	json_t *per_vm = json_pack("{s:o, s:o, s:o, s:o}", "ram_kb", advice_real(a->ram_kb), "cpu_pct",
				   advice_real(a->cpu_pct), "core_pct", advice_real(a->core_pct), "swap_kb",
				   advice_real(a->swap_kb));
	json_t *o = json_pack("{s:s, s:s, s:s, s:f, s:o, s:o, s:o, s:o, s:b, s:b, s:b}", "verdict",
			      a->ok ? "ok" : "inconclusive", "binding_resource", a->binding, "runner_up",
			      a->runner_up, "threshold_pct", a->threshold_pct, "vms_at_threshold",
			      whole_or_null(a->vms), "lower", whole_or_null(a->lower), "upper",
			      whole_or_null(a->upper), "measured_to", whole_or_null(a->measured_to),
			      "extrapolated", (int)a->extrapolated, "measured", (int)a->measured, "projected",
			      (int)a->projected);
	json_object_set_new(o, "runner_up_vms", whole_or_null(a->runner_up_vms));
	json_object_set_new(o, "per_vm", per_vm);
	json_object_set_new(o, "holdout_error_pct", advice_real(a->holdout_pct));
	json_object_set_new(o, "metrics", metrics);
	json_object_set_new(o, "safe_vms", whole_or_null(a->safe));
	json_object_set_new(o, "safe_rule", json_string(ADVICE_SAFE_RULE));
	json_object_set_new(o, "reserve_pct", json_real(a->reserve_pct));
	json_object_set_new(o, "headroom_pct", advice_real(a->headroom_pct));
	json_object_set_new(o, "class", json_string(a->class_name));
	json_object_set_new(o, "class_probability", json_real(a->class_probability));
	json_object_set_new(o, "cost", vm_cost_json(&a->cost));
	json_object_set_new(o, "assumptions", assumptions_json(a));
	json_object_set_new(o, "gains", whatif_json(a));
	json_object_set_new(o, "falsify", a->falsify ? json_string(a->falsify) : json_null());
	json_object_set_new(o, "past_forecasts", record_json(a));
	json_object_set_new(o, "reasons", reasons);
	return o;
}
