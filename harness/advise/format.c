/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The answer in words and as JSON. */
#include <math.h>
#include <string.h>

#include "advise/steps.h"
#include "base/text.h"

char *advice_spoken(const struct advice *a, const char *resource)
{
	for (size_t i = 0; i < RESOURCE_COUNT; i++)
		if (strcmp(a->metrics[i].name, resource) == 0)
			return xstrdup(a->metrics[i].label);
	if (str_starts(resource, "limit:"))
		return xasprintf("the limit %s", resource + 6);
	return xstrdup("nothing");
}

static void format_answer(const struct advice *a, FILE *out)
{
	_cleanup_free_ char *who = advice_spoken(a, a->binding), *vms = text_thousands(a->vms, 0);
	_cleanup_free_ char *lower = text_thousands(a->lower, 0), *upper = text_thousands(a->upper, 0);
	_cleanup_free_ char *seen = text_thousands(a->measured_to, 0);
	bool limit = str_starts(a->binding, "limit:");

	if (!(a->measured_to > 0))
		fputs("No answer: no VM was measured.\n", out);
	else if (!a->ok && strcmp(a->binding, "none") == 0 && !advice_tells_both(a, NULL))
		fputs("No answer: the run does not tell enough of CPU and RAM.\n", out);
	else if (!a->ok && strcmp(a->binding, "none") == 0)
		fprintf(out, "No answer yet: up to %s VMs nothing comes clearly closer to its end.\n", seen);
	else if (!a->ok)
		fprintf(out,
			"No answer yet: %s looks like the first to end it, but the data up to %s VMs do not carry a number.\n",
			who, seen);
	else if (limit && a->measured)
		fprintf(out, "%s VMs, then %s stopped the run (measured).\n", vms, who);
	else if (limit)
		fprintf(out, "About %s VMs, then %s is reached (counted by the run, measured to %s).\n", vms,
			who, seen);
	else
		fprintf(out, "%s%s VMs, then %s is at %g %% (%s; 95 %% interval %s to %s).\n",
			a->measured ? "" : "About ", vms, who, a->threshold_pct,
			a->measured && !a->projected ? "measured" : "estimated", lower, upper);
}

/* Decimals that show two digits of a small number without an exponent. */
static int small_decimals(double v)
{
	return v > 0 && v < 10 ? MIN((int)(1 - floor(log10(v))), 12) : 0;
}

static void format_cost(const struct advice *a, FILE *out)
{
	const struct metric_advice *cpu = &a->metrics[RESOURCE_CPU], *ram = &a->metrics[RESOURCE_RAM];

	if (isfinite(a->ram_kb)) {
		bool mib = a->ram_kb >= 1024;

		if (ram->rises)
			fprintf(out, "One more VM takes %.*f %s of RAM", mib ? 2 : 0,
				mib ? a->ram_kb / 1024 : a->ram_kb, mib ? "MiB" : "KiB");
		else
			fputs("One more VM takes no RAM that could be told from noise", out);
		if (cpu->rises && isfinite(a->core_pct))
			fprintf(out, " and %.*f %% of one core", small_decimals(a->core_pct), a->core_pct);
		else if (advice_tells_both(a, NULL))
			fputs(" and no CPU that could be told from noise", out);
		fputs(".\n", out);
	}
	if (isfinite(cpu->baseline_pct) && isfinite(ram->baseline_pct))
		fprintf(out, "Before the first VM the host was at %.1f %% RAM and %.1f %% CPU.\n",
			ram->baseline_pct, cpu->baseline_pct);
}

static void format_next(const struct advice *a, FILE *out)
{
	_cleanup_free_ char *next = advice_spoken(a, a->runner_up), *at = text_thousands(a->runner_up_vms, 0);

	if (strcmp(a->runner_up, "none") == 0)
		fputs("Nothing else comes closer to its end.\n", out);
	else if (isfinite(a->runner_up_vms)) {
		fprintf(out, "Next is %s, at about %s VMs", next, at);
		if (isfinite(a->headroom_pct))
			fprintf(out, ": %.0f %% headroom", a->headroom_pct);
		fputs(".\n", out);
	} else
		fprintf(out, "Next is %s, far beyond what was measured.\n", next);
}

static void format_safe(const struct advice *a, FILE *out)
{
	_cleanup_free_ char *safe = text_thousands(a->safe, 0);

	if (!a->ok || !isfinite(a->safe))
		return;
	fprintf(out, "Plan with %s VMs (%s", safe, ADVICE_SAFE_RULE);
	if (a->reserve_pct > 0)
		fprintf(out, ", less a reserve of %g %% of the host", a->reserve_pct);
	fputs(").\n", out);
}

/* "18 KiB of user memory, 150 of the kernel's (page tables 96, slab 38, ...)" */
static void format_ledger(const struct measured_cost *c, FILE *out)
{
	static const struct {
		const char *words;
		bool kernel;
	} parts[COST_PART_COUNT] = {
#define COST_WORDS(sym, column, name, words, kernel) [COST_##sym] = { (words), (kernel) },
		COST_PARTS(COST_WORDS)
#undef COST_WORDS
	};
	size_t told = 0;

	/* without any part of the kernel's there is no split to tell */
	if (isfinite(c->user_kb) && isfinite(c->part_kb[COST_SLAB])) {
		fprintf(out, "Of it %.0f KiB are user memory and %.0f the kernel's (", c->user_kb,
			c->kernel_kb);
		for (int i = 0; i < COST_PART_COUNT; i++)
			if (parts[i].kernel && isfinite(c->part_kb[i]))
				fprintf(out, "%s%s %.0f", told++ ? ", " : "", parts[i].words, c->part_kb[i]);
		fprintf(out, "); %.0f are not explained.\n", c->part_kb[COST_REST]);
	}
	if (isfinite(c->woken_kb))
		fprintf(out,
			"A VM that was pinged keeps %.0f KiB more than one that still sleeps: that bends the RAM curve, and is part of the answer.\n",
			c->woken_kb);
	if (isfinite(c->guest_core_pct) && isfinite(c->kdamond_core_pct))
		fprintf(out, "Of the CPU %.2g %% of a core per VM are the guests' own, %.2g %% kdamond's.\n",
			fmax(c->guest_core_pct, 0), fmax(c->kdamond_core_pct, 0));
	if (isfinite(c->wake_core_us))
		fprintf(out, "A wake costs %.0f microseconds of CPU (%.1f wakes a second).\n",
			c->wake_core_us, c->wakes_per_s);
}

