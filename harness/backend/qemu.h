/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BACKEND_QEMU_H
#define MVM_BACKEND_QEMU_H

/* Private to the qemu backend: its state, shared by its launchers. */

#include "backend/backend.h"
#include "backend/spawn.h"
#include "backend/tune.h"
#include "base/pidmap.h"
#include "base/util.h"
#include "preload/zygote_abi.h"

/* Everything about the QEMU to run, settled before any VM starts. */
struct qemu_plan {
	enum accel accel;
	char *binary;  /* absolute or as given */
	char *version; /* first line of --version, shortened to the number */
	char *sha256;
	char *machine;	     /* the -machine of the argv, or "default" */
	struct strlist argv; /* complete, the same for every VM */
	struct strlist envp;
	char *accel_note; /* why this accelerator */
};

/* A VM between spawn and ready: its console and its error output are ours for that time. */
struct qemu_slot {
	bool busy;
	uint32_t vm;
	int console_fd;
	int stderr_fd;
	uint64_t deadline_ns;
	char line[96];
	size_t len;
};

struct qemu {
	struct backend base;
	struct backend_config cfg;
	struct qemu_plan plan;
	struct vm *vms;
	uint32_t max;
	uint32_t living; /* processes that run */
	struct pidmap pids;
	int console_dir_fd;
	char *console_dir, *image_path, *firmware_path;
	enum launch_mode launch;
	char *launch_note; /* proof of the mode, or why it fell back */
	struct tuning tuning;
	struct qemu_template {
		pid_t pid;
		int control_fd;	 /* -1: there is none */
		int console_fd;	 /* until its guest is ready */
		uint32_t clones; /* made by it */
	} template, next;	 /* next: started ahead, so that a change of template costs no time */
	unsigned generation;
	struct zygote_reply reply; /* the latest */
	int signal_fd;		   /* SIGCHLD */
	struct qemu_slot *slots;
	unsigned slot_count, slots_busy;
	struct backend_event *queue; /* events found while nobody could take them */
	size_t queued;
};

/* The descriptor under which every QEMU finds its console's listening socket. */
#define QEMU_CONSOLE_FD 10
/* Most VMs between spawn and ready at a time. */
#define QEMU_MAX_SLOTS 256

/* Chooses binary, argv and environment for one accelerator; EXIT_CANNOT with the reason if it cannot be. */
error *qemu_plan_make(const struct backend_config *cfg, enum accel accel, const char *image,
		      const char *firmware, struct qemu_plan *ret) ERR_MUST_CHECK;
void qemu_plan_clear(struct qemu_plan *p);

/* Adds an event for the next poll(); takes ownership of reason. */
void qemu_queue_event(struct qemu *q, enum backend_event_kind kind, uint32_t vm, char *reason, int sys);

/* qemu_exec.c: one exec per VM. */
error *qemu_exec_start(struct qemu *q, uint32_t first, uint32_t count, uint32_t *ret_begun) ERR_MUST_CHECK;
/* Handles consoles that have input, deadlines and dead children; waits up to timeout_ms for one of these. */
void qemu_exec_wait(struct qemu *q, int timeout_ms);
/* qemu_zygote.c: starts the template and proves by probe VMs that its copies live; on an error the caller
   falls back and calls qemu_zygote_stop(). */
error *qemu_zygote_open(struct qemu *q, enum launch_mode mode) ERR_MUST_CHECK;
void qemu_zygote_stop(struct qemu *q);
error *qemu_clone_start(struct qemu *q, uint32_t first, uint32_t count, uint32_t *ret_begun) ERR_MUST_CHECK;
/* One VM by early fork; listen_fd becomes its console. */
error *qemu_fork_spawn(struct qemu *q, uint32_t id, int listen_fd, pid_t *ret_pid) ERR_MUST_CHECK;
/* Environment and limits that the techniques ask for; ZYGOTE_KEEP_PROCESS for VMs started by exec. */
error *qemu_tune_spec(struct qemu *q, unsigned extra_flags, struct strlist *env,
		      struct spawn_spec *spec) ERR_MUST_CHECK;
/* Which techniques are in force in that QEMU. */
void qemu_verify_tuning(struct qemu *q, pid_t pid);
/* Boots one VM as VM 0 in the present launch mode and stops it. */
error *qemu_probe_guest(struct qemu *q, uint64_t good_time_ns, double *ret_ms) ERR_MUST_CHECK;

/* What a starting VM's QEMU wrote to its error output, last line, cleaned; the caller frees it. */
char *qemu_slot_complaint(const struct qemu_slot *s);

#endif
