/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_HOST_CGROUP_H
#define MVM_HOST_CGROUP_H

#include <stdbool.h>

#include "base/err.h"
#include "base/util.h"
#include "host/settings.h"

#define CGROUP_ROOT "/sys/fs/cgroup"

enum cgroup_controller { CGROUP_CPU, CGROUP_MEMORY, CGROUP_PIDS, CGROUP_CONTROLLERS };

/* What the population may use together; 0 for no limit. */
struct cgroup_limits {
	double cores, mem_bytes;
	long pids;
};
/* How these limits were met so far; -1 where there is none, or the kernel does not say. */
struct cgroup_hits {
	long long throttled_ms, oom_kills, mem_bytes, mem_peak_bytes, refused_pids, pids;
};

/*
 * A cgroup of our own for the population, for its CPU time and for limits: v1's cpuacct or
 * v2's cpu.stat count nanoseconds over all members at the price of one read.
 */
struct cgroup {
	char *path;   /* its folder, NULL when there is none */
	char *mount;  /* of its hierarchy: the folder's path begins with it */
	int version;  /* 1 or 2 */
	int procs_fd; /* open for writing; a process that writes "0" joins */
	int usage_fd;
	struct cgroup_limits limits;
	bool counted;			   /* memory and tasks are asked for, whether limited or not */
	int count_fds[CGROUP_CONTROLLERS]; /* what they use now; -1 where that is not counted */
	int more_fds[CGROUP_CONTROLLERS];  /* v1: cgroup.procs of the other controllers in use; to be joined
					      too */
	unsigned more;
};
#define CGROUP_NONE ((struct cgroup){ .procs_fd = -1, .usage_fd = -1, .count_fds = { -1, -1, -1 } })

/*
 * Where a cgroup of that name is to be made, below `root` (CGROUP_ROOT): where NULL, where this process may;
 * else in that folder, given whole or below the mount point of the hierarchy. ret->path stays NULL when no
 * usable hierarchy is mounted. Makes nothing.
 */
error *cgroup_choose(const char *root, const char *where, const char *name,
		     struct cgroup *ret) ERR_MUST_CHECK;
/* Makes what was chosen. EXIT_CANNOT with the reason when the host gives us none; c is then empty. */
error *cgroup_create(struct cgroup *c) ERR_MUST_CHECK;
/* Makes the folder of a cgroup, unless it is the same as `own` (NULL: none). One in use is an error. */
error *cgroup_mkdir(const char *path, const char *own) ERR_MUST_CHECK;
/* CPU nanoseconds used by all members so far; -1 when it cannot be read. */
long long cgroup_cpu_ns(const struct cgroup *c);
/* Closes it and removes the folder, which must be empty of processes by then. */
void cgroup_remove(struct cgroup *c);

/* Descriptor of a file with the CPU nanoseconds of all tasks of the host (v1 root cpuacct), or -1. A
   container's view, which lacks other cgroups, is recognized by comparing it with /proc/stat's busy ticks. */
int cgroup_open_host_usage(long long busy_ticks, long ticks_per_second);

/* Its path below the mount point of its hierarchy, as runtimes want it; points into it. */
const char *cgroup_relative(const struct cgroup *c);
/* The mount points of all hierarchies of a v1 or hybrid host. */
void cgroup_v1_mounts(struct strlist *ret);

/* --cgroup-cpu CORES|PCT% (of `cores`), --cgroup-mem SIZE, --cgroup-pids N; each may be NULL. Pure. */
error *cgroup_limits_parse(const char *cpu, const char *mem, const char *pids, long cores,
			   struct cgroup_limits *ret) ERR_MUST_CHECK;
bool cgroup_limits_any(const struct cgroup_limits *l);
/*
 * Sets the limits before any VM is in it, and with `count` has memory and tasks counted there; what it makes
 * is noted in `settings` first. A limit that cannot be set is an error, what cannot be counted a line in
 * `said`.
 */
error *cgroup_confine(struct cgroup *c, const struct cgroup_limits *l, bool count, struct settings *settings,
		      struct strlist *said) ERR_MUST_CHECK;
/* What all members use now: bytes of memory, kernel memory and page cache included, and tasks; -1 when that
   is not counted. */
long long cgroup_mem_bytes(const struct cgroup *c);
long long cgroup_tasks(const struct cgroup *c);
void cgroup_read_hits(const struct cgroup *c, struct cgroup_hits *ret);
/* The number behind "key " at the start of a line, -1 where there is none. Pure. */
long long cgroup_flat_value(const char *text, const char *key);

#endif
