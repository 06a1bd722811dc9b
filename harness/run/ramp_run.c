/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The ramp: baseline, steps, stop. */
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "run/session.h"

/* A metric must have grown by so many points before its forecast may change the plan. */
#define FORECAST_MIN_GROWTH 0.3
/* Memory of a killed population comes back with a delay; the next ramp waits for it, so long at most. */
#define RETURN_LIMIT_NS 120000000000ULL
#define RETURN_SLACK_PCT 0.5
#define SPOILED_TRIES 3

bool plan_stops_on(const struct plan *p, enum resource r)
{
	return p->o->stop_on & 1U << r;
}

void run_outcome_clear(struct run_outcome *o)
{
	free(o->dir);
	free(o->stop.limit);
	free(o->stop.evidence);
	*o = (struct run_outcome){ 0 };
}

static struct interval *row_at(struct session *s, size_t index)
{
	if (index == s->record.row_count) {
		s->record.rows = xrealloc(s->record.rows, s->record.row_count + 1, sizeof(*s->record.rows));
		s->record.targets =
			xrealloc(s->record.targets, s->record.row_count + 1, sizeof(*s->record.targets));
		interval_init(&s->record.rows[s->record.row_count++]);
	}
	return &s->record.rows[index];
}

/* With repeats, the columns that are no means of samples are averaged over the ramps so far. */
static void pool_extras(struct interval *row, const double *before)
{
	for (int k = 0; k < EXTRA_COUNT; k++) {
		if (row->runs < 2 || isnan(before[k]) || k == EXTRA_DIED || k >= EXTRA_MEM_PER_VM)
			continue;
		/* what only earlier ramps had is not lost */
		row->extra[k] = isnan(row->extra[k]) ? before[k]
						     : before[k] + (row->extra[k] - before[k]) / row->runs;
	}
	row->extra[EXTRA_RUNS] = row->runs;
}

static error *finish_row(struct session *s, size_t index)
{
	struct interval *row = &s->record.rows[index];

	interval_ledger(row, &s->record.rows[0], index ? &s->record.rows[index - 1] : NULL);
	error *e = run_folder_intervals(&s->record.folder, s->record.rows, s->record.row_count);
	if (e)
		return e;
	if ((e = predict_stop(&s->plan, &s->pop, s->source.ops->guests, &s->record, index)))
		return e;
	s->record.status.predicted_end = MIN(s->record.status.predicted_end, s->plan.o->max);
	/* the interval's own figures: the latest sample is but one of those behind them */
	s->record.status.cpu_pct = moments_mean(&row->metric[METRIC_CPU]);
	s->record.status.ram_pct = moments_mean(&row->metric[METRIC_RAM]);
	s->record.status.swap_pct = moments_mean(&row->metric[METRIC_SWAP]);
	session_status(s, STAGE_MEASURE, true);
	if (s->record.obs->interval)
		s->record.obs->interval(s->record.obs->user, &s->record.status, row->extra[EXTRA_MEM_PER_VM],
					row->settled);
	return NULL;
}

/* Launches up to the target (0: none, the baseline) and measures there. */
static error *one_interval(struct session *s, size_t index, uint32_t target)
{
	struct interval *row = row_at(s, index);
	double before[EXTRA_COUNT];
	error *e = NULL;

	for (int k = 0; k < EXTRA_COUNT; k++)
		before[k] = row->extra[k];
	row->runs++;
	s->record.status.interval = (unsigned)index;
	if (target && ((s->ksm && (e = ksm_hurry(s->enclosure.settings))) ||
		       (e = launch_to(s, target, row)) || (e = ksm_converge(s))))
		return e;
	if ((e = measure_interval(s, (unsigned)index, row)))
		return e;
	if (!row->samples) {
		/* interrupted before the first sample: the row says nothing */
		s->record.row_count = MIN(s->record.row_count, index);
		return run_folder_intervals(&s->record.folder, s->record.rows, s->record.row_count);
	}
	pool_extras(row, before);
	s->record.out->reached = population_counted(&s->pop);
	return finish_row(s, index);
}

