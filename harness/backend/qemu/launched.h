/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BACKEND_QEMU_LAUNCHED_H
#define MVM_BACKEND_QEMU_LAUNCHED_H

#include "backend/qemu/options.h"

/*
 * A few VMs as a run launches them, their serial lines on descriptors of ours: for trying guests in every
 * launch mode. They are those of preset dense, and die with us; its folder is gone once they are up.
 */
#define LAUNCHED_VMS 2

struct launched_spec {
	const struct guest_image *image;
	const char *qemu; /* the user's choice, or NULL for the preset's */
	enum accel accel;
	enum launch_mode launch; /* not auto: it is this one or an error */
};

struct launched {
	enum launch_mode launch;
	struct guest_image image;
	struct vary vary; /* what each VM got, where its guest uses it */
	unsigned devices;
	struct preset *preset;
	char *dir;
	struct backend *b;
	struct vm vms[LAUNCHED_VMS];
	int lines[LAUNCHED_VMS]; /* do not block */
};

/* Every VM is ready then, and its line is connected. Signals that end us wait until then, so that nothing is
   left behind. Free *ret with launched_stop(), which kills the VMs; on an error there is nothing to stop. */
error *launched_start(const struct launched_spec *spec, struct launched **ret) ERR_MUST_CHECK;
void launched_stop(struct launched *l);

/* Seed and phase in the parameter block of the guest that runs in a process: from its memory. */
error *launched_values(pid_t pid, struct vary_values *ret) ERR_MUST_CHECK;

#endif
