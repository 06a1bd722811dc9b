/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sample/nodes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"

#define NODES "/sys/devices/system/node"

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
	char name[64];
	long long kb;
	int node;

	*ret = (struct node_memory){ -1, -1, -1, -1, -1, -1, -1, -1, -1 };
	for (const char *p = text; p && *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL) {
		if (sscanf(p, "Node %d %63[^:]: %lld", &node, name, &kb) != 3)
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
