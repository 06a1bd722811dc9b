/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BACKEND_QEMU_TRIAL_H
#define MVM_BACKEND_QEMU_TRIAL_H

/*
 * A guest on trial: in a VM booted alone on some machine by some medium, or in VMs launched as a run does, in
 * each launch mode. For trying and measuring guests, not for populations. Serial lines are descriptors of
 * ours, nothing is left behind however we end, and QEMU dies with us.
 */

#include "backend/qemu/options.h"

enum trial_medium { TRIAL_FIRMWARE, TRIAL_DISK, TRIAL_FLOPPY, TRIAL_MEDIA };
/* What it is called in messages: "own firmware", "SeaBIOS, hard disk", "SeaBIOS, floppy". */
extern const char *const trial_medium_names[TRIAL_MEDIA];

struct trial_machine {
	const char *name, *args;
	bool has_bios; /* SeaBIOS, and a controller that it can boot from */
};
/* Ended by an entry without a name. */
extern const struct trial_machine trial_machines[];

/* One guest in one QEMU. Everything that QEMU reads is handed over by descriptor. */
struct trial_boot {
	/* what to run, the caller's to set; strings and pointers are borrowed */
	const char *binary;
	const struct trial_machine *machine;
	enum trial_medium medium;
	enum accel accel;
	const struct guest_image *image;
	unsigned devices;   /* 1 << enum device; frames go nowhere, the disk is 1 MB of memory */
	uint32_t memory_mb; /* 0: 1 */

	/* what runs */
	pid_t pid;     /* 0: nothing does */
	int serial_fd; /* does not block */
	int log_fd;    /* what QEMU says */
};

/* Those that the guest declares. */
error *trial_devices(const struct guest_image *img, unsigned *ret) ERR_MUST_CHECK;
/* qemu is the user's choice or NULL; the caller frees *ret. */
error *trial_find_qemu(const char *qemu, char **ret) ERR_MUST_CHECK;

error *trial_boot_start(struct trial_boot *s) ERR_MUST_CHECK;
/* Kills it; what QEMU said can still be asked for until trial_boot_close(). */
void trial_boot_stop(struct trial_boot *s);
void trial_boot_close(struct trial_boot *s);
/* "; it said: <last line of QEMU's own output>", or "". The caller frees it. */
char *trial_boot_complaint(const struct trial_boot *s);

#define TRIAL_VMS 2

struct trial_launch_spec {
	const struct guest_image *image;
	const char *preset;
	const char *qemu;	 /* the user's choice, or NULL for the preset's */
	const char *accel;	 /* auto, tcg, kvm */
	enum launch_mode launch; /* not auto: it is this one or an error */
	uint32_t vms;		 /* at most TRIAL_VMS */
	bool vary;		 /* give each its own seed and phase, where its guest uses them */
	bool lines;		 /* connect their serial lines */
};

struct trial_launch {
	enum launch_mode launch;
	uint32_t count; /* of VMs */
	struct guest_image image;
	struct vary vary; /* what each VM got */
	unsigned devices;
	struct preset *preset;
	char *dir; /* gone once they are up */
	struct backend *b;
	struct vm vms[TRIAL_VMS]; /* probes may need all of them */
	int lines[TRIAL_VMS];	  /* do not block; -1: not connected */
};

/* Every VM is ready then. Signals that end us wait until then, so that nothing is left behind. Free *ret with
 * trial_launch_stop(), which kills the VMs; on an error there is nothing to stop. */
error *trial_launch_start(const struct trial_launch_spec *spec, struct trial_launch **ret) ERR_MUST_CHECK;
void trial_launch_stop(struct trial_launch *l);

/* Seed and phase in the parameter block of the guest that runs in a process: from its memory. */
error *trial_guest_values(pid_t pid, struct vary_values *ret) ERR_MUST_CHECK;

#endif
