/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Starting VMs, at the pace asked for, and never past what the host holds. */
#include <errno.h>
#include <math.h>

#include "base/clock.h"
#include "host/refusal.h"
#include "model/stats.h"
#include "run/session.h"

#define GUARD_PERIOD_NS 50000000ULL
#define SAMPLE_PERIOD_NS 500000000ULL
#define EVENTS_AT_ONCE 128
/* So many VMs in a row that do not come up end the run. */
#define FAILURES_END 3

struct launch {
	uint64_t start_ns, sample_ns;
	uint32_t first_id, target;
	double cpu_ms;
	struct launch_guard guard;
};

static bool in_flight(const struct session *s)
{
	return s->pop.next_id > s->pop.ready + s->pop.lost;
}

/* errno of a host that is out of pids, memory or descriptors. */
static bool host_is_full(int sys)
{
	return sys == EAGAIN || sys == ENOMEM || sys == EMFILE || sys == ENFILE || sys == ENOSPC;
}

/* What such a host answers: attributed as a limit, not as a fault of a VM. */
static void stop_refused(struct session *s, uint32_t vm, int sys, const char *what)
{
	struct limit_raw now = { .as_soft = INFINITY };
	struct refusal r;

	if (session_limit_met(s))
		return;
	if (s->source.ops->limits)
		limits_read("", &now);
	limits_attribute(&s->pop.limits_before, &now, sys, &r);
	record_stop(&s->record, STOP_LIMIT, NULL, r.limit, sys, s->pop.ready,
		    "the host refused VM %u: %s%s%s; the preflight expected room for %u", vm, what,
		    r.evidence ? "; " : "", r.evidence ? r.evidence : "", s->pop.limit_vms);
	free(r.evidence);
	limit_raw_free(&now);
}

/* A VM's own process may be refused a thread, and ends with words of its own and no errno: a limit on tasks
   that is met explains it. */
static bool starved_of_tasks(const struct session *s)
{
	struct limit_raw now;
	struct refusal r;

	if (!s->source.ops->limits)
		return false;
	limits_read("", &now);
	limits_attribute(&s->pop.limits_before, &now, EAGAIN, &r);
	bool met = r.evidence != NULL;
	free(r.evidence);
	limit_raw_free(&now);
	return met;
}

static error *note_failure(struct session *s, const struct backend_event *ev)
{
	s->record.out->failed++;
	s->pop.lost++;
	s->pop.failures_in_row++;
	error *e = run_folder_event(&s->record.folder, "vm_failed",
				    json_pack("{s:i,s:s}", "vm", (int)ev->vm, "reason", ev->reason));
	/* a VM that a limit killed or starved is no fault of its own */
	if (session_limit_met(s))
		return e;
	/* a runner learns of the host's refusal after start() returned */
	if (host_is_full(ev->sys))
		stop_refused(s, ev->vm, ev->sys, ev->reason);
	if (s->pop.failures_in_row != FAILURES_END && s->record.out->failed < SPARE_VMS / 2)
		return e;
	if (s->pop.ready && starved_of_tasks(s))
		stop_refused(s, ev->vm, EAGAIN, ev->reason);
	else
		record_stop(&s->record, STOP_FAILED, NULL, NULL, ev->sys, s->record.out->failed, "VM %u: %s",
			    ev->vm, ev->reason);
	return e;
}

static error *note_death(struct session *s, const struct backend_event *ev)
{
	s->record.out->died++;
	s->pop.lost++;
	s->pop.ready--;
	answers_forget(&s->pop.answers, ev->vm);
	record_notice(&s->record, "VM %u is lost: %s", ev->vm, ev->reason);
	session_limit_met(s);
	/* they are replaced, but not for ever */
	if (s->record.out->died == SPARE_VMS / 2)
		record_stop(&s->record, STOP_FAILED, NULL, NULL, 0, s->record.out->died,
			    "%u VMs died after they were ready, the last was VM %u: %s", s->record.out->died,
			    ev->vm, ev->reason);
	return run_folder_event(&s->record.folder, "vm_died",
				json_pack("{s:i,s:s}", "vm", (int)ev->vm, "reason", ev->reason));
}

static error *note_host_lost(struct session *s, const struct backend_event *ev)
{
	const char *name = s->source.ops->host_lost(s, ev);

	s->record.out->died += ev->vm;
	s->pop.lost += ev->vm;
	s->pop.ready -= ev->vm;
	for (uint32_t k = 0; k < s->pop.next_id; k++)
		if (s->pop.vms[k].state == VM_GONE)
			answers_forget(&s->pop.answers, k);
	record_notice(&s->record, "host %s disappeared with %u VMs: %s; the others go on", name, ev->vm,
		      ev->reason);
	return run_folder_event(
		&s->record.folder, "host_lost",
		json_pack("{s:s,s:i,s:s}", "host", name, "vms", (int)ev->vm, "reason", ev->reason));
}

