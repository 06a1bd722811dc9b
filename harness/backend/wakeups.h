/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BACKEND_WAKEUPS_H
#define MVM_BACKEND_WAKEUPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Who is to be woken when: a binary heap, the earliest on top. A zeroed one is empty. */
struct wakeups {
	struct wakeup {
		uint64_t at_ns;
		uint32_t who;
	} * items;
	size_t count, size;
};

void wakeups_add(struct wakeups *w, uint64_t at_ns, uint32_t who);
/* The earliest time, UINT64_MAX when nobody waits. */
uint64_t wakeups_next(const struct wakeups *w);
/* Takes the earliest out if it is due. */
bool wakeups_take(struct wakeups *w, uint64_t now_ns, struct wakeup *ret);
void wakeups_clear(struct wakeups *w);

#endif
