/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BACKEND_QEMU_PRESET_H
#define MVM_BACKEND_QEMU_PRESET_H

#include <stdbool.h>

#include "base/err.h"
#include "base/util.h"
#include "host/limits.h"

enum accel { ACCEL_TCG, ACCEL_KVM, ACCEL_COUNT };
extern const char *const accel_names[ACCEL_COUNT];

/* Devices that a guest may need besides its serial port; presets say how QEMU gets them. */
enum device { DEVICE_DISK, DEVICE_NET, DEVICE_COUNT };
extern const char *const device_names[DEVICE_COUNT];

/* How a preset runs QEMU under one accelerator: section [tcg] or [kvm] of its file. */
struct preset_accel {
	bool present;
	char *binary;			 /* programs in order of preference, blank-separated */
	char *args;			 /* may hold {image} and {firmware} */
	char *tune;			 /* techniques instead of the preset's, or NULL */
	char *device_args[DEVICE_COUNT]; /* added for a VM with that device, or NULL; see devices.c */
	char *device_binary;		 /* programs instead of binary for a VM with any device, or NULL */
	bool firmware_boot;
	/* Declared cost of one VM; the first interval replaces it by what was measured. */
	long tasks, fds, mem_kb, commit_kb;
};

struct preset {
	char *name, *path, *summary;
	char *launch; /* exec, fork or clone: what --launch auto tries first */
	char *tune;   /* density techniques in order, blank-separated; "" for none */
	char *prefer; /* accelerator that --accel auto tries first, "kvm" unless the file says tcg */
	struct preset_accel accel[ACCEL_COUNT];
};

/* A name is looked up among the shipped presets; anything with a slash or ".preset" is a file.
   Unknown names give an error that lists the known ones. */
error *preset_load(const char *name_or_path, struct preset **ret) ERR_MUST_CHECK;
/* Text of such a file; `what` names it in errors, and gives the preset its name. Pure. */
error *preset_parse(const char *text, const char *what, struct preset **ret) ERR_MUST_CHECK;
void preset_free(struct preset *p);
static inline void preset_freep(struct preset **p)
{
	preset_free(*p);
}

/* Declared cost of one VM, with the memory that the preset gives it. */
struct vm_cost preset_vm_cost(const struct preset_accel *pa);

/* Words naming devices -> 1 << enum device; an unknown one is an error that lists the known. Pure. */
error *device_set(const struct strlist *words, const char *what, unsigned *ret) ERR_MUST_CHECK;

/* Names of the shipped presets, sorted. */
void preset_names(struct strlist *ret);

#endif
