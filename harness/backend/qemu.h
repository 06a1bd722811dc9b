/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BACKEND_QEMU_H
#define MVM_BACKEND_QEMU_H

/* Private to the qemu backend: its state, shared by its launchers. */

#include "backend/backend.h"
#include "backend/crew.h"
#include "backend/spawn.h"
#include "backend/tune.h"
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

struct qemu {
	struct backend base;
	struct backend_config cfg;
	struct qemu_plan plan;
	struct crew crew;
	char *image_path, *firmware_path;
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
};

/* Chooses binary, argv and environment for one accelerator; EXIT_CANNOT with the reason if it cannot be. */
error *qemu_plan_make(const struct backend_config *cfg, enum accel accel, const char *image,
		      const char *firmware, struct qemu_plan *ret) ERR_MUST_CHECK;
void qemu_plan_clear(struct qemu_plan *p);

/* qemu_exec.c: one exec per VM. */
error *qemu_exec_start(struct backend *b, uint32_t first, uint32_t count, uint32_t *ret_begun) ERR_MUST_CHECK;
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

#endif
