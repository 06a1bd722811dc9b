/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "advise/verdict.h"

#include <math.h>
#include <string.h>

#include "advise/curve_of.h"
#include "report/plot_text.h"
#include "sample/metric.h"

/* A way to the end: a metric at the threshold, or a limit of the system. */
struct candidate {
	char *name;
	const struct metric_advice *metric; /* NULL: a limit */
	double vms, lower, upper;
	bool measured;
};

struct candidates {
	struct candidate items[ADVICE_METRICS + 1];
	size_t n;
};

static const struct {
	const char *name;
	enum metric metric;
} judged[ADVICE_METRICS] = {
	{ "cpu", METRIC_CPU },
	{ "ram", METRIC_RAM },
	{ "swap", METRIC_SWAP },
};

/* % of the measured host -> % of the asked one; 1 where either size is unknown. */
static double scale_to(double measured, double asked)
{
	return measured > 0 && asked > 0 ? measured / asked : 1;
}

static void judge_metrics(const struct run_record *r, const struct host_spec *host, struct advice *a)
{
	double swap_kb = run_num(r, "host.swap_kb");
	double scale[ADVICE_METRICS] = { 1, 1, 1 };

	if (host) {
		scale[0] = scale_to(run_num(r, "host.cores"), host->cores);
		scale[1] = scale_to(run_num(r, "host.ram_kb"), host->ram_kb);
		scale[2] = scale_to(swap_kb, host->swap_kb);
	}
	for (size_t i = 0; i < ADVICE_METRICS; i++) {
		struct metric_advice *m = &a->metrics[i];

		m->name = judged[i].name;
		m->label = metric_table[judged[i].metric].label;
		curve_judge(r, metric_table[judged[i].metric].column, scale[i], a->threshold_pct, m);
	}
	if (swap_kb == 0 || (host && host->swap_kb == 0)) {
		struct metric_advice *swap = &a->metrics[2];

		*swap = (struct metric_advice){ .name = swap->name, .label = swap->label };
		swap->baseline_pct = swap->per_vm_pct = swap->per_vm_half = (double)NAN;
		swap->vms = swap->lower = swap->upper = swap->holdout_pct = (double)NAN;
	}
}

static void per_vm(const struct run_record *r, const struct host_spec *host, struct advice *a)
{
	double cores = run_num(r, "host.cores"), ram = run_num(r, "host.ram_kb");
	double swap = run_num(r, "host.swap_kb");

	if (host) {
		cores = host->cores > 0 ? host->cores : cores;
		ram = host->ram_kb > 0 ? host->ram_kb : ram;
		swap = host->swap_kb > 0 ? host->swap_kb : swap;
	}
	a->cpu_pct = a->metrics[0].per_vm_pct;
	a->core_pct = a->cpu_pct * cores;
	a->ram_kb = a->metrics[1].per_vm_pct / 100 * ram;
	a->swap_kb = a->metrics[2].present ? a->metrics[2].per_vm_pct / 100 * swap : 0;
}

static void add_candidate(struct candidates *c, char *name, const struct metric_advice *m, double vms,
			  double lower, double upper, bool measured)
{
	c->items[c->n++] = (struct candidate){ name, m, vms, lower, upper, measured };
}

/* The run says that this metric ended it, and at the threshold that is asked for. */
static bool ended_by(const struct run_record *r, const struct advice *a, const char *name)
{
	const char *metric = run_str(r, "stop.metric");

	return !a->projected && str_eq(run_str(r, "stop.kind"), "threshold") && metric &&
	       strncmp(metric, name, strlen(name)) == 0 && run_num(r, "threshold_pct") == a->threshold_pct;
}

static void add_metrics(const struct run_record *r, const struct advice *a, struct candidates *c)
{
	for (size_t i = 0; i < ADVICE_METRICS; i++) {
		const struct metric_advice *m = &a->metrics[i];

		if (m->present && ended_by(r, a, m->name) && !m->measured)
			/* It was crossed after the last whole interval, or between its samples. */
			add_candidate(c, xstrdup(m->name), m, a->measured_to,
				      isfinite(m->lower) ? fmin(m->lower, a->measured_to) : a->measured_to,
				      isfinite(m->upper) ? fmax(m->upper, a->measured_to) : a->measured_to,
				      true);
		else if (m->present && isfinite(m->vms) && (m->measured || m->rises))
			add_candidate(c, xstrdup(m->name), m, m->vms, m->lower, m->upper, m->measured);
	}
}

