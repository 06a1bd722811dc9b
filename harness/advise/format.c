/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <string.h>

#include "advise/parts.h"
#include "base/text.h"
#include "report/plot_text.h"

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
	_cleanup_free_ char *who = advice_spoken(a, a->binding), *vms = plot_thousands(a->vms, 0);
	_cleanup_free_ char *lower = plot_thousands(a->lower, 0), *upper = plot_thousands(a->upper, 0);
	_cleanup_free_ char *seen = plot_thousands(a->measured_to, 0);
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
	_cleanup_free_ char *next = advice_spoken(a, a->runner_up), *at = plot_thousands(a->runner_up_vms, 0);

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
	_cleanup_free_ char *safe = plot_thousands(a->safe, 0);

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

static void format_gains(const struct advice *a, FILE *out)
{
	if (a->n_gains)
		fputs("What would gain most:\n", out);
	for (size_t i = 0; i < a->n_gains; i++) {
		_cleanup_free_ char *vms = plot_thousands(a->gains[i].vms, 0);

		fprintf(out, "%zu. %s: +%s VMs (%.0f %%), %s.\n", i + 1, a->gains[i].change, vms,
			a->gains[i].pct, a->gains[i].source);
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
	_cleanup_free_ char *seen = plot_thousands(a->measured_to, 0);

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

	if (!a->ok || a->n_gains)
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
	format_gains(a, out);
	format_remedy(a, out);
	/* without an answer the reasons say which run is needed */
	if (a->ok)
		format_assumptions(a, out);
	if (a->ok && a->falsify)
		fprintf(out, "To refute this: %s\n", a->falsify);
	return textbuf_close(&buf);
}
