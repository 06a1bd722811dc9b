/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BACKEND_QEMU_SOLO_H
#define MVM_BACKEND_QEMU_SOLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "backend/qemu/preset.h"
#include "base/err.h"
#include "guest/image.h"

/*
 * One guest in one QEMU, its serial line on a descriptor of ours: for trying guests, not for
 * populations. Everything QEMU reads is handed over by descriptor, so nothing is left behind however
 * we end, and QEMU dies with us.
 */
enum solo_boot { SOLO_FIRMWARE, SOLO_DISK, SOLO_FLOPPY, SOLO_BOOTS };
/* How it is called in messages: "own firmware", "SeaBIOS, hard disk", "SeaBIOS, floppy". */
extern const char *const solo_boot_names[SOLO_BOOTS];

struct solo_machine {
	const char *name, *args;
	bool has_bios; /* SeaBIOS, and a controller that it can boot from */
};
/* Ended by an entry without a name. */
extern const struct solo_machine solo_machines[];

struct solo {
	/* what to run, the caller's to set; strings and pointers are borrowed */
	const char *binary;
	const struct solo_machine *machine;
	enum solo_boot boot;
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
error *solo_devices(const struct guest_image *img, unsigned *ret) ERR_MUST_CHECK;
/* qemu is the user's choice or NULL; the caller frees *ret. */
error *solo_find_qemu(const char *qemu, char **ret) ERR_MUST_CHECK;
error *solo_power_on(struct solo *s) ERR_MUST_CHECK;
/* Kills it; what QEMU said can still be asked for until solo_close(). */
void solo_power_off(struct solo *s);
void solo_close(struct solo *s);
/* "; it said: <last line of QEMU's own output>", or "". The caller frees it. */
char *solo_complaint(const struct solo *s);

#endif
