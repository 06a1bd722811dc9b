/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_NESTED_OUTER_H
#define MVM_NESTED_OUTER_H

#include <stdbool.h>

#include "base/err.h"
#include "base/util.h"
#include "run/run.h"

/* A run under another kernel, in an outer QEMU. All strings are borrowed. */
struct outer_options {
	const char *vmlinuz, *modules, *append, *qemu, *accel; /* accel: auto, kvm, tcg */
	const char *load;				       /* modules to load, or NULL: the usual ones */
	unsigned memory_mb, cpus;
	double timeout_s;
	const struct strlist *run;	  /* options of `mvmscale run` */
	const struct run_options *parsed; /* the same, parsed */
	const char *out;		  /* run folder */
	void (*notice)(const char *text);
};

/*
 * Packs this program, QEMU, firmware and their libraries into an initramfs, boots the kernel with it, and
 * brings the run folder out to `out`, marked as nested. *ret_status is the exit status of the run inside.
 * EXIT_CANNOT with the reason when a part is missing, the kernel does not come up, or time is over; what was
 * measured until then is in `out` all the same, marked as failed. run_interrupted ends the run inside, which
 * then comes out; SIGKILL in it ends all at once.
 */
error *outer_run(const struct outer_options *o, int *ret_status) ERR_MUST_CHECK;

#endif
