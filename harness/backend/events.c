/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "backend/events.h"

#include <string.h>

#include "base/text.h"

void events_add(struct event_queue *q, enum backend_event_kind kind, uint32_t vm, char *reason, int sys)
{
	if (reason)
		text_clean(reason);
	q->items = xrealloc(q->items, q->count + 1, sizeof(*q->items));
	q->items[q->count++] = (struct backend_event){ .kind = kind, .vm = vm, .reason = reason, .sys = sys };
}

size_t events_take(struct event_queue *q, struct backend_event *events, size_t max)
{
	size_t n = MIN(q->count, max);

	if (n) {
		memcpy(events, q->items, n * sizeof(*events));
		memmove(q->items, q->items + n, (q->count - n) * sizeof(*events));
		q->count -= n;
	}
	return n;
}

void events_clear(struct event_queue *q)
{
	for (size_t i = 0; i < q->count; i++)
		free(q->items[i].reason);
	free(q->items);
	*q = (struct event_queue){ 0 };
}
