/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_RUN_SOURCE_H
#define MVM_RUN_SOURCE_H

/*
 * Private to the run stage: where the readings of a run come from, and what they mean for it. This machine,
 * the hosts of a fleet, or the arithmetic of VMs that do not exist; chosen once, and no step of a run asks
 * which. What a VM can do is not told here but by its backend's capabilities.
 */

#include "measure/nodes.h"
#include "measure/sampler.h"
#include "run/admission.h"

struct session;
struct backend_event;
struct fleet;

/* What is known while VMs are launched, from one look at the host to the next. */
struct launch_guard {
	struct admission pace;
	uint64_t looked_ns, waited_ns; /* waited: for memory, in all */
	bool waiting;
	bool halted; /* the guard or the host said no more */
};

/* Members that may be NULL have nothing to do there. */
struct source_ops {
	bool guests;	   /* VMs exist: what they are made of makes a difference, and growth strays */
	bool limits;	   /* the limits of this machine are theirs */
	const char *fleet; /* run.json says so of the figures, or NULL */
	const char *cpu;   /* where they come from, for run.json; NULL: as the sampler says */
	const char *guest_cpu;
	const char *ram;
	void (*sample)(struct session *s, struct sample *ret);
	/* The cheap question: RAM and swap in use, percent. */
	void (*peek)(struct session *s, double *ret_ram_pct, double *ret_swap_pct);
	/* What the pace of launching is decided by, beyond what peek() says; may be NULL. */
	void (*pressure)(struct session *s, struct admission_reading *ret);
	/* Is there room for more, now? Sets the run's stop where there is none and no VM is `starting`. */
	error *(*guard)(struct session *s, struct launch_guard *g, bool starting);
	/* The same by the means of the interval just measured. */
	error *(*check)(struct session *s, const struct interval *row);
	/* A host disappeared with its VMs: returns its name. */
	const char *(*host_lost)(struct session *s, const struct backend_event *ev);
	/* An interval: begins, takes in the latest sample, has all of them, has been asked. May be NULL. */
	void (*interval_begin)(struct session *s);
	void (*interval_add)(struct session *s);
	error *(*interval_sampled)(struct session *s, unsigned interval, struct interval *row);
	error *(*interval_end)(struct session *s, unsigned interval);
	void (*close)(struct session *s); /* may be NULL */
};
extern const struct source_ops source_host, source_fleet, source_null;

struct source {
	const struct source_ops *ops;
	struct sampler *sampler; /* of this machine; what it costs is recorded whatever the source */
	struct node_ticks node_ticks[NODES_SHOWN];
	uint64_t pressure_ns;
	double pressure_stall_us, pressure_pct; /* PSI of memory: at pressure_ns, and in the window before */
	struct fleet *fleet;			/* source_fleet.c's own */
};

/* What this machine's source does that others do as well. */
error *source_host_guard(struct session *s, struct launch_guard *g, bool starting) ERR_MUST_CHECK;
error *source_host_check(struct session *s, const struct interval *row) ERR_MUST_CHECK;
const char *source_host_lost(struct session *s, const struct backend_event *ev);
/* Once the backend is open: where its VMs run on other hosts, the readings are theirs from here on. */
error *source_fleet_open(struct session *s) ERR_MUST_CHECK;

#endif
