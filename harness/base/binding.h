/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BASE_BINDING_H
#define MVM_BASE_BINDING_H

#include <sched.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

/* The CPUs and memory nodes of one process. Who gets which is host/affinity.h's matter. */

#define BINDING_MAX_NODES 1024
#define BINDING_NODE_WORDS (BINDING_MAX_NODES / 8 / sizeof(unsigned long))

/* What one process is to be bound to, ready for its system calls. */
struct binding {
	bool pinned, policy_set;
	cpu_set_t cpus;
	int policy; /* MPOL_* */
	unsigned long nodes[BINDING_NODE_WORDS];
};

/* "0-3,8,10-14:2" (every second): sets a bit in set[0..max) for each; what names it in errors. Pure. */
error *cpulist_parse(const char *text, const char *what, unsigned max, unsigned char *set) ERR_MUST_CHECK;
/* The list that parses to this set, shortest form; the caller frees it. Pure. */
char *cpulist_text(const unsigned char *set, unsigned max);

/* Binds the calling process: system calls only, so also between vfork and exec. The failed step, or NULL. */
const char *binding_apply(const struct binding *b);
/* Pins every thread of another process; 0 or errno. A process that is gone is none. */
int binding_pin(const struct binding *b, pid_t pid);
/* The CPUs, and the memory nodes, of a binding as lists ("0-3,8"); "" of none. The caller frees it. Pure. */
char *binding_cpus_text(const struct binding *b);
char *binding_nodes_text(const struct binding *b);
#endif
