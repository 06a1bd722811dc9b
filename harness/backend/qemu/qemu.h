/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BACKEND_QEMU_QEMU_H
#define MVM_BACKEND_QEMU_QEMU_H

/* Private to the qemu backend: its state, shared by its launchers. */

#include "backend/qemu/options.h"
#include "backend/qemu/tune.h"
#include "backend/supervisor.h"
#include "base/spawn.h"
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
	struct qemu_config own;
	struct qemu_plan plan;
	struct supervisor supervisor;
	const char *disk_cache; /* QEMU's cache mode for the VMs' disks */
	int sink_fd;		/* where the VMs' frames end, or -1 */
	char *sink;		/* its address */
	bool varied;		/* each VM boots from its slot's own file */
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
	uint32_t serial;	   /* of the latest request */
	struct zygote_reply reply; /* the latest */
};

/* Where VMs differ, the file that it boots from. */
#define QEMU_BOOT_FD 12
/* A VM's disk, where it has one. */
#define QEMU_DISK_FD 13

extern const int qemu_fd_numbers[ZYGOTE_FDS];

/* Chooses binary, argv and environment for one accelerator; EXIT_CANNOT with the reason if it cannot be. */
error *qemu_plan_make(const struct qemu *q, enum accel accel, struct qemu_plan *ret) ERR_MUST_CHECK;
/* Adds words to an argv, with places such as {image} filled in. */
struct plan_place {
	const char *key, *value;
};
void qemu_plan_words(const char *words, const struct plan_place *places, size_t n, struct strlist *argv);
void qemu_plan_clear(struct qemu_plan *p);

/* vary.c: what each VM boots from, where they differ. */
/* Makes every slot's file, for the plan's accelerator; the plan then names it. */
error *qemu_vary_open(struct qemu *q, enum accel a) ERR_MUST_CHECK;
/* Puts the values of that VM into the slot's file; nothing where VMs do not differ. */
error *qemu_vary_slot(const struct qemu *q, const struct supervisor_slot *s, uint32_t vm) ERR_MUST_CHECK;
void qemu_vary_close(struct qemu *q);
/* The paths to put into the argv. */
const char *qemu_vary_image(const struct qemu *q);
const char *qemu_vary_firmware(const struct qemu *q);
/* For run.json; NULL where VMs do not differ. */
json_t *qemu_vary_json(const struct qemu *q);

/* devices.c: what a VM has besides its serial port. */
error *qemu_devices_open(struct qemu *q) ERR_MUST_CHECK;
void qemu_devices_close(struct qemu *q);
bool qemu_wants(const struct qemu *q, enum device d);
error *qemu_devices_args(const struct qemu *q, enum accel a, struct strlist *argv) ERR_MUST_CHECK;
/* A new VM's disk; -1 where it has none. */
error *qemu_disk_create(const struct qemu *q, int *ret_fd) ERR_MUST_CHECK;

/* Connects to the console of a VM that is ready: its serial line, until the caller closes it. */
error *qemu_reach(struct backend *b, uint32_t vm, int timeout_ms, int *ret_fd) ERR_MUST_CHECK;

/* exec.c: one exec per VM. */
error *qemu_exec_start(struct backend *b, uint32_t first, uint32_t count, uint32_t *ret_begun) ERR_MUST_CHECK;
/* talk.c: one request to the template; pass has as many descriptors as it says. The answer, checked, is
   in q->reply; on an error only a refusal stands there. */
error *qemu_template_ask(struct qemu *q, struct zygote_request *req, const int *pass) ERR_MUST_CHECK;
/* zygote.c: starts the template and proves by probe VMs that its copies live; on an error the caller
   falls back and calls qemu_zygote_stop(). */
error *qemu_zygote_open(struct qemu *q, enum launch_mode mode) ERR_MUST_CHECK;
void qemu_zygote_stop(struct qemu *q);
error *qemu_clone_start(struct qemu *q, uint32_t first, uint32_t count, uint32_t *ret_begun) ERR_MUST_CHECK;
/* One VM by early fork; each of its descriptors (console, what it boots from, disk) may be -1. */
error *qemu_fork_spawn(struct qemu *q, uint32_t id, const int fds[ZYGOTE_FDS], pid_t *ret_pid) ERR_MUST_CHECK;
/* Environment and limits that the techniques ask for; ZYGOTE_KEEP_PROCESS for VMs started by exec. */
error *qemu_tune_spec(struct qemu *q, unsigned extra_flags, struct strlist *env,
		      struct spawn_spec *spec) ERR_MUST_CHECK;
/* Which techniques are in force in that QEMU. */
void qemu_verify_tuning(struct qemu *q, pid_t pid);
/* Boots one VM as VM 0 in the present launch mode and stops it. */
error *qemu_probe_guest(struct qemu *q, uint64_t good_time_ns, double *ret_ms) ERR_MUST_CHECK;

#endif
