/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One interval: wait until the host is quiet, sample it, ask some VMs whether they live. */
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "curve/settle.h"
#include "run/fleet.h"
#include "run/session.h"

#define SETTLE_SAMPLE_NS 250000000ULL
/* A host that is not quiet by then is measured all the same, and the row says so. */
#define SETTLE_LIMIT_NS 15000000000ULL
#define SETTLE_CPU_TOLERANCE 1.0 /* percent of the host, end to end of the window */
#define SETTLE_RAM_TOLERANCE 0.1
/* Memory of an earlier population comes back for a while; what it still gives back would be taken from every
 * VM. */
#define SETTLE_BASELINE_RAM_TOLERANCE 0.03
#define PING_TIMEOUT_MS 3000
#define PING_AT_LEAST 5

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
	s->status.cpu_pct = sm->v[METRIC_CPU];
	s->status.ram_pct = sm->v[METRIC_RAM];
	s->status.swap_pct = sm->v[METRIC_SWAP];
	return run_folder_sample(&s->folder, sm, s->ready, interval, s->repeat, phase);
}

static error *settle(struct session *s, unsigned interval, struct interval *row)
{
	uint64_t start = clock_ns();
	struct settle window = { 0 };
	struct sample sm;
	bool quiet = s->o->fast;
	error *e = NULL;

	if (s->o->settle_s >= 0) {
		if ((e = wait_watching(s, (uint64_t)(s->o->settle_s * 1e9), STAGE_SETTLE)) ||
		    (e = record_sample(s, interval, PHASE_SETTLE, &sm)))
			return e;
		row->extra[EXTRA_SETTLE_S] = s->o->settle_s;
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
	for (int tries = 0; tries < 1000 && s->next_id; tries++) {
		uint32_t id = (uint32_t)gsl_rng_uniform_int(s->rng, s->next_id);

		if (s->vms[id].state == VM_READY) {
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

	if (s->ready && (backend_flags(s->backend) & BACKEND_PROCESSES))
		while (n < SAMPLER_PSS_VMS && pick_ready(s, &id))
			pids[n++] = s->vms[id].pid;
	sampler_new_interval(s->sampler, pids, n, s->ready);
}

static error *ask_one(struct session *s, uint32_t id, double *ms, size_t *answered)
{
	char reply[64];
	error *e = s->backend->ops->ask(s->backend, id, "ping", PING_TIMEOUT_MS, reply, sizeof(reply),
					&ms[*answered]);

	if (!e && strcmp(reply, "pong") == 0) {
		(*answered)++;
		return NULL;
	}
	_cleanup_free_ char *what = e ? xstrdup(e->msg) : xasprintf("answered '%s' to ping", reply);
	err_free(e);
	text_clean(what);
	session_notice(s, "VM %u does not answer: %s", id, what);
	return run_folder_event(&s->folder, "ping_failed",
				json_pack("{s:i,s:s}", "vm", (int)id, "reason", what));
}

/* A random share of the population, or each of it, must answer a ping. */
static error *verify(struct session *s, struct interval *row)
{
	bool all = s->o->verify_pct >= 100;
	double share = ceil(s->ready * s->o->verify_pct / 100);
	uint32_t want = all ? s->ready : MIN(s->ready, (uint32_t)MAX(share, (double)PING_AT_LEAST));
	double *ms = xcalloc(want, sizeof(*ms));
	size_t answered = 0;
	uint32_t asked = 0, id = 0;
	error *e = NULL;

	for (uint32_t next = 0; asked < want && !run_interrupted && !e; next++) {
		if (all) {
			while (next < s->next_id && s->vms[next].state != VM_READY)
				next++;
			if (next >= s->next_id)
				break;
			id = next;
		} else if (!pick_ready(s, &id)) {
			break;
		}
		asked++;
		e = ask_one(s, id, ms, &answered);
		session_status(s, STAGE_VERIFY, false);
	}
	row->extra[EXTRA_PING_ASKED] = asked;
	row->extra[EXTRA_PROVEN_PING] = (double)answered;
	row->extra[EXTRA_WAKE_P50] = quantile(ms, answered, 0.5);
	row->extra[EXTRA_WAKE_P99] = quantile(ms, answered, 0.99);
	free(ms);
	return e;
}

error *measure_interval(struct session *s, unsigned interval, struct interval *row)
{
	bool can_ask =
		(backend_flags(s->backend) & BACKEND_WAKE) && !(s->image.flags & MVM_PARAM_FLAG_SILENT);
	uint64_t period = (uint64_t)(s->o->sample_s * 1e9);
	struct sample sm;
	error *e = settle(s, interval, row);

	if (e)
		return e;
	choose_pss_vms(s);
	fleet_interval_begin(s);
	session_sample(s, &sm); /* its window holds the PSS reading: not a measuring sample */
	confine_nodes_begin(s);
	for (unsigned i = 0; i < s->o->samples && !run_interrupted; i++) {
		if ((e = wait_watching(s, period, STAGE_MEASURE)))
			return e;
		if (run_interrupted && i)
			break; /* a cut window is no sample */
		if ((e = record_sample(s, interval, PHASE_MEASURE, &sm)))
			return e;
		interval_add(row, &sm, s->ready);
		fleet_interval_add(s);
	}
	if ((e = fleet_interval_end(s, interval)))
		return e;
	row->extra[EXTRA_PROVEN_READY] = s->cloned ? 0 : s->ready;
	row->extra[EXTRA_PROVEN_CLONE] = s->cloned ? s->ready : 0;
	row->extra[EXTRA_DIED] = s->out->died;
	life_row(s, row);
	if ((e = confine_nodes(s, interval, row)))
		return e;
	if (s->ready && can_ask && s->o->verify_pct > 0 && !run_interrupted)
		e = verify(s, row);
	return e;
}
