/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_SAMPLE_CGROUP_H
#define MVM_SAMPLE_CGROUP_H

#include "base/err.h"
#include "base/util.h"

/*
 * A cgroup of our own for the population, for its CPU time only: v1's cpuacct or
 * v2's cpu.stat count nanoseconds over all members at the price of one read.
 */
struct cgroup {
	char *path;   /* its folder, NULL when there is none */
	int version;  /* 1 or 2 */
	int procs_fd; /* open for writing; a process that writes "0" joins */
	int usage_fd;
};

/* Where a cgroup of that name would be made, and its version; NULL when no usable hierarchy is mounted. */
char *cgroup_choose(const char *name, int *ret_version);
/* Makes it; takes ownership of path. EXIT_CANNOT with the reason when the host gives us none. */
error *cgroup_create(char *path, int version, struct cgroup *ret) ERR_MUST_CHECK;
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

#endif
