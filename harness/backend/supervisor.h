/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BACKEND_SUPERVISOR_H
#define MVM_BACKEND_SUPERVISOR_H

#include <signal.h>

#include "backend/console.h"
#include "backend/events.h"
#include "base/pidmap.h"
#include "host/affinity.h"

/*
 * What backends share whose VMs are processes that say a ready line: slots for VMs between
 * spawn and ready, consoles, deadlines, reaping, the queue of events.
 */

/* A VM between spawn and ready: its console and its error output are ours for that time. */
struct supervisor_slot {
	bool busy;
	uint32_t vm;
	int console_fd;
	int stderr_fd;
	int boot_fd; /* the backend's own: what the VM boots from, where VMs differ; -1 for none */
	uint64_t deadline_ns;
	struct ready_line line;
	/* A program that is at work for this VM, not the VM itself; 0 for none. The slot stays busy until it
	   has ended, also when the VM is ready before that. */
	pid_t helper;
	int stage; /* the backend's own */
};

struct supervisor {
	struct vm *vms; /* the caller's table */
	uint32_t max;
	uint32_t living; /* processes that run */
	struct pidmap pids;
	const char *program; /* what a VM's process runs, for messages; borrowed */
	const char *guest;   /* whose ready line counts; "" takes any */
	uint64_t ready_timeout_ns;
	const struct placement *place; /* or NULL */
	uint64_t *console_files;       /* by VM: console_file() as it was made; 0 where we did not make it */
	char *console_dir;
	int console_dir_fd;
	int signal_fd; /* SIGCHLD */
	struct supervisor_slot *slots;
	unsigned slot_count, slots_busy;
	struct event_queue events;
	/* A child that is no VM has ended; may be NULL. */
	void (*other_ended)(void *user, pid_t pid, int status);
	void *user;
};

/* The descriptor under which every VM finds its console's listening socket. */
#define SUPERVISOR_CONSOLE_FD 10
/* Most VMs between spawn and ready at a time. */
#define SUPERVISOR_MAX_SLOTS 256

/* cfg, vms and program outlive it. Close it also after an error. */
error *supervisor_open(struct supervisor *c, const struct backend_config *cfg, struct vm *vms, uint32_t max,
		       const char *program) ERR_MUST_CHECK;
/* Of a supervisor that was stopped. */
void supervisor_close(struct supervisor *c);

/* A slot for that VM with an empty error log, NULL when none is free. */
struct supervisor_slot *supervisor_take_slot(struct supervisor *c, uint32_t vm);
void supervisor_release_slot(struct supervisor *c, struct supervisor_slot *s);
/* How a backend makes the process of a slot's VM, whose console is listen_fd. */
typedef error *supervisor_become(void *user, const struct supervisor_slot *s, int listen_fd, pid_t *ret_pid);
/* Starts VMs that are processes with a socket as console, as far as there are slots: backend_ops.start. */
error *supervisor_start(struct supervisor *c, uint32_t first, uint32_t count, uint32_t *ret_begun,
			supervisor_become *become, void *user) ERR_MUST_CHECK;
/* For a spawn_spec: where that VM is to run, in *space; NULL for anywhere. memory_only leaves its CPUs open.
 */
const struct binding *supervisor_binding(const struct supervisor *c, uint32_t vm, bool memory_only,
					 struct binding *space);
/* The console under that VM's name (suffix: see console_file()) must be the one that was made for it, so that
   no answer can be another VM's. */
error *supervisor_check_console(const struct supervisor *c, uint32_t vm, const char *suffix) ERR_MUST_CHECK;
/* The VM's process is there, and is pinned to its CPUs if it is not yet: from now on its end is noticed. */
void supervisor_joined(struct supervisor *c, uint32_t vm, pid_t pid);
/* What was begun for that slot failed before it had a process: forgets both. */
void supervisor_unstart(struct supervisor *c, struct supervisor_slot *s);
/* The slot's helper has ended: frees the slot if its VM needs none any more. */
void supervisor_helper_ended(struct supervisor *c, struct supervisor_slot *s);
/* For VMs that are nobody's child: looks which are gone. */
void supervisor_look_for_vanished(struct supervisor *c);
/* The VM of a slot will not come up: queues that, with `reason` (owned), and frees the slot. */
void supervisor_fail(struct supervisor *c, struct supervisor_slot *s, char *reason, int sys);

/* Hands out queued events; if there is none, waits for consoles, deadlines and children first. */
size_t supervisor_poll(struct supervisor *c, int timeout_ms, struct backend_event *events, size_t max);
/* Kills every VM's process and waits for it; consoles and slots are empty then. */
error *supervisor_stop_all(struct supervisor *c, void (*progress)(void *, uint32_t),
			   void *user) ERR_MUST_CHECK;

/*
 * Boots VM 0 by `start`, waits until it is ready, lets `inspect` (may be NULL) look at it and stops it.
 * *ret_ms is the time it took.
 */
error *
supervisor_probe(struct supervisor *c, struct backend *b,
		 error *(*start)(struct backend *b, uint32_t first, uint32_t count, uint32_t *ret_begun),
		 uint64_t timeout_ns, void (*inspect)(struct backend *b), double *ret_ms) ERR_MUST_CHECK;

/* What a starting VM's program wrote to its error output, last line; the caller frees it. */
char *supervisor_complaint(const struct supervisor_slot *s);
/* "was killed by signal 9 (KILL)" or "exited with status 1"; the caller frees it. */
char *supervisor_how_it_ended(int status);

#endif
