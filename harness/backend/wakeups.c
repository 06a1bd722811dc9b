/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "backend/wakeups.h"

#include "base/util.h"

void wakeups_add(struct wakeups *w, uint64_t at_ns, uint32_t who)
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
	w->items[i] = (struct wakeup){ .at_ns = at_ns, .who = who };
}

uint64_t wakeups_next(const struct wakeups *w)
{
	return w->count ? w->items[0].at_ns : UINT64_MAX;
}

bool wakeups_take(struct wakeups *w, uint64_t now_ns, struct wakeup *ret)
{
	if (wakeups_next(w) > now_ns)
		return false;
	*ret = w->items[0];
	struct wakeup last = w->items[--w->count];
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

void wakeups_clear(struct wakeups *w)
{
	free(w->items);
	*w = (struct wakeups){ 0 };
}
