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

/*
 * What intervals.csv has of each node, in the column node<N>_<name>: N(symbol, name, meaning). nodes.csv has
 * all nodes and more of each; these are the first NODES_SHOWN, beside everything else of the interval.
 */
#define NODES_SHOWN 8
#define NODE_COLUMNS(N)                                                           \
	N(CPU, "cpu_pct", "CPU of memory node N, of what its cores have")         \
	N(USED, "used_kb", "memory in use on memory node N, page cache included") \
	N(FREE, "free_kb", "free memory of memory node N")                        \
	N(ANON, "anon_kb", "anonymous memory on memory node N")
enum node_column {
#define NODE_SYMBOL(sym, name, meaning) NODE_##sym,
	NODE_COLUMNS(NODE_SYMBOL)
#undef NODE_SYMBOL
		NODE_COLUMN_COUNT
};
extern const char *const node_column_names[NODE_COLUMN_COUNT];
extern const char *const node_column_meanings[NODE_COLUMN_COUNT];

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
