/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_HOST_LIMITS_H
#define MVM_HOST_LIMITS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/util.h"

struct settings;

/* What one more VM takes of everything that a host rations; its backend declares it, and the conformance
   suite holds that against what the kernel counts. 0 = takes none. */
struct vm_cost {
	double tasks;	    /* threads, and kernel threads made for the VM */
	double fds_harness; /* descriptors that the harness itself holds for it */
	double fds_vm;	    /* open files system-wide */
	double ptys;
	double mem_kb;	  /* drop of MemAvailable */
	double commit_kb; /* charged to the commit limit; counts with overcommit_memory=2 only */
	double mappings;  /* in the process that holds most VMs, by the whole population */
	double pipes, keys;
	double cgroups; /* memory cgroups of its own */
};

/* The settings that ration, as read; the order is that of limits_read.c's table. */
enum limit_sysctl {
	SYSCTL_PID_MAX,
	SYSCTL_THREADS_MAX,
	SYSCTL_FILE_MAX,
	SYSCTL_NR_OPEN,
	SYSCTL_PTY_MAX,
	SYSCTL_MAX_MAP_COUNT,
	SYSCTL_KEYS,
	SYSCTL_KEYS_ROOT,
	SYSCTL_PIPE_HARD,
	SYSCTL_COUNT
};

/* One level of our own cgroup that has a limit. */
struct limit_cgroup {
	char *file; /* pids.max, memory.max, memory.high or memory.limit_in_bytes */
	bool memory;
	bool writable;
	double use, max; /* tasks, or kB */
	double refusals; /* how often it refused so far */
};

/* Raw values; NAN = unknown, INFINITY = unlimited. */
struct limit_raw {
	struct {
		double value;
		bool writable;
		char *file;
	} sysctl[SYSCTL_COUNT];
	double tasks;	   /* on the whole host */
	double user_tasks; /* of our user */
	double files_used, fds_self, ptys_used, keys_used, maps_self, memory_cgroups;
	double mem_total_kb, mem_available_kb, commit_limit_kb, committed_kb, overcommit;
	double nproc_soft, nproc_hard, nofile_soft, nofile_hard;
	double as_soft; /* bytes of address space of a process */
	bool uid0;	/* real user 0 of the first user namespace: free of RLIMIT_NPROC */
	bool cap_sys_admin, cap_sys_resource;
	struct limit_cgroup *cgroups;
	size_t cgroup_count;
};

struct limit {
	const char *name; /* pid_max, threads-max, cgroup-pids, ... : the <name> of "limit:<name>"; "ram" */
	double current_use, current_max;
	double raisable_to; /* what may be asked for; current_max when nothing may */
	double per_vm, reserve;
	double headroom; /* added to what is asked for when raising */
	double vms_now, vms_raised;
	char *setting; /* the file that raises it; NULL for a limit that has none */
	int rlimit;    /* RLIMIT_* of this process, -1 for the others */
	char *evidence;
	char *how;   /* how it is raised, or why it is not */
	bool raised; /* limits_raise() raised it, and read the new value back */
};

struct limits {
	struct limit *items;
	size_t count;
	double nr_open;	    /* the kernel's cap of RLIMIT_NOFILE */
	char *nr_open_file; /* NULL where it cannot be written */
};

/* One attempt of limits_raise(). */
struct limit_raise {
	const char *name;
	double from, to;
	char *failure; /* NULL: it took, and was read back */
};
struct limit_raises {
	struct limit_raise *items;
	size_t count;
};

/* Reads what limits_compute() needs, below `root` ("" is this host). Never fails. */
void limits_read(const char *root, struct limit_raw *ret);
void limit_raw_free(struct limit_raw *r);

/*
 * How many more VMs fit under each limit, now and after raising, with some room left
 * for the host: min(1024, 5 %) of tasks, pids and files, 100-threshold_pct % of RAM.
 * Pure.
 */
void limits_compute(const struct limit_raw *raw, const struct vm_cost *cost, double threshold_pct,
		    struct limits *ret);
void limits_free(struct limits *l);

/* The limit that stops a run first; NULL when none does. */
const struct limit *limits_binding(const struct limits *l, bool after_raising);
/* "you will stop near N VMs because of X (evidence)"; the caller frees it. */
char *limits_sentence(const struct limits *l, bool after_raising);
/* Value of a limit that `vms` VMs need: used + vms * per_vm * 1.1 + headroom, at most raisable_to. */
double limit_needed(const struct limit *lim, double vms);

/*
 * Raises, as far as `vms` VMs need, every limit that ends below them: settings through s
 * (which restores them), RLIMIT_* of this process (its children inherit them). Every new
 * value is read back. Updates l; ret says what was tried. RAM and memory cgroups are
 * never raised.
 */
void limits_raise(struct settings *s, struct limits *l, double vms, struct limit_raises *ret);
void limit_raises_free(struct limit_raises *r);

/* The arrays "limits" and "raised" of run.json; unlimited and unknown are null. New references. */
json_t *limits_json(const struct limits *l);
json_t *limit_raises_json(const struct limit_raises *r);

/* "32,768", "unlimited", "unknown"; the caller frees it. */
char *count_text(double v);

/* The parsers of limits_read(), without I/O. */

/* A limit's file: a number, "max" and v1's 2^63 less a page are INFINITY, else NAN. */
double limit_value(const char *text);
/* "Max open files" and the like of /proc/self/limits. */
void rlimit_parse(const char *text, const char *label, double *soft, double *hard);

#endif
