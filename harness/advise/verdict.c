/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "advise/verdict.h"

#include <math.h>
#include <string.h>

#include "advise/metric_fit.h"
#include "advise/steps.h"

/* % of the measured host -> % of the asked one; 1 where either size is unknown. */
static double scale_to(double measured, double asked)
{
	return measured > 0 && asked > 0 ? measured / asked : 1;
}

/* Arithmetic does not stray from its lines; hosts do. */
static double model_error_of(const struct run_record *r, const struct advise_options *o)
{
	if (!run_str(r, "backend.name") || run_is_synthetic(r))
		return 0;
	return o->model_error > 0 ? o->model_error : TREND_WANDER;
}

static void judge_metrics(const struct run_record *r, const struct advise_options *o, struct advice *a)
{
	const struct host_spec *host = o->host;
	double swap_kb = run_num(r, "host.swap_kb"), scale[RESOURCE_COUNT] = { 1, 1, 1 };
	double threshold = a->threshold_pct - a->reserve_pct;

	if (host) {
		scale[RESOURCE_CPU] = scale_to(run_num(r, "host.cores"), host->cores);
		scale[RESOURCE_RAM] = scale_to(run_num(r, "host.ram_kb"), host->ram_kb);
		scale[RESOURCE_SWAP] = scale_to(swap_kb, host->swap_kb);
	}
	scale[RESOURCE_CPU] /= o->overcommit_cpu > 0 ? o->overcommit_cpu : 1;
	scale[RESOURCE_RAM] /= o->overcommit_ram > 0 ? o->overcommit_ram : 1;
	for (size_t i = 0; i < RESOURCE_COUNT; i++) {
		struct metric_advice *m = &a->metrics[i];

		m->name = resources[i].name;
		m->label = resource_label(i);
		metric_judge(r, resource_column(i),
			     &(struct metric_view){ scale[i], model_error_of(r, o), threshold }, m);
	}
	if (swap_kb == 0 || (host && host->swap_kb == 0)) {
		struct metric_advice *swap = &a->metrics[RESOURCE_SWAP];

		*swap = (struct metric_advice){ .name = swap->name, .label = swap->label };
		swap->baseline_pct = swap->per_vm_pct = swap->per_vm_half = swap->last_pct = (double)NAN;
		swap->vms = swap->lower = swap->upper = swap->holdout_pct = (double)NAN;
		return;
	}
	double ram_kb = run_num(r, "host.ram_kb");
	if (host) {
		swap_kb = host->swap_kb > 0 ? host->swap_kb : swap_kb;
		ram_kb = host->ram_kb > 0 ? host->ram_kb : ram_kb;
	}
	metric_judge_overflow(r, &a->metrics[RESOURCE_RAM], swap_kb / ram_kb, threshold,
			      &a->metrics[RESOURCE_SWAP]);
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
	a->cpu_pct = a->metrics[RESOURCE_CPU].per_vm_pct;
	a->core_pct = a->cpu_pct * cores;
	a->ram_kb = a->metrics[RESOURCE_RAM].per_vm_pct / 100 * ram;
	a->swap_kb =
		a->metrics[RESOURCE_SWAP].present ? a->metrics[RESOURCE_SWAP].per_vm_pct / 100 * swap : 0;
}

static void add_candidate(struct candidates *c, char *name, const struct metric_advice *m, double vms,
			  double lower, double upper, bool measured)
{
	c->items[c->n++] = (struct candidate){ name, m, vms, lower, upper, measured };
}

/* "cpu_pct" is of "cpu", "cpu_guests_pct" is not. */
static bool is_share_of(const char *metric, const char *name)
{
	return str_starts(metric, name) && strcmp(metric + strlen(name), "_pct") == 0;
}

/* The run says that this metric ended it, and at the threshold that is asked for. */
static bool ended_by(const struct run_record *r, const struct advice *a, const char *name)
{
	const char *metric = run_str(r, "stop.metric");

	return !a->projected && !(a->reserve_pct > 0) && str_eq(run_str(r, "stop.kind"), "threshold") &&
	       metric && (strcmp(metric, name) == 0 || is_share_of(metric, name)) &&
	       run_num(r, "threshold_pct") == a->threshold_pct;
}

/* Whether the run was told not to stop on that resource: then it does not end the growth either. */
static bool left_out(const struct run_record *r, const char *name)
{
	const json_t *on = json_object_get(json_object_get(r->meta, "options"), "stop_on");
	const json_t *v;
	size_t i;

	if (!json_is_array(on))
		return false;
	json_array_foreach(on, i, v) if (str_eq(json_string_value(v), name)) return false;
	return true;
}

