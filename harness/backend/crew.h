/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BACKEND_CREW_H
#define MVM_BACKEND_CREW_H

#include <signal.h>

#include "backend/backend.h"
#include "base/pidmap.h"
#include "plan/place.h"

/*
 * What backends share whose VMs are processes that say a ready line: slots for VMs between
 * spawn and ready, consoles, deadlines, reaping, the queue of events.
 */

/* A VM between spawn and ready: its console and its error output are ours for that time. */
struct crew_slot {
	bool busy;
	uint32_t vm;
	int console_fd;
	int stderr_fd;
	int boot_fd; /* the backend's own: what the VM boots from, where VMs differ; -1 for none */
	uint64_t deadline_ns;
	char line[96];
	size_t len;
	/* A program that is at work for this VM, not the VM itself; 0 for none. The slot stays busy until it
	   has ended, also when the VM is ready before that. */
	pid_t helper;
	int stage; /* the backend's own */
};

struct crew {
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
	struct crew_slot *slots;
	unsigned slot_count, slots_busy;
	struct backend_event *queue; /* events found while nobody could take them */
	size_t queued;
	/* A child that is no VM has ended; may be NULL. */
	void (*other_ended)(void *user, pid_t pid, int status);
	void *user;
};

/* The descriptor under which every VM finds its console's listening socket. */
#define CREW_CONSOLE_FD 10
/* Most VMs between spawn and ready at a time. */
#define CREW_MAX_SLOTS 256

/* cfg, vms and program outlive it. Close it also after an error. */
error *crew_open(struct crew *c, const struct backend_config *cfg, struct vm *vms, uint32_t max,
		 const char *program) ERR_MUST_CHECK;
/* Of a crew that was stopped. */
void crew_close(struct crew *c);

/* A slot for that VM with an empty error log, NULL when none is free. */
struct crew_slot *crew_take_slot(struct crew *c, uint32_t vm);
void crew_release_slot(struct crew *c, struct crew_slot *s);
/* How a backend makes the process of a slot's VM, whose console is listen_fd. */
typedef error *crew_become(void *user, const struct crew_slot *s, int listen_fd, pid_t *ret_pid);
/* Starts VMs that are processes with a socket as console, as far as there are slots: backend_ops.start. */
error *crew_start(struct crew *c, uint32_t first, uint32_t count, uint32_t *ret_begun, crew_become *become,
		  void *user) ERR_MUST_CHECK;
/* For a spawn_spec: where that VM is to run, in *space; NULL for anywhere. memory_only leaves its CPUs open.
 */
const struct binding *crew_binding(const struct crew *c, uint32_t vm, bool memory_only,
				   struct binding *space);
/* The console under that VM's name (suffix: see console_file()) must be the one that was made for it, so that
   no answer can be another VM's. */
error *crew_check_console(const struct crew *c, uint32_t vm, const char *suffix) ERR_MUST_CHECK;
/* The VM's process is there, and is pinned to its CPUs if it is not yet: from now on its end is noticed. */
void crew_joined(struct crew *c, uint32_t vm, pid_t pid);
/* What was begun for that slot failed before it had a process: forgets both. */
void crew_unstart(struct crew *c, struct crew_slot *s);
/* The slot's helper has ended: frees the slot if its VM needs none any more. */
void crew_helper_ended(struct crew *c, struct crew_slot *s);
/* For VMs that are nobody's child: looks which are gone. */
void crew_look_for_vanished(struct crew *c);
/* The VM of a slot will not come up: queues that, with `reason` (owned), and frees the slot. */
void crew_fail(struct crew *c, struct crew_slot *s, char *reason, int sys);

/* Adds an event for the next poll; takes ownership of reason. */
void crew_queue_event(struct crew *c, enum backend_event_kind kind, uint32_t vm, char *reason, int sys);
/* Hands out queued events; if there is none, waits for consoles, deadlines and children first. */
size_t crew_poll(struct crew *c, int timeout_ms, struct backend_event *events, size_t max);
/* Kills every VM's process and waits for it; consoles and slots are empty then. */
error *crew_stop_all(struct crew *c, void (*progress)(void *, uint32_t), void *user) ERR_MUST_CHECK;

/*
 * Boots VM 0 by `start`, waits until it is ready, lets `inspect` (may be NULL) look at it and stops it.
 * *ret_ms is the time it took.
 */
error *crew_probe(struct crew *c, struct backend *b,
		  error *(*start)(struct backend *b, uint32_t first, uint32_t count, uint32_t *ret_begun),
		  uint64_t timeout_ns, void (*inspect)(struct backend *b), double *ret_ms) ERR_MUST_CHECK;

/* The next byte of a slot's console; true when it ends the ready line of that guest ("" for any). Pure. */
bool crew_hear(struct crew_slot *s, const char *guest, char byte);
/* What a starting VM's program wrote to its error output, last line; the caller frees it. */
char *crew_complaint(const struct crew_slot *s);
/* "was killed by signal 9 (KILL)" or "exited with status 1"; the caller frees it. */
char *crew_how_it_ended(int status);

#endif
