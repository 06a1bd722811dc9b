/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_HOST_PROCFS_H
#define MVM_HOST_PROCFS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * The parsers of /proc, all pure; each file is understood here and nowhere else. A field that a kernel does
 * not have is -1 (or NAN), never 0: absent and zero are different findings. What the numbers mean for a run
 * is for facts.h, limits.h and the sampler to say.
 */

/* The text of root/path ("" is this host), "" when it cannot be read; NUL bytes (environ) become newlines.
   Not pure; the caller frees it. */
char *proc_text(const char *root, const char *path);

struct meminfo {
	long long total, free, available, buffers, cached, swap_cached, active_file, inactive_file, anon,
		shmem, slab, slab_reclaimable, kreclaimable, page_tables, sec_page_tables, kernel_stack,
		vmalloc, percpu, swap_total, swap_free, commit_limit, committed; /* kB */
};
void parse_meminfo(const char *text, struct meminfo *ret);

struct cpu_ticks {
	long long busy;	 /* user + nice + system + irq + softirq, in USER_HZ ticks */
	long long total; /* busy + idle + iowait + steal */
	long long steal;
	long long ctxt; /* context switches since boot */
	long long cpus; /* that are online; 0 where they are not listed */
};
/* Of user nice system idle iowait irq softirq steal; guest time is already in user. */
long long ticks_busy(const long long v[8]);
long long ticks_all(const long long v[8]);
void parse_stat(const char *text, struct cpu_ticks *ret);

struct loadavg {
	double load1;
	long long tasks; /* schedulable entities that exist now */
};
void parse_loadavg(const char *text, struct loadavg *ret);

/* Microseconds of "some" and "full" stall since boot from a /proc/pressure file. */
void parse_pressure(const char *text, long long *ret_some_us, long long *ret_full_us);

struct vmstat {
	long long swap_in, swap_out, majfault;
};
void parse_vmstat(const char *text, struct vmstat *ret);

/* Pages on the free lists of single CPUs: the sum of all "count:" of /proc/zoneinfo; -1 when there is none.
 */
long long parse_zone_lists(const char *text);

struct pid_stat {
	char comm[64];
	char state;
	pid_t ppid;
	long long threads;
	long long ticks;      /* utime + stime, USER_HZ */
	long long start_time; /* ticks after boot */
};
/* False when the line has too few fields. The name may hold blanks and parentheses. */
bool parse_pid_stat(const char *text, struct pid_stat *ret);

/* What smaps_rollup says of a process, kB; -1 where absent. */
struct process_memory {
	long long rss, pss;
	long long uss; /* private, clean and dirty */
};
void parse_smaps_rollup(const char *text, struct process_memory *ret);

/* First number of a schedstat file: nanoseconds on a CPU; -1 when it is none. */
long long parse_schedstat(const char *text);

/* "usage_usec N" of a cgroup v2 cpu.stat, in nanoseconds; -1 where absent. */
long long parse_cgroup_cpu_stat(const char *text);

/* MemTotal - MemAvailable as a share of MemTotal, and used swap of SwapTotal (0 without swap), in percent;
   NAN where fields are missing. */
double meminfo_ram_pct(const struct meminfo *m);
double meminfo_swap_pct(const struct meminfo *m);

/* "Key: value" or "Key\t: value" of /proc/cpuinfo and /proc/PID/status; the caller frees it; NULL without
 * such a line. */
char *proc_field(const char *text, const char *key);
/* A number of such a line (the unit is left out); -1 without one. */
long long proc_number(const char *text, const char *key);
/* Value of KEY="value" in os-release's format; the caller frees it; NULL without it. */
char *os_release_value(const char *text, const char *key);

/* "1", "2", "hybrid" or "" by the mounts of /proc/self/mountinfo. */
const char *cgroup_version(const char *mountinfo);
/* "/a/b" of the line "9:cpu,pids:/a/b" of /proc/PID/cgroup for that controller, of "0::/a/b" for NULL; NULL
   without one. The caller frees it. */
char *cgroup_of(const char *self_cgroup, const char *controller);
/*
 * Where the cgroup of a process is mounted, by /proc/self/cgroup and /proc/self/mountinfo:
 * its folder, and in *ret_top the mount point where walking up ends. controller NULL
 * means v2. NULL when it is not mounted. The caller frees both.
 */
char *cgroup_folder(const char *self_cgroup, const char *mountinfo, const char *controller, char **ret_top);

/* Whether a /proc/PID/uid_map maps less than all users: that namespace is a container's. */
bool uid_map_is_partial(const char *text);

#endif
