/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The kvm backend: VMs without QEMU, many in each of a few runner processes. */
#include "backend/kvm/kvm.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/text.h"
#include "base/util.h"

/* Starts under way in all runners together: enough to keep them busy, few enough to stop soon. */
#define ROOM_PER_CORE 32
/* And in one: what it has not read fits into its socket, so that one that was stopped never stops us. Where
   VMs are pinned to one CPU of many, all starts go to one runner. */
#define STARTS_PER_RUNNER 96
/* A runner tells of each start within the time that a guest has to become ready; as much later, within these
   bounds, it hangs. */
#define HANG_GRACE_MIN_NS 2000000000ULL
#define HANG_GRACE_MAX_NS 10000000000ULL

static struct kvm *self(struct backend *b)
{
	return (struct kvm *)b;
}

static void start_is_over(struct kvm *k, uint32_t id)
{
	k->starting--;
	k->shards[k->places[id].shard].starting--;
}

/* Takes ownership of reason. */
static void lost(struct kvm *k, uint32_t id, char *reason, int sys)
{
	bool was_ready = k->vms[id].state == VM_READY;

	k->living--;
	if (!was_ready)
		start_is_over(k, id);
	k->vms[id].state = VM_GONE;
	events_add(&k->events, was_ready ? BACKEND_DIED : BACKEND_FAILED, id, reason, sys);
}

static void became_ready(struct kvm *k, struct shard *s, uint32_t id, const struct kvm_message *m)
{
	struct kvm_message kill_it = { .op = KVM_OP_KILL, .slot = m->slot };

	k->vms[id].spawn_ns = m->spawn_ns;
	k->vms[id].up_us = m->up_us;
	k->vms[id].ready_us = m->ready_us;
	k->vms[id].state = VM_READY;
	memcpy(k->stages[id], m->stage_us, sizeof(m->stage_us));
	start_is_over(k, id);
	events_add(&k->events, BACKEND_READY, id, NULL, 0);
	if (fault_hit(FAULT_VM_DIES))
		err_free(shard_send(s, &kill_it));
}

static void take_message(struct kvm *k, struct shard *s, const struct kvm_message *m)
{
	if (m->op == KVM_OP_REFUSED) {
		free(s->refusal);
		s->refusal = xstrdup(m->text);
		s->refusal_sys = m->sys;
		return;
	}
	if (m->slot >= s->used)
		return;
	uint32_t id = s->ids[m->slot];
	uint8_t state = k->vms[id].state;
	switch (m->op) {
	case KVM_OP_READY:
		if (state == VM_STARTING)
			became_ready(k, s, id, m);
		break;
	case KVM_OP_FAILED:
	case KVM_OP_DIED:
		if (state == VM_STARTING || state == VM_READY)
			lost(k, id, xstrdup(m->text), m->sys);
		break;
	case KVM_OP_ANSWER:
		/* of whom it was asked, and of nobody else */
		if (id == k->asked)
			k->answer = *m;
		break;
	default:
		break;
	}
}

/* All that a runner has to say; when it is gone, so are its VMs. */
static void drain(struct kvm *k, struct shard *s)
{
	struct kvm_message m;
	bool ended;

	s->heard_ns = clock_ns();
	while (shard_receive(s, &m, &ended))
		take_message(k, s, &m);
	if (!ended)
		return;
	int sys = s->refusal_sys;
	_cleanup_free_ char *how = shard_reap(s, false);
	for (uint32_t i = 0; i < s->used; i++) {
		uint8_t state = k->vms[s->ids[i]].state;

		if (state == VM_STARTING || state == VM_READY)
			lost(k, s->ids[i], xstrdup(how), sys);
	}
}

/* A runner that was stopped, or is stuck in the kernel, would keep its starts under way for ever. */
static void end_hanging(struct kvm *k)
{
	uint64_t patience = k->cfg.ready_timeout_ns, now = clock_ns();
	uint64_t limit = patience + MIN(MAX(patience, HANG_GRACE_MIN_NS), HANG_GRACE_MAX_NS);

	for (uint32_t i = 0; i < k->shard_count; i++) {
		struct shard *s = &k->shards[i];

		if (s->fd < 0 || !s->starting || now - s->heard_ns < limit || s->refusal)
			continue;
		s->refusal = xasprintf("its runner (process %d) gave no sign of life for %.1f s", (int)s->pid,
				       (double)limit / 1e9);
		s->refusal_sys = ETIMEDOUT;
		kill(s->pid, SIGKILL); /* its end is noticed by the next poll */
	}
}

