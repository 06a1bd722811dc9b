/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BACKEND_KVM_TIMER_HEAP_H
#define MVM_BACKEND_KVM_TIMER_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Who is to be woken when: a binary heap, the earliest on top. A zeroed one is empty. */
struct timer_heap {
	struct timer {
		uint64_t at_ns;
		uint32_t who;
	} * items;
	size_t count, size;
};

void timer_heap_add(struct timer_heap *w, uint64_t at_ns, uint32_t who);
/* The earliest time, UINT64_MAX when nobody waits. */
uint64_t timer_heap_next(const struct timer_heap *w);
/* Takes the earliest out if it is due. */
bool timer_heap_take(struct timer_heap *w, uint64_t now_ns, struct timer *ret);
void timer_heap_clear(struct timer_heap *w);

#endif
