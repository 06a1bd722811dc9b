/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_NESTED_MACHINE_H
#define MVM_NESTED_MACHINE_H

#include <stdbool.h>
#include <stddef.h>

#include "nested/outer.h"

/* The outer machine, and what came out of it. */
struct machine {
	const struct outer_options *o;
	const char *dir;   /* private folder: initramfs in it, console and qemu.log to it */
	const char *accel; /* kvm or tcg: the one that it ran under last */
	char *result;	   /* what came over the second serial line */
	size_t result_len;
	char *why; /* it was ended by us, and why; NULL when it ended by itself */
};

/* Boots it and waits for its end: KVM where it carries this kernel, else TCG. EXIT_CANNOT when QEMU itself
   failed, or the kernel stayed silent. */
error *machine_run(struct machine *m) ERR_MUST_CHECK;
/* Text of the console until now, "" when it said nothing; the caller frees it. */
char *machine_console(const struct machine *m);
void machine_clear(struct machine *m);

#endif
