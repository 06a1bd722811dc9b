/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "backend/kvm/timer_heap.h"

#include "base/util.h"

void timer_heap_add(struct timer_heap *w, uint64_t at_ns, uint32_t who)
{
	if (w->count == w->size) {
		w->size = w->size ? 2 * w->size : 64;
		w->items = xrealloc(w->items, w->size, sizeof(*w->items));
	}
	size_t i = w->count++;
	while (i && w->items[(i - 1) / 2].at_ns > at_ns) {
		w->items[i] = w->items[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	w->items[i] = (struct timer){ .at_ns = at_ns, .who = who };
}

uint64_t timer_heap_next(const struct timer_heap *w)
{
	return w->count ? w->items[0].at_ns : UINT64_MAX;
}

bool timer_heap_take(struct timer_heap *w, uint64_t now_ns, struct timer *ret)
{
	if (timer_heap_next(w) > now_ns)
		return false;
	*ret = w->items[0];
	struct timer last = w->items[--w->count];
	size_t i = 0;
	for (size_t child; (child = 2 * i + 1) < w->count; i = child) {
		if (child + 1 < w->count && w->items[child + 1].at_ns < w->items[child].at_ns)
			child++;
		if (w->items[child].at_ns >= last.at_ns)
			break;
		w->items[i] = w->items[child];
	}
	w->items[i] = last;
	return true;
}

void timer_heap_clear(struct timer_heap *w)
{
	free(w->items);
	*w = (struct timer_heap){ 0 };
}
