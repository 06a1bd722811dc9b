/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_RECORD_NODES_H
#define MVM_RECORD_NODES_H

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

#endif
