/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/pidmap.h"

#include <stdlib.h>

#include "base/util.h"

static uint32_t hash(pid_t pid)
{
	return (uint32_t)pid * 2654435769U; /* Knuth's multiplicative hash */
}

static void insert(struct pidmap *m, int32_t pid, uint32_t vm)
{
	uint32_t i = hash(pid) & (m->size - 1);

	while (m->slots[i].pid > 0)
		i = (i + 1) & (m->size - 1);
	if (m->slots[i].pid == 0)
		m->used++;
	m->slots[i] = (struct pidmap_slot){ .pid = pid, .vm = vm };
}

static void grow(struct pidmap *m)
{
	struct pidmap old = *m;
	uint32_t living = 0;

	for (uint32_t i = 0; i < old.size; i++)
		living += old.slots[i].pid > 0;
	m->size = 64;
	while (m->size < living * 4)
		m->size *= 2;
	m->used = 0;
	m->slots = xcalloc(m->size, sizeof(*m->slots));
	for (uint32_t i = 0; i < old.size; i++)
		if (old.slots[i].pid > 0)
			insert(m, old.slots[i].pid, old.slots[i].vm);
	free(old.slots);
}

void pidmap_put(struct pidmap *m, pid_t pid, uint32_t vm)
{
	if (m->used * 4 >= m->size * 3)
		grow(m);
	insert(m, (int32_t)pid, vm);
}

static struct pidmap_slot *find(const struct pidmap *m, pid_t pid)
{
	if (!m->size || pid <= 0)
		return NULL;
	for (uint32_t i = hash(pid) & (m->size - 1); m->slots[i].pid; i = (i + 1) & (m->size - 1))
		if (m->slots[i].pid == pid)
			return &m->slots[i];
	return NULL;
}

bool pidmap_has(const struct pidmap *m, pid_t pid)
{
	return find(m, pid);
}

bool pidmap_take(struct pidmap *m, pid_t pid, uint32_t *ret_vm)
{
	struct pidmap_slot *s = find(m, pid);

	if (!s)
		return false;
	*ret_vm = s->vm;
	s->pid = -1;
	return true;
}

void pidmap_clear(struct pidmap *m)
{
	free(m->slots);
	*m = (struct pidmap){ 0 };
}
