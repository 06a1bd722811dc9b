/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BACKEND_EVENTS_H
#define MVM_BACKEND_EVENTS_H

#include "backend/backend.h"

/* Events that were found while nobody could take them, oldest first. For one thread; it waits for nothing. */
struct event_queue {
	struct backend_event *items;
	size_t count;
};

/* Takes ownership of reason, and makes it fit for a line. */
void events_add(struct event_queue *q, enum backend_event_kind kind, uint32_t vm, char *reason, int sys);
/* Moves up to max of them out; how many. */
size_t events_take(struct event_queue *q, struct backend_event *events, size_t max);
void events_clear(struct event_queue *q);

#endif
