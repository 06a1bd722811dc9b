/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_PLAN_PLACE_H
#define MVM_PLAN_PLACE_H

#include <jansson.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* Where VMs run and where their memory comes from: --pin and --numa. */

enum pin_mode {
	PIN_NONE,
	PIN_SPREAD, /* one CPU each, dealt round the nodes */
	PIN_PACK,   /* one CPU each; the first CPU gets its full share before the next gets any */
	PIN_CPUS,   /* each may use all CPUs of a list */
};
enum numa_mode {
	NUMA_NONE,
	NUMA_INTERLEAVE, /* page by page over all nodes */
	NUMA_LOCAL,	 /* the node it runs on */
	NUMA_NODES,	 /* a list, and nothing else */
};

#define PLACE_MAX_NODES 1024
#define PLACE_NODE_WORDS (PLACE_MAX_NODES / 8 / sizeof(unsigned long))

/* A host as placement sees it. */
struct place_map {
	cpu_set_t cpus;			     /* that we may use */
	short node_of[CPU_SETSIZE];	     /* of each CPU; 0 where the kernel knows no nodes */
	unsigned char node[PLACE_MAX_NODES]; /* 1: that node has memory */
	bool numa;			     /* the kernel has memory policies */
};

struct placement {
	enum pin_mode pin;
	enum numa_mode numa;
	uint32_t vms; /* how many will share the CPUs (PIN_PACK) */
	int *order;   /* CPUs in the order in which they are dealt */
	unsigned cpus;
	cpu_set_t set;			       /* PIN_CPUS */
	unsigned long nodes[PLACE_NODE_WORDS]; /* NUMA_INTERLEAVE, NUMA_NODES: a bit for each */
};

/* What one process is to be bound to, ready for its system calls. */
struct binding {
	bool pinned, policy_set;
	cpu_set_t cpus;
	int policy; /* MPOL_* */
	unsigned long nodes[PLACE_NODE_WORDS];
};

/* "0-3,8,10-14:2" (every second): sets a bit in set[0..max) for each; what names it in errors. Pure. */
error *place_list_parse(const char *text, const char *what, unsigned max, unsigned char *set) ERR_MUST_CHECK;
/* The list that parses to this set, shortest form; the caller frees it. Pure. */
char *place_list_text(const unsigned char *set, unsigned max);

/* Reads this host; cannot fail: where nothing is known there is one node without policies. */
void place_map_read(struct place_map *ret);
/*
 * pin: none|spread|pack|LIST, numa: none|interleave|local|LIST (NULL is none), for a population of vms. A CPU
 * or node that the host does not have is EXIT_CANNOT, a list that is none EXIT_BAD_INPUT. Pure.
 */
error *placement_make(const char *pin, const char *numa, const struct place_map *h, uint32_t vms,
		      struct placement *ret) ERR_MUST_CHECK;
void placement_clear(struct placement *p);
/* The binding of VM number `vm`. Pure. */
void placement_of(const struct placement *p, uint32_t vm, struct binding *ret);

/* Binds the calling process: system calls only, so also between vfork and exec. The failed step, or NULL. */
const char *binding_apply(const struct binding *b);
/* Pins every thread of another process; 0 or errno. A process that is gone is none. */
int binding_pin(const struct binding *b, pid_t pid);
/* The CPUs, and the memory nodes, of a binding as lists ("0-3,8"); "" of none. The caller frees it. Pure. */
char *binding_cpus_text(const struct binding *b);
char *binding_nodes_text(const struct binding *b);
/* For run.json: what was asked for, what the host has, and what it came to. */
json_t *placement_json(const struct placement *p, const struct place_map *h);

#endif
