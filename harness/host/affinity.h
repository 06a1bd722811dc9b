/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_HOST_AFFINITY_H
#define MVM_HOST_AFFINITY_H

#include <jansson.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/binding.h"

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

/* A host as placement sees it. */
struct affinity_map {
	cpu_set_t cpus;			       /* that we may use */
	short node_of[CPU_SETSIZE];	       /* of each CPU; 0 where the kernel knows no nodes */
	unsigned char node[BINDING_MAX_NODES]; /* 1: that node has memory */
	bool numa;			       /* the kernel has memory policies */
};

struct placement {
	enum pin_mode pin;
	enum numa_mode numa;
	uint32_t vms; /* how many will share the CPUs (PIN_PACK) */
	int *order;   /* CPUs in the order in which they are dealt */
	unsigned cpus;
	cpu_set_t set;				 /* PIN_CPUS */
	unsigned long nodes[BINDING_NODE_WORDS]; /* NUMA_INTERLEAVE, NUMA_NODES: a bit for each */
};

/* Reads this host; cannot fail: where nothing is known there is one node without policies. */
void affinity_map_read(struct affinity_map *ret);
/*
 * pin: none|spread|pack|LIST, numa: none|interleave|local|LIST (NULL is none), for a population of vms. A CPU
 * or node that the host does not have is EXIT_CANNOT, a list that is none EXIT_BAD_INPUT. Pure.
 */
error *placement_make(const char *pin, const char *numa, const struct affinity_map *h, uint32_t vms,
		      struct placement *ret) ERR_MUST_CHECK;
void placement_clear(struct placement *p);
/* The binding of VM number `vm`. Pure. */
void placement_of(const struct placement *p, uint32_t vm, struct binding *ret);

/* For run.json: what was asked for, what the host has, and what it came to. */
json_t *placement_json(const struct placement *p, const struct affinity_map *h);

#endif
