/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "advise/whatif.h"
#include "advise/steps.h"

#include <math.h>
#include <string.h>

/* A gain below this share of the answer is none: runs differ by as much. */
#define LEAST_GAIN_PCT 1.0

/* Keeps the best three; takes over both strings. */
static void offer(struct advice *a, char *change, char *source, double vms)
{
	struct whatif g = { change, source, floor(vms), 100 * vms / fmax(a->vms, 1) };
	size_t at = a->n_whatif;

	if (!isfinite(vms) || !(g.pct >= LEAST_GAIN_PCT)) {
		free(change);
		free(source);
		return;
	}
	while (at > 0 && a->whatif[at - 1].vms < g.vms)
		at--;
	if (a->n_whatif == ARRAY_LEN(a->whatif)) {
		struct whatif *last = &a->whatif[ARRAY_LEN(a->whatif) - 1];

		if (at == ARRAY_LEN(a->whatif))
			last = &g;
		free(last->change);
		free(last->source);
		if (at == ARRAY_LEN(a->whatif))
			return;
		a->n_whatif--;
	}
	memmove(&a->whatif[at + 1], &a->whatif[at], (a->n_whatif - at) * sizeof(g));
	a->whatif[at] = g;
	a->n_whatif++;
}

/* Where growth ends when what binds now binds no more: the next end, or as far as fits are trusted. */
static double next_end(const struct advice *a)
{
	return isfinite(a->next_vms) ? a->next_vms : fmax(ADVICE_REACH * a->measured_to, a->vms);
}

/* VMs more when one takes `share` of what it takes now of the binding resource; the next end caps it. */
static double gain_of_share(const struct advice *a, double share)
{
	double more = a->vms * (1 / share - 1);

	if (!(share > 0) || !(share < 1))
		return (double)NAN;
	return fmin(more, next_end(a) - a->vms);
}

static bool binds(const struct advice *a, const char *name)
{
	return str_eq(a->binding, name);
}

/* "preset lean instead of dense, launch exec instead of clone": what other has that r has not. */
static char *difference(const struct run_record *r, const struct run_record *other)
{
	static const char *const keys[][2] = {
		{ "backend.name", "backend" },	  { "backend.accel", "accelerator" },
		{ "backend.version", "version" }, { "preset", "preset" },
		{ "profile", "profile" },	  { "launch.mode", "launch" },
		{ "host.kernel", "kernel" },
	};
	struct strlist l = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		const char *is = run_str(r, keys[i][0]), *would = run_str(other, keys[i][0]);

		if (is && would && !str_eq(is, would))
			strlist_addf(&l, "%s %s instead of %s", keys[i][1], would, is);
	}
	char *text = strlist_join_by(&l, ", ");
	strlist_clear(&l);
	return text;
}

static error *from_runs(const struct run_record *r, struct advice *a, struct run_record *const *others,
			size_t n)
{
	for (size_t i = 0; i < n; i++) {
		_cleanup_(advice_freep) struct advice *b = NULL;
		error *e = advise_run(others[i], a->threshold_pct, &b);

		if (e)
			return e;
		double mine = binds(a, "cpu") ? a->core_pct : a->ram_kb;
		double its = binds(a, "cpu") ? b->core_pct : b->ram_kb;
		_cleanup_free_ char *what = difference(r, others[i]);
		if (!binds(a, "cpu") && !binds(a, "ram"))
			continue; /* a limit counts VMs, whatever they take */
		offer(a, *what ? xstrdup(what) : xasprintf("as in %s", others[i]->dir),
		      xasprintf("measured in %s: %.4g instead of %.4g %s per VM", others[i]->dir, its, mine,
				binds(a, "cpu") ? "% of a core" : "KiB"),
		      gain_of_share(a, its / mine));
	}
	return NULL;
}

void advice_whatif_past(struct advice *a, const struct past_run *p)
{
	double mine = binds(a, "cpu") ? a->core_pct : a->ram_kb;
	double its = binds(a, "cpu") ? p->core_pct : p->ram_kb;

	if (a->ok && (binds(a, "cpu") || binds(a, "ram")))
		offer(a, xstrdup(p->what),
		      xasprintf("measured in an earlier run on such a host: %.4g instead of %.4g %s per VM",
				its, mine, binds(a, "cpu") ? "% of a core" : "KiB"),
		      gain_of_share(a, its / mine));
}