static void format_whatif(const struct advice *a, FILE *out)
{
	if (a->n_whatif)
		fputs("What would gain most:\n", out);
	for (size_t i = 0; i < a->n_whatif; i++) {
		_cleanup_free_ char *vms = text_thousands(a->whatif[i].vms, 0);

		fprintf(out, "%zu. %s: +%s VMs (%.0f %%), %s.\n", i + 1, a->whatif[i].change, vms,
			a->whatif[i].pct, a->whatif[i].source);
	}
}

static void format_assumptions(const struct advice *a, FILE *out)
{
	if (a->n_assumptions)
		fputs("This holds while:\n", out);
	for (size_t i = 0; i < a->n_assumptions; i++)
		fprintf(out, "- %s: %s (%s)\n", a->assumptions[i].name, a->assumptions[i].value,
			a->assumptions[i].effect);
}

static void format_past(const struct advice *a, FILE *out)
{
	if (a->record.runs)
		fprintf(out,
			"Forecasts on such hosts missed by %.1f %% (median) and %.1f %% (90th percentile), %zu run%s.\n",
			a->record.median_pct, a->record.p90_pct, a->record.runs,
			a->record.runs == 1 ? "" : "s");
	if (a->record.all_runs > a->record.runs)
		fprintf(out, "On all hosts: %.1f %% and %.1f %%, %zu runs.\n", a->record.all_median_pct,
			a->record.all_p90_pct, a->record.all_runs);
}

static void format_trust(const struct advice *a, FILE *out)
{
	_cleanup_free_ char *seen = text_thousands(a->measured_to, 0);

	if (a->ok && a->extrapolated)
		fprintf(out, "Measured to %s VMs; the rest follows the fitted line.\n", seen);
	if (isfinite(a->holdout_pct))
		fprintf(out,
			"Check: a fit of the first 60 %% of the intervals misses the others by %.1f %%.\n",
			a->holdout_pct);
	format_past(a, out);
}

static void format_remedy(const struct advice *a, FILE *out)
{
	const char *what = NULL;

	if (!a->ok || a->n_whatif)
		return;
	if (strcmp(a->binding, "ram") == 0)
		what = "more RAM, or less per VM ('mvmscale plot RUN --metric slab_kb', anon_kb and page_tables_kb show where it goes)";
	else if (strcmp(a->binding, "cpu") == 0)
		what = "more cores, or guests that wake less ('mvmscale plot RUN --metric cpu_guests_pct' tells them from kernel threads)";
	else if (strcmp(a->binding, "swap") == 0)
		what = "more RAM rather than more swap: a host that swaps answers slowly";
	else if (str_starts(a->binding, "limit:"))
		what = "a higher limit ('mvmscale doctor' says how)";
	if (what)
		fprintf(out, "What would fit more: %s.\n", what);
}

char *advice_text(const struct advice *a)
{
	struct textbuf buf;
	FILE *out = textbuf_open(&buf);

	format_answer(a, out);
	for (size_t i = 0; i < a->reasons.count && !a->ok; i++)
		fprintf(out, "- %s.\n", a->reasons.items[i]);
	format_safe(a, out);
	fprintf(out, "This run is %s (probability %.2f).\n", a->class_name, a->class_probability);
	if (a->measured_to > 0) {
		format_cost(a, out);
		format_ledger(&a->cost, out);
	}
	/* without an answer nothing is next to it */
	if (a->measured_to > 0 && (a->ok || strcmp(a->runner_up, "none") != 0))
		format_next(a, out);
	format_trust(a, out);
	for (size_t i = 0; i < a->reasons.count && a->ok; i++)
		fprintf(out, "Note: %s.\n", a->reasons.items[i]);
	format_whatif(a, out);
	format_remedy(a, out);
	/* without an answer the reasons say which run is needed */
	if (a->ok)
		format_assumptions(a, out);
	if (a->ok && a->falsify)
		fprintf(out, "To refute this: %s\n", a->falsify);
	return textbuf_close(&buf);
}

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

	for (size_t i = 0; i < a->n_whatif; i++)
		json_array_append_new(all, json_pack("{s:s, s:o, s:o, s:s}", "change", a->whatif[i].change,
						     "vms", whole_or_null(a->whatif[i].vms), "pct",
						     advice_real(a->whatif[i].pct), "source",
						     a->whatif[i].source));
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
	json_object_set_new(o, "cost", measured_cost_json(&a->cost));
	json_object_set_new(o, "assumptions", assumptions_json(a));
	json_object_set_new(o, "gains", whatif_json(a));
	json_object_set_new(o, "falsify", a->falsify ? json_string(a->falsify) : json_null());
	json_object_set_new(o, "past_forecasts", record_json(a));
	json_object_set_new(o, "reasons", reasons);
	return o;
}
