/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The end of a population: how long the kernel takes to let go of it, and when its memory and pids are
 * back. One row of teardown.csv for each look.
 */
#include <math.h>

#include "base/clock.h"
#include "run/session.h"

/* Memory comes back later than the processes end: so long it is watched, at most. */
#define RETURN_WATCH_NS 5000000000ULL
#define RETURN_STEP_NS 100000000ULL
/* "Back" is this close to the baseline. */
#define RETURNED_PCT 0.5

struct teardown {
	struct session *s;
	uint64_t start_ns;
	error *e; /* the first that went wrong with the file */
	double ram_pct;
	long long tasks;
};

static void look(struct teardown *t, uint32_t left)
{
	struct session *s = t->s;
	double swap, seconds = (double)(clock_ns() - t->start_ns) / 1e9;

	s->source.ops->peek(s, &t->ram_pct, &swap);
	t->tasks = sampler_tasks(s->source.sampler);
	if (!t->e)
		t->e = run_folder_teardown(&s->record.folder,
					   &(struct teardown_row){ .repeat = s->record.repeat,
								   .seconds = seconds,
								   .vms = left,
								   .ram_pct = t->ram_pct,
								   .swap_pct = swap,
								   .tasks = t->tasks });
}

static void on_progress(void *user, uint32_t left)
{
	struct teardown *t = user;

	t->s->pop.ready = left;
	look(t, left);
	session_status(t->s, STAGE_STOP, false);
}

/* Seconds until RAM in use was that of the baseline again; NAN when it was not in the time allowed. */
static double watch_return(struct teardown *t, double base_pct)
{
	uint64_t gone = clock_ns();

	look(t, 0);
	while (!(t->ram_pct <= base_pct + RETURNED_PCT)) {
		if (run_interrupted || clock_ns() - gone >= RETURN_WATCH_NS)
			return NAN;
		clock_sleep_ns(RETURN_STEP_NS);
		look(t, 0);
	}
	return (double)(clock_ns() - t->start_ns) / 1e9;
}

/* Unknown is null in JSON. */
static json_t *known(double v)
{
	return isfinite(v) ? json_real(v) : json_null();
}

static json_t *known_count(long long v)
{
	return v < 0 ? json_null() : json_integer((json_int_t)v);
}

/* The latest teardown in run.json; a run with repeats keeps the others in teardown.csv and events.jsonl. */
static error *record(struct session *s, uint32_t vms, double seconds, double returned_s,
		     const struct teardown *t, long long tasks_before)
{
	json_t *o =
		json_pack("{s:i,s:f,s:o,s:o,s:o,s:o}", "vms", (int)vms, "seconds", seconds, "memory_back_s",
			  known(returned_s), "ram_pct_after", known(t->ram_pct), "tasks_before",
			  known_count(tasks_before), "tasks_after", known_count(t->tasks));

	json_object_set(s->record.folder.meta, "teardown", o);
	return run_folder_event(&s->record.folder, "stopped", o);
}

error *teardown(struct session *s)
{
	struct teardown t = { .s = s, .start_ns = clock_ns() };
	double base = s->record.row_count ? moments_mean(&s->record.rows[0].metric[METRIC_RAM]) : (double)NAN;
	uint32_t vms = s->pop.ready;

	session_status(s, STAGE_STOP, true);
	verify_end(&s->pop, s->record.out);
	look(&t, vms);
	long long tasks_before = t.tasks;
	error *e = s->pop.backend->ops->stop_all(s->pop.backend, on_progress, &t);
	double seconds = (double)(clock_ns() - t.start_ns) / 1e9;
	for (uint32_t i = 0; i < s->pop.vm_slots; i++)
		s->pop.vms[i] = (struct vm){ 0 };
	s->pop.ready = s->pop.next_id = s->pop.lost = s->pop.failures_in_row = 0;
	if (e)
		return err_first(e, t.e);
	double returned_s = watch_return(&t, base);
	e = record(s, vms, seconds, returned_s, &t, tasks_before);
	return err_first(t.e, e);
}