static void wait_for_runners(struct kvm *k, int timeout_ms)
{
	struct pollfd *fds = xcalloc(k->shard_count + 1, sizeof(*fds));

	for (uint32_t i = 0; i < k->shard_count; i++) /* poll() passes over descriptor -1 */
		fds[i] = (struct pollfd){ .fd = k->shards[i].fd, .events = POLLIN };
	if (poll(fds, k->shard_count, timeout_ms) > 0)
		for (uint32_t i = 0; i < k->shard_count; i++)
			if (fds[i].revents)
				drain(k, &k->shards[i]);
	free(fds);
	end_hanging(k);
}

static size_t kvm_poll(struct backend *b, int timeout_ms, struct backend_event *events, size_t max)
{
	struct kvm *k = self(b);

	wait_for_runners(k, k->events.count ? 0 : timeout_ms);
	return events_take(&k->events, events, max);
}

static error *add_shard(struct kvm *k, const struct binding *where, uint32_t *ret)
{
	struct shard s;
	error *e = shard_start(&k->shard_cfg, where, &s);

	if (e)
		return e;
	k->shards = xrealloc(k->shards, k->shard_count + 1, sizeof(*k->shards));
	*ret = k->shard_count;
	k->shards[k->shard_count++] = s;
	return NULL;
}

/* One runner per core fills up before the next ones begin, so that all cores start VMs, and few processes
   hold many. */
static error *pick_of_group(struct kvm *k, const struct binding *where, uint32_t *ret)
{
	uint32_t best = UINT32_MAX;

	for (uint32_t i = k->group; i < k->shard_count; i++) {
		const struct shard *s = &k->shards[i];

		if (s->fd >= 0 && s->used < k->shard_cfg.runner.capacity &&
		    (best == UINT32_MAX || s->used < k->shards[best].used))
			best = i;
	}
	bool all = k->shard_count - k->group >= k->cores;
	if (best != UINT32_MAX && (all || k->shards[best].used == 0)) {
		*ret = best;
		return NULL;
	}
	if (all)
		k->group = k->shard_count;
	return add_shard(k, where, ret);
}

/* The one thread of a runner is the vCPU of all its VMs: those of one CPU share runners, one at a time. */
static error *pick_by_cpu(struct kvm *k, const struct binding *where, uint32_t *ret)
{
	for (uint32_t i = k->shard_count; i-- > 0;) {
		const struct shard *s = &k->shards[i];

		if (s->fd < 0 || s->used >= k->shard_cfg.runner.capacity ||
		    !CPU_EQUAL(&s->cpus, &where->cpus))
			continue;
		*ret = i;
		return NULL;
	}
	return add_shard(k, where, ret);
}

static error *pick_shard(struct kvm *k, uint32_t id, uint32_t *ret)
{
	struct binding where;

	if (!k->cfg.place)
		return pick_of_group(k, NULL, ret);
	placement_of(k->cfg.place, id, &where);
	return where.pinned && k->cfg.place->pin != PIN_CPUS ? pick_by_cpu(k, &where, ret)
							     : pick_of_group(k, &where, ret);
}

static error *start_one(struct kvm *k, uint32_t id, bool *ret_full)
{
	uint32_t n = 0;
	error *e = fault_hit(FAULT_FORK_EAGAIN)
			   ? err_sys(EXIT_CANNOT, EAGAIN, "cannot start a KVM VM: fork (injected)")
			   : pick_shard(k, id, &n);

	if (e)
		return e;
	struct shard *s = &k->shards[n];
	*ret_full = s->starting >= STARTS_PER_RUNNER;
	if (*ret_full)
		return NULL;
	struct kvm_message m = { .op = KVM_OP_START, .slot = s->used, .vm = id };
	k->vms[id] = (struct vm){ .spawn_ns = clock_ns(), .state = VM_STARTING };
	k->places[id] = (struct place){ .shard = n, .slot = s->used };
	s->ids[s->used++] = id;
	if (!s->starting++)
		s->heard_ns = clock_ns();
	k->starting++;
	k->living++;
	/* only the first: those that take its place must work */
	if (n == 0 && fault_hit(FAULT_RUNNER_HANGS))
		kill(s->pid, SIGSTOP);
	/* a runner that is gone is noticed by poll(), which tells what became of this VM */
	err_free(shard_send(s, &m));
	return NULL;
}

static uint32_t kvm_room(const struct backend *b)
{
	const struct kvm *k = (const struct kvm *)b;
	uint32_t room = k->cores * ROOM_PER_CORE;

	return k->starting < room ? room - k->starting : 0;
}

static error *kvm_start(struct backend *b, uint32_t first, uint32_t count, uint32_t *ret_begun)
{
	struct kvm *k = self(b);
	bool full = false;

	for (*ret_begun = 0; *ret_begun < count && kvm_room(b); (*ret_begun)++) {
		error *e = start_one(k, first + *ret_begun, &full);

		if (e || full)
			return e;
	}
	return NULL;
}

