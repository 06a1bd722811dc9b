/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <string.h>

#include "advise/verdict.h"
#include "report/plot_text.h"

static json_t *real_or_null(double v)
{
	return isfinite(v) ? json_real(v) : json_null();
}

static json_t *whole_or_null(double v)
{
	return isfinite(v) && fabs(v) < 1e15 ? json_integer((json_int_t)v) : json_null();
}

static json_t *metric_json(const struct metric_advice *m)
{
	return json_pack("{s:s, s:b, s:b, s:o, s:o, s:o, s:o, s:o}", "name", m->name, "rises", (int)m->rises,
			 "measured", (int)m->measured, "baseline_pct", real_or_null(m->baseline_pct),
			 "per_vm_pct", real_or_null(m->per_vm_pct), "per_vm_pct_lower",
			 real_or_null(m->per_vm_pct - m->per_vm_half), "per_vm_pct_upper",
			 real_or_null(m->per_vm_pct + m->per_vm_half), "holdout_error_pct",
			 real_or_null(m->holdout_pct));
}

json_t *advice_json(const struct advice *a)
{
	json_t *metrics = json_array(), *reasons = json_array();

	for (size_t i = 0; i < ADVICE_METRICS; i++)
		if (a->metrics[i].present)
			json_array_append_new(metrics, metric_json(&a->metrics[i]));
	for (size_t i = 0; i < a->reasons.count; i++)
		json_array_append_new(reasons, json_string(a->reasons.items[i]));
	json_t *per_vm = json_pack("{s:o, s:o, s:o, s:o}", "ram_kb", real_or_null(a->ram_kb), "cpu_pct",
				   real_or_null(a->cpu_pct), "core_pct", real_or_null(a->core_pct), "swap_kb",
				   real_or_null(a->swap_kb));
	json_t *o = json_pack("{s:s, s:s, s:s, s:f, s:o, s:o, s:o, s:o, s:b, s:b, s:b}", "verdict",
			      a->ok ? "ok" : "inconclusive", "binding_resource", a->binding, "runner_up",
			      a->runner_up, "threshold_pct", a->threshold_pct, "vms_at_threshold",
			      whole_or_null(a->vms), "lower", whole_or_null(a->lower), "upper",
			      whole_or_null(a->upper), "measured_to", whole_or_null(a->measured_to),
			      "extrapolated", (int)a->extrapolated, "measured", (int)a->measured, "projected",
			      (int)a->projected);
	json_object_set_new(o, "runner_up_vms", whole_or_null(a->runner_up_vms));
	json_object_set_new(o, "per_vm", per_vm);
	json_object_set_new(o, "holdout_error_pct", real_or_null(a->holdout_pct));
	json_object_set_new(o, "metrics", metrics);
	json_object_set_new(o, "reasons", reasons);
	return o;
}

/* "RAM" for "ram", "the limit pid_max" for "limit:pid_max". */
static char *spoken(const struct advice *a, const char *resource)
{
	for (size_t i = 0; i < ADVICE_METRICS; i++)
		if (strcmp(a->metrics[i].name, resource) == 0)
			return xstrdup(a->metrics[i].label);
	if (str_starts(resource, "limit:"))
		return xasprintf("the limit %s", resource + 6);
	return xstrdup("nothing");
}

static void tell_answer(const struct advice *a, FILE *out)
{
	_cleanup_free_ char *who = spoken(a, a->binding), *vms = plot_thousands(a->vms, 0);
	_cleanup_free_ char *lower = plot_thousands(a->lower, 0), *upper = plot_thousands(a->upper, 0);
	_cleanup_free_ char *seen = plot_thousands(a->measured_to, 0);
	bool limit = str_starts(a->binding, "limit:");

	if (!a->ok && strcmp(a->binding, "none") == 0)
		fprintf(out, "No answer yet: up to %s VMs nothing comes clearly closer to its end.\n", seen);
	else if (!a->ok)
		fprintf(out,
			"No answer yet: %s looks like the first to end it, but the data up to %s VMs do "
			"not carry a number.\n",
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

static void tell_cost(const struct advice *a, FILE *out)
{
	const struct metric_advice *cpu = &a->metrics[0], *ram = &a->metrics[1];

	if (isfinite(a->ram_kb)) {
		bool mib = a->ram_kb >= 1024;

		if (ram->rises)
			fprintf(out, "One more VM takes %.*f %s of RAM", mib ? 2 : 0,
				mib ? a->ram_kb / 1024 : a->ram_kb, mib ? "MiB" : "KiB");
		else
			fputs("One more VM takes no RAM that could be told from noise", out);
		if (cpu->rises && isfinite(a->core_pct))
			fprintf(out, " and %.*f %% of one core", small_decimals(a->core_pct), a->core_pct);
		else if (cpu->present)
			fputs(" and no CPU that could be told from noise", out);
		fputs(".\n", out);
	}
	if (isfinite(cpu->baseline_pct) && isfinite(ram->baseline_pct))
		fprintf(out, "Before the first VM the host was at %.1f %% RAM and %.1f %% CPU.\n",
			ram->baseline_pct, cpu->baseline_pct);
}

static void tell_next(const struct advice *a, FILE *out)
{
	_cleanup_free_ char *next = spoken(a, a->runner_up), *at = plot_thousands(a->runner_up_vms, 0);

	if (strcmp(a->runner_up, "none") == 0)
		fputs("Nothing else comes closer to its end.\n", out);
	else if (isfinite(a->runner_up_vms))
		fprintf(out, "Next is %s, at about %s VMs.\n", next, at);
	else
		fprintf(out, "Next is %s, far beyond what was measured.\n", next);
}

static void tell_trust(const struct advice *a, FILE *out)
{
	_cleanup_free_ char *seen = plot_thousands(a->measured_to, 0);

	if (a->ok && a->extrapolated)
		fprintf(out, "Measured to %s VMs; the rest follows the fitted line.\n", seen);
	if (isfinite(a->holdout_pct))
		fprintf(out,
			"Check: a line through the first 60 %% of the intervals misses the others by %.1f "
			"%%.\n",
			a->holdout_pct);
}

static void tell_remedy(const struct advice *a, FILE *out)
{
	const char *what = NULL;

	if (!a->ok)
		return;
	if (strcmp(a->binding, "ram") == 0)
		what = "more RAM, or less per VM ('mvmscale plot RUN --metric slab_kb', anon_kb and "
		       "page_tables_kb show where it goes)";
	else if (strcmp(a->binding, "cpu") == 0)
		what = "more cores, or guests that wake less ('mvmscale plot RUN --metric cpu_guests_pct' "
		       "tells them from kernel threads)";
	else if (strcmp(a->binding, "swap") == 0)
		what = "more RAM rather than more swap: a host that swaps answers slowly";
	else if (str_starts(a->binding, "limit:"))
		what = "a higher limit ('mvmscale doctor' says how)";
	if (what)
		fprintf(out, "What would fit more: %s.\n", what);
}

char *advice_text(const struct advice *a)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return xstrdup("out of memory\n");
	tell_answer(a, out);
	for (size_t i = 0; i < a->reasons.count && !a->ok; i++)
		fprintf(out, "- %s.\n", a->reasons.items[i]);
	tell_cost(a, out);
	tell_next(a, out);
	tell_trust(a, out);
	for (size_t i = 0; i < a->reasons.count && a->ok; i++)
		fprintf(out, "Note: %s.\n", a->reasons.items[i]);
	tell_remedy(a, out);
	fclose(out);
	return text;
}
