/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One interval: wait until the host is quiet, sample it, ask some VMs whether they live. */
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "model/settle.h"
#include "run/session.h"

#define SETTLE_SAMPLE_NS 250000000ULL
/* A host that is not quiet by then is measured all the same, and the row says so. */
#define SETTLE_LIMIT_NS 15000000000ULL
#define SETTLE_CPU_TOLERANCE 1.0 /* percent of the host, end to end of the window */
#define SETTLE_RAM_TOLERANCE 0.1
/* Memory of an earlier population comes back for a while; what it still gives back would be taken from every
 * VM. */
#define SETTLE_BASELINE_RAM_TOLERANCE 0.03

/* Waits ns, taking in deaths; ends early when the run is interrupted. */
static error *wait_watching(struct session *s, uint64_t ns, enum run_stage stage)
{
	uint64_t end = clock_ns() + ns;

	for (;;) {
		uint64_t now = clock_ns();

		if (now >= end || run_interrupted)
			return NULL;
		error *e = launch_watch(s, (int)MIN((end - now + 999999) / 1000000, 100U));
		if (e)
			return e;
		session_status(s, stage, false);
	}
}

static error *record_sample(struct session *s, unsigned interval, enum phase phase, struct sample *sm)
{
	session_sample(s, sm);
	s->record.status.cpu_pct = sm->v[METRIC_CPU];
	s->record.status.ram_pct = sm->v[METRIC_RAM];
	s->record.status.swap_pct = sm->v[METRIC_SWAP];
	return run_folder_sample(&s->record.folder, sm, population_counted(&s->pop), interval,
				 s->record.repeat, phase);
}

static error *settle(struct session *s, unsigned interval, struct interval *row)
{
	uint64_t start = clock_ns();
	struct settle window = { 0 };
	struct sample sm;
	bool quiet = s->plan.o->fast;
	error *e = NULL;

	if (s->plan.o->settle_s >= 0) {
		if ((e = wait_watching(s, (uint64_t)(s->plan.o->settle_s * 1e9), STAGE_SETTLE)) ||
		    (e = record_sample(s, interval, PHASE_SETTLE, &sm)))
			return e;
		row->extra[EXTRA_SETTLE_S] = s->plan.o->settle_s;
		return NULL;
	}
	while (!quiet && !run_interrupted && clock_ns() - start < SETTLE_LIMIT_NS) {
		if ((e = wait_watching(s, SETTLE_SAMPLE_NS, STAGE_SETTLE)) ||
		    (e = record_sample(s, interval, PHASE_SETTLE, &sm)))
			return e;
		if (isnan(sm.v[METRIC_CPU]))
			continue;
		/* guests with a waveform are never quiet: what they were asked for is taken off */
		double cpu = sm.v[METRIC_CPU] -
			     (isnan(sm.v[METRIC_CPU_PREDICTED]) ? 0 : sm.v[METRIC_CPU_PREDICTED]);
		settle_add(&window, (double)(sm.at_ns - start) / 1e9, cpu, sm.v[METRIC_RAM]);
		quiet = settle_quiet(&window, SETTLE_CPU_TOLERANCE,
				     interval ? SETTLE_RAM_TOLERANCE : SETTLE_BASELINE_RAM_TOLERANCE);
	}
	row->extra[EXTRA_SETTLE_S] = (double)(clock_ns() - start) / 1e9;
	if (!quiet)
		row->settled = false;
	return NULL;
}

/* Any VM that is ready, by chance; false when none can be found soon. */
static bool pick_ready(struct session *s, uint32_t *ret)
{
	for (int tries = 0; tries < 1000 && s->pop.next_id; tries++) {
		uint32_t id = (uint32_t)gsl_rng_uniform_int(s->rng, s->pop.next_id);

		if (s->pop.vms[id].state == VM_READY) {
			*ret = id;
			return true;
		}
	}
	return false;
}

static void choose_pss_vms(struct session *s)
{
	pid_t pids[SAMPLER_PSS_VMS];
	size_t n = 0;
	uint32_t id;

	if (s->pop.ready && (backend_flags(s->pop.backend) & BACKEND_PROCESSES))
		while (n < SAMPLER_PSS_VMS && pick_ready(s, &id))
			pids[n++] = s->pop.vms[id].pid;
	sampler_new_interval(s->source.sampler, pids, n, s->pop.ready);
}

/* The samples behind a row were taken before its VMs were asked: all of them get what the answers change. */
static void count_proven(struct session *s, struct interval *row, uint32_t before, unsigned samples)
{
	double change = (double)population_counted(&s->pop) - before;
	struct moments *n = &row->vm_count;

	/* with repeats, the others are those of earlier ramps */
	if (change != 0 && n->n)
		n->mean += change * samples / n->n;
	row->extra[EXTRA_PROVEN_READY] = s->pop.cloned ? 0 : population_counted(&s->pop);
	row->extra[EXTRA_PROVEN_CLONE] = s->pop.cloned ? population_counted(&s->pop) : 0;
	row->extra[EXTRA_UNPROVEN] = answers_unproven(&s->pop.answers);
}

static error *ask_population(struct session *s, struct interval *row, unsigned samples)
{
	bool can_ask = (backend_flags(s->pop.backend) & BACKEND_WAKE) &&
		       !(s->plan.image.flags & MVM_PARAM_FLAG_SILENT);
	uint32_t before = population_counted(&s->pop);
	error *e = NULL;

	if (s->pop.ready && can_ask && s->plan.o->verify_pct > 0 && !run_interrupted)
		e = verify_population(s, row);
	count_proven(s, row, before, samples);
	return e;
}

error *measure_interval(struct session *s, unsigned interval, struct interval *row)
{
	uint64_t period = (uint64_t)(s->plan.o->sample_s * 1e9);
	const struct source_ops *from = s->source.ops;
	unsigned before = row->samples;
	struct sample sm;
	error *e = settle(s, interval, row);

	if (e)
		return e;
	choose_pss_vms(s);
	session_sample(s, &sm); /* its window holds the PSS reading: not a measuring sample */
	if (from->interval_begin)
		from->interval_begin(s);
	for (unsigned i = 0; i < s->plan.o->samples && !run_interrupted; i++) {
		if ((e = wait_watching(s, period, STAGE_MEASURE)))
			return e;
		if (run_interrupted && i)
			break; /* a cut window is no sample */
		if ((e = record_sample(s, interval, PHASE_MEASURE, &sm)))
			return e;
		interval_add(row, &sm, population_counted(&s->pop));
		if (from->interval_add)
			from->interval_add(s);
	}
	row->extra[EXTRA_DIED] = s->record.out->died;
	wave_load_row(&s->plan, &s->pop, row);
	if ((from->interval_sampled && (e = from->interval_sampled(s, interval, row))) ||
	    (e = ask_population(s, row, row->samples - before)))
		return e;
	return from->interval_end ? from->interval_end(s, interval) : NULL;
}
