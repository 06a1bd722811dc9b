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

bool session_stops_on(const struct session *s, enum resource r)
{
	return s->o->stop_on & 1U << r;
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
	if (index == s->row_count) {
		s->rows = xrealloc(s->rows, s->row_count + 1, sizeof(*s->rows));
		s->targets = xrealloc(s->targets, s->row_count + 1, sizeof(*s->targets));
		interval_init(&s->rows[s->row_count++]);
	}
	return &s->rows[index];
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
	struct interval *row = &s->rows[index];

	interval_ledger(row, &s->rows[0], index ? &s->rows[index - 1] : NULL);
	error *e = run_folder_intervals(&s->folder, s->rows, s->row_count);
	if (e)
		return e;
	if ((e = predict_stop(s, index)))
		return e;
	s->status.predicted_end = MIN(s->status.predicted_end, s->o->max);
	/* the interval's own figures: the latest sample is but one of those behind them */
	s->status.cpu_pct = moments_mean(&row->metric[METRIC_CPU]);
	s->status.ram_pct = moments_mean(&row->metric[METRIC_RAM]);
	s->status.swap_pct = moments_mean(&row->metric[METRIC_SWAP]);
	session_status(s, STAGE_MEASURE, true);
	if (s->obs->interval)
		s->obs->interval(s->obs->user, &s->status, row->extra[EXTRA_MEM_PER_VM], row->settled);
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
	s->status.interval = (unsigned)index;
	if (target && ((e = ksm_hurry(s)) || (e = launch_to(s, target, row)) || (e = ksm_converge(s))))
		return e;
	if ((e = measure_interval(s, (unsigned)index, row)))
		return e;
	if (!row->samples) {
		/* interrupted before the first sample: the row says nothing */
		s->row_count = MIN(s->row_count, index);
		return run_folder_intervals(&s->folder, s->rows, s->row_count);
	}
	pool_extras(row, before);
	s->out->reached = session_counted(s);
	return finish_row(s, index);
}

/* CPU over the threshold, most of it spent by processes that are neither VMs, harness nor kernel threads. */
static bool spoiled(const struct session *s, const struct interval *row)
{
	double cpu = moments_mean(&row->metric[METRIC_CPU]);

	return session_stops_on(s, RESOURCE_CPU) && cpu >= s->o->threshold_pct &&
	       moments_mean(&row->metric[METRIC_CPU_REST]) > cpu / 2;
}

