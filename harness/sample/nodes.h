/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_SAMPLE_NODES_H
#define MVM_SAMPLE_NODES_H

#include <stdbool.h>
#include <stddef.h>

/* Memory of one NUMA node, kB; -1 where its kernel file lacks a field. */
struct node_memory {
	int node;
	long long total, free, used, anon, file, kernel_stack, page_tables, slab;
};

/* Reads text of /sys/devices/system/node/nodeN/meminfo; false when it is none. Pure. */
bool node_memory_parse(const char *text, struct node_memory *ret);
/* All nodes of this host, lowest first; the caller frees *ret. None where the kernel does not tell. */
size_t node_memory_read(struct node_memory **ret);

#endif