/* CPU that is not the guests' but comes with them: the threads were measured in this very run. */
static void from_threads(struct advice *a)
{
	const struct {
		const char *change, *name;
		double core_pct;
	} t[] = {
		{ "stop DAMON (kdamond), if this host does not need it", "kdamond",
		  a->cost.kdamond_core_pct },
		{ "let ksmd scan less, once pages are merged", "ksmd", a->cost.ksmd_core_pct },
	};

	for (size_t i = 0; i < ARRAY_LEN(t) && binds(a, "cpu"); i++)
		offer(a, xstrdup(t[i].change),
		      xasprintf("measured in this run: %s takes %.4g of %.4g %% of a core per VM", t[i].name,
				t[i].core_pct, a->core_pct),
		      gain_of_share(a, 1 - t[i].core_pct / a->core_pct));
}

/* VMs that nobody pings stay as small as they started: the fit of this run without what the pinged ones keep.
 */
static void from_pings(const struct run_record *r, struct advice *a)
{
	struct trend g = a->metrics[RESOURCE_RAM].trend;
	double verify = run_num(r, "options.verify_pct"), kept = g.woken.kb, vms, lower, upper;

	if (!binds(a, "ram") || a->projected || !g.woken.n || !(verify > 0))
		return;
	g.woken.n = 0;
	g.woken_pct = g.woken_se = 0;
	if (!trend_crossing(&g, a->threshold_pct - a->reserve_pct, &vms, &lower, &upper))
		return;
	offer(a,
	      xstrdup("ping none of the VMs (--verify 0), if it need not be proven that they still answer"),
	      xasprintf("measured in this run: of %g %% pinged at each interval every one keeps %.0f KiB",
			verify, kept),
	      fmin(vms, next_end(a)) - a->vms);
}

/* A limit that can be raised gives what comes next, or as far as it goes. */
static void from_limits(const struct run_record *r, struct advice *a)
{
	json_t *limits = json_object_get(r->meta, "limits"), *l;
	size_t i;

	json_array_foreach(limits, i, l)
	{
		const char *name = json_string_value(json_object_get(l, "name"));
		const char *how = json_string_value(json_object_get(l, "how"));
		const json_t *raised = json_object_get(l, "vms_raised");

		if (!name || !str_starts(a->binding, "limit:") || !str_eq(a->binding + 6, name))
			continue;
		double to = json_is_number(raised) ? json_number_value(raised) : (double)NAN;
		to = fmin(to, next_end(a));
		offer(a,
		      xasprintf("raise the limit %s%s%s%s", name, how ? " (" : "", how ? how : "",
				how ? ")" : ""),
		      xstrdup("counted by this run's preflight, up to what ends it next"), to - a->vms);
	}
}

static double ini_number(const struct ini_file *f, const char *section, const char *key)
{
	const char *text = ini_get(f, section, key);
	double v;

	return text && parse_double(text, 0, 1e9, &v) ? v : (double)NAN;
}

static double ablation_sum(const struct ini_file *f, const char *section)
{
	return ini_number(f, section, "slab_kb") + ini_number(f, section, "page_tables_kb") +
	       ini_number(f, section, "kernel_stacks_kb");
}

/* A technique that this run did not have, and that the shipped measurement shows to save memory. */
static void from_ablation(const struct run_record *r, struct advice *a, const struct ini_file *f)
{
	json_t *tuning = json_object_get(json_object_get(r->meta, "backend"), "tuning");
	const char *launch = ini_get(f, "ablation", "launch"), *origin = ini_get(f, "ablation", "origin");

	if (!binds(a, "ram") || !str_eq(run_str(r, "launch.mode"), launch))
		return;
	const char *name;
	json_t *t;

	json_object_foreach(tuning, name, t)
	{
		_cleanup_free_ char *section = xasprintf("without %s", name);
		double saves = ablation_sum(f, section) - ablation_sum(f, "all");

		if (!json_is_false(json_object_get(t, "in_force")) || !isfinite(saves))
			continue;
		offer(a, xasprintf("--tune=+%s", name),
		      xasprintf("shipped ablation (%s): %.0f KiB less per VM",
				origin ? origin : "origin unknown", saves),
		      gain_of_share(a, 1 - saves / a->ram_kb));
	}
}

error *advice_whatif(const struct run_record *r, struct advice *a, struct run_record *const *others,
		     size_t n_others, const struct ini_file *ablation)
{
	if (!a->ok || !isfinite(a->vms) || !(a->vms > 0))
		return NULL;
	error *e = from_runs(r, a, others, n_others);
	if (e)
		return e;
	from_threads(a);
	from_pings(r, a);
	from_limits(r, a);
	if (ablation)
		from_ablation(r, a, ablation);
	return NULL;
}