static error *take_events(struct session *s, int timeout_ms)
{
	struct backend_event ev[EVENTS_AT_ONCE];
	size_t n = s->pop.backend->ops->poll(s->pop.backend, timeout_ms, ev, EVENTS_AT_ONCE);
	error *e = NULL;

	for (size_t i = 0; i < n; i++) {
		error *one = NULL;

		if (ev[i].kind == BACKEND_READY) {
			s->pop.ready++;
			s->pop.failures_in_row = 0;
			wave_load_begin(&s->pop, ev[i].vm);
		} else if (ev[i].kind == BACKEND_FAILED) {
			one = note_failure(s, &ev[i]);
		} else if (ev[i].kind == BACKEND_HOST_LOST) {
			one = note_host_lost(s, &ev[i]);
		} else if (ev[i].kind == BACKEND_VM_LOST) {
			s->pop.lost++; /* the loss of its host is told once, with the host */
		} else {
			one = note_death(s, &ev[i]);
		}
		free(ev[i].reason);
		e = err_first(e, one);
	}
	return e;
}

error *launch_watch(struct session *s, int timeout_ms)
{
	return take_events(s, timeout_ms);
}

static error *begin_more(struct session *s, struct launch *l, uint64_t now)
{
	const struct backend_ops *ops = s->pop.backend->ops;
	uint32_t room = ops->room(s->pop.backend), begun = 0;
	uint32_t coming = s->pop.next_id - s->pop.lost; /* ready or between spawn and ready */
	uint32_t want = MIN(l->target > coming ? l->target - coming : 0, room);

	if (s->plan.o->rate > 0) {
		double due = (double)(now - l->start_ns) / 1e9 * s->plan.o->rate + 1;
		uint32_t so_far = s->pop.next_id - l->first_id;
		want = due > so_far ? MIN(want, (uint32_t)(due - so_far)) : 0;
	}
	if (s->pop.next_id + want > s->pop.vm_slots)
		want = s->pop.vm_slots - s->pop.next_id;
	if (s->pop.next_id == s->pop.vm_slots && !in_flight(s))
		record_stop(&s->record, STOP_FAILED, NULL, NULL, 0, s->pop.lost,
			    "%u VMs were lost and replaced; no more will be", s->pop.lost);
	if (!want)
		return NULL;
	error *e = ops->start(s->pop.backend, s->pop.next_id, want, &begun);
	s->pop.next_id += begun;
	if (!e)
		return NULL;
	if (!host_is_full(e->sys))
		return e;
	error *logged = run_folder_event(&s->record.folder, "limit_hit",
					 json_pack("{s:s,s:i}", "error", e->msg, "errno", e->sys));
	stop_refused(s, s->pop.next_id, e->sys, e->msg);
	err_free(e);
	l->guard.halted = true;
	return logged;
}

/* Is there room for more, now? */
static error *guard(struct session *s, struct launch_guard *g)
{
	if (!session_limit_met(s))
		return s->source.ops->guard(s, g, in_flight(s));
	g->halted = true;
	return NULL;
}

static error *launch_sample(struct session *s, struct launch *l)
{
	struct sample sm;

	session_sample(s, &sm);
	if (!isnan(sm.v[METRIC_CPU]))
		l->cpu_ms += sm.v[METRIC_CPU] / 100 * sm.window_s * 1000 * (double)s->plan.host.cores_online;
	return run_folder_sample(&s->record.folder, &sm, population_counted(&s->pop),
				 s->record.status.interval, s->record.repeat, PHASE_LAUNCH);
}

static double vm_ms(uint32_t us)
{
	return us / 1000.0;
}

static void fill_row(struct session *s, const struct launch *l, struct interval *row)
{
	uint32_t n = s->pop.next_id - l->first_id;
	double *boot = xcalloc(n, sizeof(*boot)), *up = xcalloc(n, sizeof(*up));
	double *start = xcalloc(n, sizeof(*start));
	double seconds = (double)(clock_ns() - l->start_ns) / 1e9;
	size_t got = 0, started = 0;

	for (uint32_t i = l->first_id; i < s->pop.next_id; i++) {
		if (!s->pop.vms[i].ready_us)
			continue;
		if (s->pop.vms[i].start_us)
			start[started++] = vm_ms(s->pop.vms[i].start_us);
		up[got] = vm_ms(s->pop.vms[i].up_us);
		boot[got++] = vm_ms(s->pop.vms[i].ready_us);
	}
	row->extra[EXTRA_BOOT_P50] = quantile(boot, got, 0.5);
	row->extra[EXTRA_BOOT_P95] = quantile(boot, got, 0.95);
	row->extra[EXTRA_BOOT_P99] = quantile(boot, got, 0.99);
	row->extra[EXTRA_UP_P50] = quantile(up, got, 0.5);
	row->extra[EXTRA_LAUNCH_S] = seconds;
	row->extra[EXTRA_LAUNCH_WAIT] = (double)l->guard.waited_ns / 1e9;
	row->extra[EXTRA_LAUNCH_RATE] = got ? (double)got / seconds : (double)NAN;
	row->extra[EXTRA_LAUNCH_CPU] = got ? l->cpu_ms / (double)got : (double)NAN;
	row->extra[EXTRA_START_P50] = quantile(start, started, 0.5);
	free(boot);
	free(up);
	free(start);
}