/* The smallest of the limits that the run found; RAM among them is judged by its curve. */
static const char *nearest_limit(const struct run_record *r, double *vms)
{
	const char *name = NULL;
	json_t *limits = json_object_get(r->meta, "limits"), *l;
	size_t i;

	json_array_foreach(limits, i, l)
	{
		const char *this = json_string_value(json_object_get(l, "name"));
		/* a run raises a limit only as far as it needs: how far it could go is the answer */
		bool raised = json_is_true(json_object_get(l, "raised"));
		const json_t *v = json_object_get(l, raised ? "vms_raised" : "vms_now");

		if (!this || !json_is_number(v) || strcmp(this, "ram") == 0 ||
		    (name && json_number_value(v) >= *vms))
			continue;
		name = this;
		*vms = json_number_value(v);
	}
	return name;
}

static void add_limit(const struct run_record *r, const struct advice *a, struct candidates *c)
{
	const char *name = run_str(r, "stop.limit");
	double vms;

	if (a->projected)
		return; /* limits of another host are not known here */
	if (str_eq(run_str(r, "stop.kind"), "limit")) {
		name = name ? name : run_str(r, "stop.metric");
		add_candidate(c, xasprintf("limit:%s", name ? name : "unknown"), NULL, a->measured_to,
			      a->measured_to, a->measured_to, true);
		return;
	}
	name = nearest_limit(r, &vms);
	/* One that was passed was raised, or counted too carefully. */
	if (name && vms > a->measured_to)
		add_candidate(c, xasprintf("limit:%s", name), NULL, vms, vms, vms, false);
}

static int by_vms(const void *x, const void *y)
{
	const struct candidate *a = x, *b = y;

	if (a->vms != b->vms)
		return a->vms < b->vms ? -1 : 1;
	return (int)b->measured - (int)a->measured;
}

static void choose(struct candidates *c, struct advice *a)
{
	qsort(c->items, c->n, sizeof(c->items[0]), by_vms);
	for (size_t i = 1; i < c->n; i++) /* what ended the run comes before any estimate */
		if (c->items[i].measured && !c->items[0].measured) {
			struct candidate first = c->items[i];

			memmove(&c->items[1], &c->items[0], i * sizeof(first));
			c->items[0] = first;
		}
	a->binding = xstrdup(c->n ? c->items[0].name : "none");
	a->runner_up = xstrdup(c->n > 1 ? c->items[1].name : "none");
	a->vms = a->lower = a->upper = a->runner_up_vms = a->holdout_pct = (double)NAN;
	if (c->n) {
		const struct candidate *first = &c->items[0];
		const struct metric_advice *m = first->metric ? first->metric
						: c->n > 1    ? c->items[1].metric
							      : NULL;

		a->vms = floor(first->vms + 1e-6);
		a->lower = fmin(floor(first->lower + 1e-6), a->vms);
		a->upper = fmax(ceil(first->upper - 1e-6), a->vms);
		a->measured = first->measured;
		a->holdout_pct = m ? m->holdout_pct : (double)NAN;
	}
	if (c->n > 1 && c->items[1].vms <= ADVICE_REACH * a->measured_to)
		a->runner_up_vms = floor(c->items[1].vms + 1e-6);
}

/* The number of VMs to ask for, so that an answer lies within reach: two digits, rounded up. */
static double ask_for(double vms)
{
	double need = vms / ADVICE_REACH, unit = pow(10, fmax(floor(log10(need)) - 1, 0));

	return ceil(need / unit) * unit;
}

static void doubt_population(const struct run_record *r, struct advice *a)
{
	const struct csv *t = r->intervals;
	size_t settled = 0, judged_rows = 0;

	for (size_t i = 0; i < t->rows; i++) {
		double s = csv_cell(t, i, "settled");

		judged_rows += isfinite(s);
		settled += isfinite(s) && s != 0;
	}
	if (judged_rows && 2 * settled < judged_rows &&
	    !(a->measured && strncmp(a->binding, "limit:", 6) == 0)) {
		strlist_addf(&a->reasons,
			     "only %zu of %zu intervals were measured on a settled host: run again with a "
			     "longer --settle",
			     settled, judged_rows);
		a->ok = false;
	}
	if (str_eq(run_str(r, "state"), "failed") || str_eq(run_str(r, "stop.kind"), "failed")) {
		const char *why = run_str(r, "stop.evidence");

		strlist_addf(&a->reasons, "the run failed before its end%s%s", why ? ": " : "",
			     why ? why : "");
		a->ok = false;
	}
}

