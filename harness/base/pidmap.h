/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BASE_PIDMAP_H
#define MVM_BASE_PIDMAP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Which VM a process is: open addressing, 8 bytes a slot. A zeroed one is empty. */
struct pidmap {
	struct pidmap_slot {
		int32_t pid; /* 0: free, -1: was removed */
		uint32_t vm;
	} * slots;
	uint32_t size, used; /* used counts removed slots too, until the next growth */
};

void pidmap_put(struct pidmap *m, pid_t pid, uint32_t vm);
/* Removes the pid and tells whose it was; false when it was not there. */
bool pidmap_take(struct pidmap *m, pid_t pid, uint32_t *ret_vm);
bool pidmap_has(const struct pidmap *m, pid_t pid);
void pidmap_clear(struct pidmap *m);

#endif