/* What the kernel took for each step of the starts, where the backend knows: two columns a step. */
static void fill_stages(struct session *s, const struct launch *l, struct interval *row)
{
	_Static_assert(EXTRA_KVM_FIRST_RUN_P99 - EXTRA_KVM_CREATE_VM_P50 + 1 == 2 * BACKEND_STAGE_COUNT,
		       "the columns follow the stages");
	const struct backend_ops *ops = s->pop.backend->ops;
	double *us = xcalloc(s->pop.next_id - l->first_id, sizeof(*us));

	for (int k = 0; ops->stages && k < BACKEND_STAGE_COUNT; k++) {
		size_t n = 0;

		for (uint32_t i = l->first_id; i < s->pop.next_id; i++)
			if (s->pop.vms[i].ready_us)
				us[n++] = (double)ops->stages(s->pop.backend, i)[k];
		row->extra[EXTRA_KVM_CREATE_VM_P50 + 2 * k] = quantile(us, n, 0.5);
		row->extra[EXTRA_KVM_CREATE_VM_P99 + 2 * k] = quantile(us, n, 0.99);
	}
	free(us);
}

/* The same for events.jsonl: by name, with the time of the run's clock. */
static error *stages_event(struct session *s, const struct interval *row)
{
	json_t *detail = json_pack("{s:i}", "vms", (int)s->pop.ready);

	if (!s->pop.backend->ops->stages || isnan(row->extra[EXTRA_KVM_CREATE_VM_P50])) {
		json_decref(detail);
		return NULL;
	}
	for (int k = EXTRA_KVM_CREATE_VM_P50; k <= EXTRA_KVM_FIRST_RUN_P99; k++)
		json_object_set_new(detail, interval_extra_columns[k], json_real(row->extra[k]));
	return run_folder_event(&s->record.folder, "kvm_stages", detail);
}

error *launch_to(struct session *s, uint32_t target, struct interval *row)
{
	struct launch l = { .start_ns = clock_ns(), .first_id = s->pop.next_id };
	error *e;

	l.target = MIN(target, s->pop.limit_vms);
	l.sample_ns = l.start_ns;
	s->record.status.target = l.target;
	if ((e = launch_sample(s, &l)))
		return e;
	l.cpu_ms = 0; /* that one only marked the start */
	while (!run_interrupted &&
	       (in_flight(s) ||
		(!l.guard.halted && s->record.out->stop.kind == STOP_NONE && s->pop.ready < l.target))) {
		uint64_t now = clock_ns();

		if (now - l.guard.looked_ns >= GUARD_PERIOD_NS && s->record.out->stop.kind == STOP_NONE) {
			if ((e = guard(s, &l.guard)))
				return e;
			l.guard.looked_ns = now;
		}
		if (!l.guard.halted && !l.guard.waiting && s->record.out->stop.kind == STOP_NONE &&
		    (e = begin_more(s, &l, now)))
			return e;
		if ((e = take_events(s, 10)))
			return e;
		if (now - l.sample_ns >= SAMPLE_PERIOD_NS) {
			l.sample_ns = now;
			if ((e = launch_sample(s, &l)))
				return e;
		}
		double seconds = (double)(clock_ns() - l.start_ns) / 1e9;
		s->record.status.rate_per_s =
			seconds > 0.05 ? (s->pop.next_id - l.first_id) / seconds : (double)NAN;
		session_status(s, STAGE_LAUNCH, false);
	}
	if ((e = launch_sample(s, &l)))
		return e;
	fill_row(s, &l, row);
	fill_stages(s, &l, row);
	if ((e = stages_event(s, row)))
		return e;
	return run_folder_event(&s->record.folder, "launched",
				json_pack("{s:i,s:i,s:f}", "ready", (int)s->pop.ready, "target", (int)target,
					  "seconds", row->extra[EXTRA_LAUNCH_S]));
}