/* CPU over the threshold, most of it spent by processes that are neither VMs, harness nor kernel threads. */
static bool spoiled(const struct session *s, const struct interval *row)
{
	double cpu = moments_mean(&row->metric[METRIC_CPU]);

	return plan_stops_on(&s->plan, RESOURCE_CPU) && cpu >= s->plan.o->threshold_pct &&
	       moments_mean(&row->metric[METRIC_CPU_REST]) > cpu / 2;
}

/* What others did for a moment must not end a long run: measure again, a few times at most. */
static error *measure_unspoiled(struct session *s, size_t index)
{
	struct interval *row = &s->record.rows[index];
	error *e = NULL;

	for (int i = 0; i < SPOILED_TRIES && !e && !s->record.repeat && !run_interrupted && spoiled(s, row);
	     i++) {
		record_notice(&s->record,
			      "other processes took %.0f %% of the CPU: this interval is measured again",
			      moments_mean(&row->metric[METRIC_CPU_REST]));
		memset(row->metric, 0, sizeof(row->metric));
		row->vm_count = (struct moments){ 0 };
		row->samples = 0;
		row->settled = true;
		e = measure_interval(s, (unsigned)index, row);
		if (!e && row->samples)
			e = finish_row(s, index);
	}
	return e;
}

/* A metric at an interval, for forecasts: CPU that others began to use since the baseline is left out. */
static double forecast_value(const struct session *s, const struct interval *row, enum metric m)
{
	double v = moments_mean(&row->metric[m]);

	if (m != METRIC_CPU)
		return v;
	double others = moments_mean(&row->metric[METRIC_CPU_REST]) -
			moments_mean(&s->record.rows[0].metric[METRIC_CPU_REST]);
	return others > 0 ? v - others : v;
}

/* Where the run will end if all goes on as since the baseline. */
static uint32_t forecast_end(const struct session *s, const struct interval *row)
{
	uint32_t end = MIN(s->plan.o->max, s->pop.limit_vms), best = UINT32_MAX;

	for (int i = 0; i < RESOURCE_COUNT; i++) {
		enum metric m = resources[i].metric;

		if (!plan_stops_on(&s->plan, i))
			continue;
		uint32_t n =
			ramp_forecast(moments_mean(&s->record.rows[0].metric[m]), forecast_value(s, row, m),
				      s->pop.ready, s->plan.o->threshold_pct, FORECAST_MIN_GROWTH);
		best = MIN(best, n);
	}
	return MIN(end, best);
}

static void estimate_eta(struct session *s, const struct ramp *r, uint64_t interval_ns)
{
	uint32_t end = s->record.status.predicted_end;
	double left = end > r->count ? ceil((double)(end - r->count) / r->step) : 0;

	left += (double)(s->plan.o->repeat - 1 - s->record.repeat) * s->plan.o->intervals;
	s->record.status.eta_s = left * (double)interval_ns / 1e9;
}

static void stop_at_max(struct session *s)
{
	record_stop(&s->record, STOP_MAX, NULL, NULL, 0, population_counted(&s->pop),
		    "all %u VMs asked for %s", s->pop.ready,
		    answers_unproven(&s->pop.answers) ? "were started" : "are running");
}

