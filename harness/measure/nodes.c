/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "measure/nodes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "host/procfs.h"

#define NODES "/sys/devices/system/node"

void node_ticks_parse(const char *stat, const short *node_of, size_t cpus, struct node_ticks ret[NODES_SHOWN])
{
	memset(ret, 0, NODES_SHOWN * sizeof(*ret));
	char line[512];

	for (const char *rest = stat; rest && (rest = str_line(rest, line, sizeof(line)));) {
		long long v[8] = { 0 };
		unsigned cpu;

		if (sscanf(line, "cpu%u %lld %lld %lld %lld %lld %lld %lld %lld", &cpu, &v[0], &v[1], &v[2],
			   &v[3], &v[4], &v[5], &v[6], &v[7]) < 5 ||
		    cpu >= cpus || node_of[cpu] < 0 || node_of[cpu] >= NODES_SHOWN)
			continue;
		struct node_ticks *t = &ret[node_of[cpu]];

		t->busy = add_sat(t->busy, ticks_busy(v));
		t->total = add_sat(t->total, ticks_all(v));
	}
}

void node_ticks_read(const short *node_of, size_t cpus, struct node_ticks ret[NODES_SHOWN])
{
	_cleanup_free_ char *text = NULL;
	error *e = fs_read("/proc/stat", &text, NULL);

	err_free(e);
	node_ticks_parse(text, node_of, cpus, ret);
}

bool node_memory_parse(const char *text, struct node_memory *ret)
{
	static const struct {
		const char *name;
		size_t offset;
	} fields[] = {
		{ "MemTotal", offsetof(struct node_memory, total) },
		{ "MemFree", offsetof(struct node_memory, free) },
		{ "MemUsed", offsetof(struct node_memory, used) },
		{ "AnonPages", offsetof(struct node_memory, anon) },
		{ "FilePages", offsetof(struct node_memory, file) },
		{ "KernelStack", offsetof(struct node_memory, kernel_stack) },
		{ "PageTables", offsetof(struct node_memory, page_tables) },
		{ "Slab", offsetof(struct node_memory, slab) },
	};
	char name[64], line[256];
	long long kb;
	int node;

	*ret = (struct node_memory){ -1, -1, -1, -1, -1, -1, -1, -1, -1 };
	for (const char *rest = text; rest && (rest = str_line(rest, line, sizeof(line)));) {
		if (sscanf(line, "Node %d %63[^:]: %lld", &node, name, &kb) != 3)
			continue;
		ret->node = node;
		for (size_t i = 0; i < ARRAY_LEN(fields); i++)
			if (str_eq(name, fields[i].name))
				*(long long *)((char *)ret + fields[i].offset) = kb;
	}
	return ret->node >= 0 && ret->total >= 0;
}

static int by_number(const void *a, const void *b)
{
	return ((const struct node_memory *)a)->node - ((const struct node_memory *)b)->node;
}

size_t node_memory_read(struct node_memory **ret)
{
	struct strlist names = { 0 };
	error *e = fs_list(NODES, "node", &names);
	size_t n = 0;

	err_free(e);
	*ret = xcalloc(names.count, sizeof(**ret));
	for (size_t i = 0; i < names.count; i++) {
		_cleanup_free_ char *path = xasprintf(NODES "/%s/meminfo", names.items[i]), *text = NULL;

		e = fs_read(path, &text, NULL);
		if (!e && node_memory_parse(text, &(*ret)[n]))
			n++;
		err_free(e);
	}
	strlist_clear(&names);
	if (n)
		qsort(*ret, n, sizeof(**ret), by_number);
	return n;
}