/* Waits for the answer with the present serial. */
static error *await_answer(struct kvm *k, uint32_t vm, struct shard *s, int timeout_ms)
{
	uint64_t deadline = clock_ns() + (uint64_t)timeout_ms * 1000000U;

	while (k->answer.serial != k->serial) {
		struct pollfd p = { .fd = s->fd, .events = POLLIN };
		uint64_t now = clock_ns();

		if (k->vms[vm].state != VM_READY)
			return err_new(EXIT_CANNOT, "VM %u died before it answered", vm);
		if (now >= deadline)
			return err_new(EXIT_CANNOT, "VM %u gave no answer in time", vm);
		if (poll(&p, 1, (int)((deadline - now) / 1000000) + 1) > 0)
			drain(k, s);
	}
	return NULL;
}

static error *kvm_ask(struct backend *b, uint32_t vm, const char *request, int timeout_ms, char *reply,
		      size_t size, double *ret_ms)
{
	struct kvm *k = self(b);
	struct shard *s = &k->shards[k->places[vm].shard];
	struct kvm_message m = { .op = KVM_OP_ASK, .slot = k->places[vm].slot, .serial = ++k->serial };
	uint64_t start = clock_ns();

	if (strlen(request) >= sizeof(m.text))
		return err_new(EXIT_BAD_INPUT, "request of %zu bytes: at most %zu fit on a guest's line",
			       strlen(request), sizeof(m.text) - 1);
	memcpy(m.text, request, strlen(request));
	if (k->vms[vm].state != VM_READY || s->fd < 0)
		return err_new(EXIT_CANNOT, "VM %u is not running", vm);
	k->asked = vm;
	error *e = shard_send(s, &m);
	if (!e)
		e = await_answer(k, vm, s, timeout_ms);
	if (e)
		return e;
	if (strlen(k->answer.text) >= size)
		return err_new(EXIT_CANNOT,
			       "VM %u answers with more than %zu bytes and no end of line ('%.40s...' came)",
			       vm, size - 1, k->answer.text);
	memcpy(reply, k->answer.text, strlen(k->answer.text) + 1);
	if (ret_ms)
		*ret_ms = (double)(clock_ns() - start) / 1e6;
	return NULL;
}

static void drop_events(struct kvm *k)
{
	events_clear(&k->events);
}

static error *kvm_stop_all(struct backend *b, void (*progress)(void *, uint32_t), void *user)
{
	struct kvm *k = self(b);

	for (uint32_t i = 0; i < k->shard_count; i++)
		if (k->shards[i].fd >= 0)
			kill(k->shards[i].pid, SIGKILL);
	for (uint32_t i = 0; i < k->shard_count; i++) {
		struct shard *s = &k->shards[i];

		if (s->fd >= 0)
			free(shard_reap(s, true));
		for (uint32_t n = 0; n < s->used; n++) {
			struct vm *vm = &k->vms[s->ids[n]];

			k->living -= vm->state == VM_STARTING || vm->state == VM_READY;
			vm->state = VM_GONE;
		}
		shard_clear(s);
		if (progress)
			progress(user, k->living);
	}
	k->shard_count = k->group = k->starting = k->living = 0;
	drop_events(k);
	return NULL;
}

static void kvm_close(struct backend *b)
{
	struct kvm *k = self(b);
	error *e = kvm_stop_all(b, NULL, NULL);

	err_free(e);
	if (k->image_path)
		unlink(k->image_path);
	free(k->image_path);
	free(k->probe_note);
	free(k->binary);
	free(k->version);
	free(k->sha256);
	free(k->shards);
	free(k->places);
	free(k->stages);
	events_clear(&k->events);
	free(k);
}

static const float *kvm_stages(const struct backend *b, uint32_t vm)
{
	return ((const struct kvm *)b)->stages[vm];
}

static pid_t kvm_carrier(const struct backend *b, uint32_t vm)
{
	const struct kvm *k = (const struct kvm *)b;
	const struct shard *s = k->places[vm].shard < k->shard_count ? &k->shards[k->places[vm].shard] : NULL;

	return s && s->fd >= 0 ? s->pid : 0;
}

const struct backend_ops backend_kvm = {
	.name = "kvm",
	.summary = "a built-in runner on /dev/kvm, no QEMU: what the kernel's KVM itself costs",
	.needs = "/dev/kvm",
	.flags = BACKEND_WAKE | BACKEND_SHARDS | BACKEND_NEEDS_KVM | BACKEND_VARY | BACKEND_AFFINITY |
		 BACKEND_CGROUP,
	.probe = kvm_probe,
	.options = &kvm_options,
	.open = kvm_open,
	.start = kvm_start,
	.room = kvm_room,
	.poll = kvm_poll,
	.ask = kvm_ask,
	.stop_all = kvm_stop_all,
	.close = kvm_close,
	.cost = kvm_cost,
	.facts = kvm_facts,
	.details = kvm_details,
	.stages = kvm_stages,
	.carrier = kvm_carrier,
};
