/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VMs that exist only as numbers: tests of the harness run fast, and with a known truth. */
#include <errno.h>
#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>
#include <string.h>

#include "backend/null.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/util.h"

#define NULL_ROOM 1024

struct null_backend {
	struct backend base;
	const struct null_config *cost;
	struct vm *vms;
	uint32_t max, living, starting;
	uint32_t *flight; /* VMs between spawn and ready, oldest first */
	gsl_rng *rng;
};

static error *null_open(const struct backend_config *cfg, struct vm *vms, uint32_t max, struct backend **ret)
{
	struct null_backend *n = xcalloc(1, sizeof(*n));

	n->base.ops = &backend_null;
	n->cost = cfg->own;
	n->vms = vms;
	n->max = max;
	n->flight = xcalloc(NULL_ROOM, sizeof(*n->flight));
	n->rng = gsl_rng_alloc(gsl_rng_mt19937);
	gsl_rng_set(n->rng, cfg->seed);
	*ret = &n->base;
	return NULL;
}

static uint32_t null_room(const struct backend *b)
{
	return NULL_ROOM - ((const struct null_backend *)b)->starting;
}

static error *null_start(struct backend *b, uint32_t first, uint32_t count, uint32_t *ret_begun)
{
	struct null_backend *n = (struct null_backend *)b;

	for (*ret_begun = 0; *ret_begun < count && null_room(b); (*ret_begun)++) {
		if (fault_hit(FAULT_FORK_EAGAIN))
			return err_sys(EXIT_CANNOT, EAGAIN, "cannot start a null VM: fork (injected)");
		n->vms[first + *ret_begun] = (struct vm){ .spawn_ns = clock_ns(), .state = VM_STARTING };
		n->flight[n->starting++] = first + *ret_begun;
	}
	return NULL;
}

static size_t null_poll(struct backend *b, int timeout_ms, struct backend_event *events, size_t max)
{
	struct null_backend *n = (struct null_backend *)b;
	uint64_t needed = (uint64_t)(n->cost->start_ms * 1e6);
	uint32_t taken = 0;
	size_t filled = 0;

	if (n->starting) {
		uint64_t due = n->vms[n->flight[0]].spawn_ns + needed, now = clock_ns();
		if (due > now)
			clock_sleep_ns(MIN(due - now, (uint64_t)timeout_ms * 1000000U));
	} else if (timeout_ms > 0) {
		clock_sleep_ns((uint64_t)timeout_ms * 1000000U);
	}
	while (taken < n->starting && filled < max) {
		struct vm *vm = &n->vms[n->flight[taken]];
		uint64_t age = clock_ns() - vm->spawn_ns;

		if (age < needed)
			break;
		vm->up_us = 0;
		vm->ready_us = (uint32_t)(age / 1000);
		vm->state = VM_READY;
		n->living++;
		events[filled++] = (struct backend_event){ .kind = BACKEND_READY, .vm = n->flight[taken++] };
	}
	n->starting -= taken;
	memmove(n->flight, n->flight + taken, n->starting * sizeof(*n->flight));
	if (filled && filled < max && fault_hit(FAULT_VM_DIES)) {
		uint32_t id = events[filled - 1].vm;

		n->vms[id].state = VM_GONE;
		n->living--;
		events[filled++] = (struct backend_event){ .kind = BACKEND_DIED,
							   .vm = id,
							   .reason = xstrdup("a null VM was told to die") };
	}
	return filled;
}

static error *null_stop_all(struct backend *b, void (*progress)(void *, uint32_t), void *user)
{
	struct null_backend *n = (struct null_backend *)b;

	for (uint32_t i = 0; i < n->max; i++)
		if (n->vms[i].state != VM_NONE)
			n->vms[i].state = VM_GONE;
	n->living = n->starting = 0;
	if (progress)
		progress(user, 0);
	return NULL;
}

static void null_close(struct backend *b)
{
	struct null_backend *n = (struct null_backend *)b;

	gsl_rng_free(n->rng);
	free(n->flight);
	free(n);
}

static struct vm_cost null_cost(const struct backend *b)
{
	if (!b)
		return (struct vm_cost){ .mem_kb = 1000 };
	return (struct vm_cost){ .mem_kb = ((const struct null_backend *)b)->cost->mem_kb };
}

static struct backend_facts null_facts(struct backend *b)
{
	(void)b;
	return (struct backend_facts){ .version = MVM_VERSION,
				       .accel = "none",
				       .machine = "none",
				       .proof = "no VM exists: synthetic numbers, for testing the harness" };
}

static json_t *null_details(const struct backend *b)
{
	const struct null_config *c = ((const struct null_backend *)b)->cost;

	return json_pack("{s:{s:f,s:f,s:f,s:f}}", "synthetic", "mem_kb", c->mem_kb, "cpu_pct", c->cpu_pct,
			 "start_ms", c->start_ms, "noise", c->noise);
}

static void null_synthetic(struct backend *b, double *ret_cpu_pct, double *ret_mem_kb)
{
	struct null_backend *n = (struct null_backend *)b;
	double wobble = n->cost->noise > 0 ? gsl_ran_gaussian(n->rng, n->cost->noise) : 0;

	*ret_cpu_pct = n->living * n->cost->cpu_pct * (1 + wobble);
	wobble = n->cost->noise > 0 ? gsl_ran_gaussian(n->rng, n->cost->noise) : 0;
	*ret_mem_kb = n->living * n->cost->mem_kb * (1 + wobble);
}

#define AT(field) offsetof(struct null_config, field)
#define GROUP "Only for --backend null, to test the harness:"

static const struct option_row rows[] = {
	{ "null-mem", 0, "KB", GROUP, OPT_REAL, AT(mem_kb), .help = "Memory of a VM (default 1000)",
	  .max = 1e9, .key = OPT_KEY },
	{ "null-cpu", 0, "PCT", GROUP, OPT_REAL, AT(cpu_pct),
	  .help = "CPU of a VM in percent of the host (default 0.01)", .max = 100, .key = OPT_KEY },
	{ "null-start", 0, "MS", GROUP, OPT_REAL, AT(start_ms), .help = "Time to ready (default 0)",
	  .max = 60000, .key = OPT_KEY },
	{ "null-noise", 0, "SHARE", GROUP, OPT_REAL, AT(noise),
	  .help = "Relative standard deviation of readings (default 0.01)", .max = 1, .key = OPT_KEY },
};

static const struct null_config defaults = { .mem_kb = 1000, .cpu_pct = 0.01, .noise = 0.01 };

static const struct option_table null_options = {
	.rows = rows,
	.count = ARRAY_LEN(rows),
	.size = sizeof(struct null_config),
	.defaults = &defaults,
	.all = "--null-* options",
};

const struct backend_ops backend_null = {
	.name = "null",
	.summary = "no VMs at all: costs by arithmetic, to test the harness itself",
	.needs = "nothing",
	.flags = BACKEND_SYNTHETIC,
	.options = &null_options,
	.open = null_open,
	.start = null_start,
	.room = null_room,
	.poll = null_poll,
	.stop_all = null_stop_all,
	.close = null_close,
	.cost = null_cost,
	.facts = null_facts,
	.details = null_details,
	.synthetic = null_synthetic,
};
