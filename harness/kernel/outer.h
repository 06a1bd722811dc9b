/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_KERNEL_OUTER_H
#define MVM_KERNEL_OUTER_H

#include <stdbool.h>

#include "base/err.h"
#include "base/util.h"

/* A run under another kernel, in an outer QEMU. All strings are borrowed. */
struct outer_options {
	const char *vmlinuz, *modules, *load, *append, *qemu, *accel; /* accel: auto, kvm, tcg */
	long memory_mb, cpus;
	double timeout_s;
	const struct strlist *run; /* options of `mvmscale run` */
	const char *out;	   /* run folder */
	void (*notice)(const char *text);
};

/*
 * Packs this program, QEMU, firmware and their libraries into an initramfs, boots the kernel with it, and
 * brings the run folder out to `out`, marked as nested. *ret_status is the exit status of the run inside.
 * EXIT_CANNOT with the reason when a part is missing, the kernel does not come up, or time is over.
 */
error *outer_run(const struct outer_options *o, int *ret_status) ERR_MUST_CHECK;

/* The files of `names` (comma-separated) and what they need, in the order to load them, from the text of a
   modules.dep; names that it does not hold are left out. Pure. */
void outer_module_order(const char *modules_dep, const char *names, struct strlist *ret);

#endif