static void add_metrics(const struct run_record *r, const struct advice *a, struct candidates *c)
{
	for (size_t i = 0; i < RESOURCE_COUNT; i++) {
		const struct metric_advice *m = &a->metrics[i];

		if (m->present && ended_by(r, a, m->name) && !m->measured)
			/* It was crossed after the last whole interval, or between its samples. */
			add_candidate(c, xstrdup(m->name), m, a->measured_to,
				      isfinite(m->lower) ? fmin(m->lower, a->measured_to) : a->measured_to,
				      isfinite(m->upper) ? fmax(m->upper, a->measured_to) : a->measured_to,
				      true);
		else if (m->present && isfinite(m->vms) && (m->measured || m->rises || m->overflows) &&
			 (a->projected || !left_out(r, m->name)))
			add_candidate(c, xstrdup(m->name), m, m->vms, m->lower, m->upper, m->measured);
	}
}

bool advice_raises_limits(const struct run_record *r, const char *name)
{
	json_t *tried = json_object_get(r->meta, "raised"), *t;
	size_t i;

	if (json_is_true(json_object_get(json_object_get(r->meta, "options"), "no_raise")))
		return false;
	json_array_foreach(tried, i, t) if (str_eq(json_string_value(json_object_get(t, "name")), name) &&
					    json_is_false(json_object_get(t, "took"))) return false;
	return true;
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
		const json_t *v = json_object_get(l, "vms_now"), *raised = json_object_get(l, "vms_raised");

		/* a run raises a limit only when it needs to, and as far as it needs: how far it could go
		 * counts */
		if (json_is_number(raised) && advice_raises_limits(r, this))
			v = raised;
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
	a->next_vms = c->n > 1 ? c->items[1].vms : (double)NAN;
	if (c->n > 1 && c->items[1].vms <= ADVICE_REACH * a->measured_to)
		a->runner_up_vms = floor(c->items[1].vms + 1e-6);
}

/* No VM lies across two NUMA nodes: each holds a whole number. */
static void round_to_nodes(double nodes, struct advice *a)
{
	double *const counts[] = { &a->vms, &a->lower, &a->upper };

	for (size_t i = 0; i < ARRAY_LEN(counts) && nodes > 1; i++)
		*counts[i] = nodes * floor(*counts[i] / nodes);
}

static void finish(const struct run_record *r, const struct candidates *c, struct advice *a)
{
	advice_caveats(r, c, a);
	advice_classify(r, c, a);
	a->extrapolated = c->n && c->items[0].vms > a->measured_to;
	if (!a->ok)
		a->vms = a->lower = a->upper = (double)NAN;
	round_to_nodes(a->nodes, a);
	a->safe = a->lower;
	if (c->n > 1 && a->ok && isfinite(a->runner_up_vms))
		a->headroom_pct = 100 * (a->runner_up_vms / fmax(a->vms, 1) - 1);
	advice_assume(r, a);
	advice_falsify(r, a);
}

error *advise_run_with(const struct run_record *r, const struct advise_options *o, struct advice **ret)
{
	_cleanup_(advice_freep) struct advice *a = xcalloc(1, sizeof(*a));
	struct candidates c = { 0 };

	a->threshold_pct = o->threshold > 0 ? o->threshold : run_num(r, "threshold_pct");
	if (!(a->threshold_pct > 0))
		return err_new(EXIT_BAD_INPUT,
			       "%s/run.json: the key \"threshold_pct\" is missing: give one with --threshold",
			       r->dir);
	if (o->reserve_pct >= a->threshold_pct)
		return err_new(EXIT_BAD_INPUT,
			       "a reserve of %g %% leaves nothing below the threshold of %g %%: reserve less",
			       o->reserve_pct, a->threshold_pct);
	a->reserve_pct = o->reserve_pct;
	a->measured_to = run_measured_to(r);
	a->projected = o->host || o->overcommit_cpu > 0 || o->overcommit_ram > 0;
	a->nodes = o->host ? o->host->nodes : (double)NAN;
	a->forced = o->force;
	a->cloned = str_eq(run_str(r, "launch.mode"), "clone");
	a->ok = true;
	a->headroom_pct = (double)NAN;
	judge_metrics(r, o, a);
	per_vm(r, o->host, a);
	measured_cost_of(r, &a->cost);
	if (a->metrics[RESOURCE_RAM].trend.woken.n)
		a->cost.woken_kb = a->metrics[RESOURCE_RAM].trend.woken.kb;
	add_metrics(r, a, &c);
	add_limit(r, a, &c);
	choose(&c, a);
	finish(r, &c, a);
	for (size_t i = 0; i < c.n; i++)
		free(c.items[i].name);
	*ret = STEAL(a);
	return NULL;
}

error *advise_run(const struct run_record *r, double threshold, struct advice **ret)
{
	return advise_run_with(r, &(struct advise_options){ .threshold = threshold }, ret);
}

void advice_free(struct advice *a)
{
	if (!a)
		return;
	free(a->binding);
	free(a->runner_up);
	free(a->class_name);
	free(a->falsify);
	for (size_t i = 0; i < a->n_assumptions; i++) {
		free(a->assumptions[i].value);
		free(a->assumptions[i].effect);
	}
	free(a->assumptions);
	for (size_t i = 0; i < a->n_whatif; i++) {
		free(a->whatif[i].change);
		free(a->whatif[i].source);
	}
	strlist_clear(&a->reasons);
	free(a);
}