/* Doubts that do not touch what was reached and seen. */
static void doubt_estimate(const struct run_record *r, const struct candidates *c, struct advice *a)
{
	const struct metric_advice *m = c->n ? c->items[0].metric : NULL;
	_cleanup_free_ char *seen = plot_thousands(a->measured_to, 0);
	size_t before = a->reasons.count;

	if (r->intervals->rows < ADVICE_INTERVALS)
		strlist_addf(&a->reasons,
			     "%zu interval%s: a line needs at least %d; run again with more --intervals",
			     r->intervals->rows, r->intervals->rows == 1 ? "" : "s", ADVICE_INTERVALS);
	else if (!c->n)
		strlist_addf(&a->reasons,
			     "neither CPU, RAM nor swap rises clearly with the number of VMs (95 %% "
			     "confidence) up to %s VMs: run again with a larger --max",
			     seen);
	if (m && m->bends)
		strlist_addf(&a->reasons,
			     "the curve of %s bends: its straight line would have crossed %g %% before "
			     "%s VMs, where it had not; run further with a larger --max",
			     m->label, a->threshold_pct, seen);
	if (m && m->holdout_pct > ADVICE_HOLDOUT_PCT)
		strlist_addf(
			&a->reasons,
			"a line through the first 60 %% of the intervals misses the rest of %s by %.0f %% "
			"(at most %.0f %% is trusted): run further or with more --intervals",
			m->label, m->holdout_pct, ADVICE_HOLDOUT_PCT);
	if (c->n && a->measured_to > 0 && c->items[0].vms > ADVICE_REACH * a->measured_to)
		strlist_addf(&a->reasons,
			     "%s VMs were measured and the threshold lies beyond %g times that: run again "
			     "with --max %.0f or more",
			     seen, ADVICE_REACH, ask_for(c->items[0].vms));
	if (a->reasons.count > before)
		a->ok = false;
}

/* What does not change the verdict but belongs to it. */
static void remarks(const struct run_record *r, const struct candidates *c, struct advice *a)
{
	if (a->cloned)
		strlist_add(&a->reasons,
			    "the VMs are clones of a running one: they were not booted on their own, and "
			    "VMs that boot may take more memory");
	if (a->projected)
		strlist_add(&a->reasons,
			    "projected onto another host: its limits, its kernel and its own use at rest "
			    "were not measured");
	if (r->note)
		strlist_add(&a->reasons, r->note);
	if (str_eq(run_str(r, "state"), "interrupted"))
		strlist_add(&a->reasons, "the run was interrupted: its curve ends early");
	if (a->ok && c->n > 1 && !c->items[0].measured && c->items[1].lower < c->items[0].upper)
		strlist_addf(&a->reasons, "%s is so close behind that it may end it first", c->items[1].name);
}

error *advise_run_on(const struct run_record *r, double threshold, const struct host_spec *host,
		     struct advice **ret)
{
	_cleanup_(advice_freep) struct advice *a = xcalloc(1, sizeof(*a));
	struct candidates c = { 0 };

	a->threshold_pct = threshold > 0 ? threshold : run_num(r, "threshold_pct");
	if (!(a->threshold_pct > 0))
		return err_new(EXIT_BAD_INPUT,
			       "%s/run.json: the key \"threshold_pct\" is missing: give one with --threshold",
			       r->dir);
	a->measured_to = run_measured_to(r);
	a->projected = host != NULL;
	a->cloned = str_eq(run_str(r, "launch.mode"), "clone");
	a->ok = true;
	judge_metrics(r, host, a);
	per_vm(r, host, a);
	add_metrics(r, a, &c);
	add_limit(r, a, &c);
	choose(&c, a);
	doubt_population(r, a);
	if (!a->measured)
		doubt_estimate(r, &c, a);
	remarks(r, &c, a);
	a->extrapolated = c.n && c.items[0].vms > a->measured_to;
	if (!a->ok)
		a->vms = a->lower = a->upper = (double)NAN;
	for (size_t i = 0; i < c.n; i++)
		free(c.items[i].name);
	*ret = STEAL(a);
	return NULL;
}

error *advise_run(const struct run_record *r, double threshold, struct advice **ret)
{
	return advise_run_on(r, threshold, NULL, ret);
}

void advice_free(struct advice *a)
{
	if (!a)
		return;
	free(a->binding);
	free(a->runner_up);
	strlist_clear(&a->reasons);
	free(a);
}