static error *climb(struct session *s, struct ramp *r)
{
	error *e;

	for (size_t index = 1; s->record.out->stop.kind == STOP_NONE && !run_interrupted; index++) {
		uint64_t start = clock_ns();
		uint32_t forecast =
			r->done ? forecast_end(s, &s->record.rows[index - 1]) : s->plan.preflight_end;
		uint32_t target = ramp_next(r, forecast);

		if (r->done)
			s->record.status.predicted_end = forecast;
		if (s->record.repeat && index < s->record.row_count)
			target = s->record.targets[index]; /* the same points, so that they can be pooled */
		if (!target) {
			stop_at_max(s);
			return NULL;
		}
		if ((e = one_interval(s, index, target)))
			return e;
		if (s->record.row_count <= index)
			return NULL;
		if ((e = measure_unspoiled(s, index)))
			return e;
		if (!s->record.repeat)
			s->record.targets[index] = target;
		ramp_finish_interval(r, s->pop.ready);
		if ((e = s->source.ops->check(s, &s->record.rows[index])))
			return e;
		if (s->pop.ready >= s->pop.limit_vms && s->pop.limit_vms < s->plan.o->max)
			record_stop(&s->record, STOP_LIMIT, NULL, s->pop.limit_name, 0, s->pop.limit_value,
				    "%s leaves room for %u VMs: %s", s->pop.limit_name, s->pop.limit_vms,
				    s->pop.limit_evidence);
		if (s->pop.ready >= s->plan.o->max)
			stop_at_max(s);
		estimate_eta(s, r, clock_ns() - start);
		if ((e = describe_check_program(&s->pop, &s->record)) || (e = session_save(s, "running")))
			return e;
	}
	return NULL;
}

static void wait_for_baseline(struct session *s)
{
	double base = moments_mean(&s->record.rows[0].metric[METRIC_RAM]), ram = 0, swap;
	uint64_t start = clock_ns();

	while (!run_interrupted && clock_ns() - start < RETURN_LIMIT_NS) {
		s->source.ops->peek(s, &ram, &swap);
		if (ram <= base + RETURN_SLACK_PCT)
			return;
		clock_sleep_ns(100000000);
	}
	record_notice(&s->record, "RAM in use is %.2f %% after the VMs were stopped, %.2f %% before them",
		      ram, base);
}

static error *all_ramps(struct session *s)
{
	error *e = NULL;

	for (s->record.repeat = 0; s->record.repeat < s->plan.o->repeat && !run_interrupted && !e;
	     s->record.repeat++) {
		struct ramp r;

		s->record.status.repeat = s->record.repeat;
		if (s->record.repeat) {
			if (s->record.out->stop.kind == STOP_FAILED)
				break;
			wait_for_baseline(s);
			free(s->record.out->stop.limit);
			free(s->record.out->stop.evidence);
			s->record.out->stop = (struct run_stop){ 0 };
		}
		ramp_init(&r, s->plan.o->max, s->plan.o->intervals, s->plan.preflight_end);
		session_status(s, STAGE_BASELINE, true);
		e = one_interval(s, 0, 0);
		if (!e)
			e = climb(s, &r);
		e = err_first(e, teardown(s));
	}
	return e;
}

error *run_ramp(const struct run_options *o, const struct run_observer *obs, struct run_outcome *ret)
{
	struct session s = { .plan = { .o = o }, .record = { .obs = obs, .out = ret } };
	error *e;

	*ret = (struct run_outcome){ 0 };
	e = session_open(&s);
	if (!e)
		e = all_ramps(&s);
	if (run_interrupted)
		record_stop(&s.record, STOP_INTERRUPTED, NULL, NULL, 0, run_interrupted,
			    "stopped by signal %d with %u VMs measured", run_interrupted, ret->reached);
	if (e && s.record.folder.dir) {
		record_stop(&s.record, STOP_FAILED, NULL, NULL, e->sys, ret->reached, "%s", e->msg);
		if (!s.record.row_count) {
			run_folder_discard(&s.record.folder);
			free(ret->dir);
			ret->dir = NULL;
		}
	}
	verify_conclude(&s.record);
	if (s.record.folder.dir) {
		bool failed = e || ret->stop.kind == STOP_FAILED;

		e = err_first(e, session_save(&s, failed	    ? "failed"
						  : run_interrupted ? "interrupted"
								    : "complete"));
	}
	session_close(&s);
	return e;
}
