/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_MEASURE_NODES_H
#define MVM_MEASURE_NODES_H

#include <stdbool.h>
#include <stddef.h>

#include "record/nodes.h"

/* Readers of the NUMA nodes of this host. */

/* Clock ticks of the CPUs of a node since boot. */
struct node_ticks {
	long long busy, total;
};
/* Sums the CPUs of /proc/stat by node; node_of has that of each of `cpus` CPUs. Others are left out. Pure. */
void node_ticks_parse(const char *stat, const short *node_of, size_t cpus,
		      struct node_ticks ret[NODES_SHOWN]);
/* The same of this host, zeros where it does not tell. */
void node_ticks_read(const short *node_of, size_t cpus, struct node_ticks ret[NODES_SHOWN]);

/* Reads text of /sys/devices/system/node/nodeN/meminfo; false when it is none. Pure. */
bool node_memory_parse(const char *text, struct node_memory *ret);
/* All nodes of this host, lowest first; the caller frees *ret. None where the kernel does not tell. */
size_t node_memory_read(struct node_memory **ret);

#endif