/* What others did for a moment must not end a long run: measure again, a few times at most. */
static error *measure_unspoiled(struct session *s, size_t index)
{
	struct interval *row = &s->rows[index];
	error *e = NULL;

	for (int i = 0; i < SPOILED_TRIES && !e && !s->repeat && !run_interrupted && spoiled(s, row); i++) {
		session_notice(s, "other processes took %.0f %% of the CPU: this interval is measured again",
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
			moments_mean(&s->rows[0].metric[METRIC_CPU_REST]);
	return others > 0 ? v - others : v;
}

/* Where the run will end if all goes on as since the baseline. */
static uint32_t forecast_end(const struct session *s, const struct interval *row)
{
	uint32_t end = MIN(s->o->max, s->limit_vms), best = UINT32_MAX;

	for (int i = 0; i < RESOURCE_COUNT; i++) {
		enum metric m = resources[i].metric;

		if (!session_stops_on(s, i))
			continue;
		uint32_t n = ramp_forecast(moments_mean(&s->rows[0].metric[m]), forecast_value(s, row, m),
					   s->ready, s->o->threshold_pct, FORECAST_MIN_GROWTH);
		best = MIN(best, n);
	}
	return MIN(end, best);
}

static void estimate_eta(struct session *s, const struct ramp *r, uint64_t interval_ns)
{
	uint32_t end = s->status.predicted_end;
	double left = end > r->count ? ceil((double)(end - r->count) / r->step) : 0;

	left += (double)(s->o->repeat - 1 - s->repeat) * s->o->intervals;
	s->status.eta_s = left * (double)interval_ns / 1e9;
}

static void stop_at_max(struct session *s)
{
	session_stop(s, STOP_MAX, NULL, NULL, 0, session_counted(s), "all %u VMs asked for %s", s->ready,
		     answers_unproven(&s->answers) ? "were started" : "are running");
}

static error *climb(struct session *s, struct ramp *r)
{
	error *e;

	for (size_t index = 1; s->out->stop.kind == STOP_NONE && !run_interrupted; index++) {
		uint64_t start = clock_ns();
		uint32_t forecast = r->done ? forecast_end(s, &s->rows[index - 1]) : s->preflight_end;
		uint32_t target = ramp_next(r, forecast);

		if (r->done)
			s->status.predicted_end = forecast;
		if (s->repeat && index < s->row_count)
			target = s->targets[index]; /* the same points, so that they can be pooled */
		if (!target) {
			stop_at_max(s);
			return NULL;
		}
		if ((e = one_interval(s, index, target)))
			return e;
		if (s->row_count <= index)
			return NULL;
		if ((e = measure_unspoiled(s, index)))
			return e;
		if (!s->repeat)
			s->targets[index] = target;
		ramp_finish_interval(r, s->ready);
		if ((e = s->source.ops->check(s, &s->rows[index])))
			return e;
		if (s->ready >= s->limit_vms && s->limit_vms < s->o->max)
			session_stop(s, STOP_LIMIT, NULL, s->limit_name, 0, s->limit_value,
				     "%s leaves room for %u VMs: %s", s->limit_name, s->limit_vms,
				     s->limit_evidence);
		if (s->ready >= s->o->max)
			stop_at_max(s);
		estimate_eta(s, r, clock_ns() - start);
		if ((e = record_check_program(s)) || (e = session_save(s, "running")))
			return e;
	}
	return NULL;
}

static void wait_for_baseline(struct session *s)
{
	double base = moments_mean(&s->rows[0].metric[METRIC_RAM]), ram = 0, swap;
	uint64_t start = clock_ns();

	while (!run_interrupted && clock_ns() - start < RETURN_LIMIT_NS) {
		s->source.ops->peek(s, &ram, &swap);
		if (ram <= base + RETURN_SLACK_PCT)
			return;
		clock_sleep_ns(100000000);
	}
	session_notice(s, "RAM in use is %.2f %% after the VMs were stopped, %.2f %% before them", ram, base);
}

static error *all_ramps(struct session *s)
{
	error *e = NULL;

	for (s->repeat = 0; s->repeat < s->o->repeat && !run_interrupted && !e; s->repeat++) {
		struct ramp r;

		s->status.repeat = s->repeat;
		if (s->repeat) {
			if (s->out->stop.kind == STOP_FAILED)
				break;
			wait_for_baseline(s);
			free(s->out->stop.limit);
			free(s->out->stop.evidence);
			s->out->stop = (struct run_stop){ 0 };
		}
		ramp_init(&r, s->o->max, s->o->intervals, s->preflight_end);
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
	struct session s = { .o = o, .obs = obs, .out = ret };
	error *e;

	*ret = (struct run_outcome){ 0 };
	e = session_open(&s);
	if (!e)
		e = all_ramps(&s);
	if (run_interrupted)
		session_stop(&s, STOP_INTERRUPTED, NULL, NULL, 0, run_interrupted,
			     "stopped by signal %d with %u VMs measured", run_interrupted, ret->reached);
	if (e && s.folder.dir) {
		session_stop(&s, STOP_FAILED, NULL, NULL, e->sys, ret->reached, "%s", e->msg);
		if (!s.row_count) {
			run_folder_discard(&s.folder);
			free(ret->dir);
			ret->dir = NULL;
		}
	}
	verify_conclude(&s);
	if (s.folder.dir) {
		bool failed = e || ret->stop.kind == STOP_FAILED;

		e = err_first(e, session_save(&s, failed	    ? "failed"
						  : run_interrupted ? "interrupted"
								    : "complete"));
	}
	session_close(&s);
	return e;
}
