/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_REPORT_RUNTABLE_H
#define MVM_REPORT_RUNTABLE_H

#include <stddef.h>

#include "base/err.h"
#include "base/table.h"
#include "record/read.h"

/*
 * One line for each run at its full population, to set backends side by side:
 * T(symbol, name, heading, digits after the point; -1 for text, meaning).
 */
#define RUNTABLE_COLUMNS(T)                                                                        \
	T(RUN, "run", "run", -1, "name or label of the run")                                       \
	T(BACKEND, "backend", "backend", -1, "how VMs are made")                                   \
	T(SOFTWARE, "software", "software", -1, "what makes them, with its version")               \
	T(ACCEL, "accel", "accel", -1, "accelerator")                                              \
	T(LAUNCH, "launch", "launch", -1, "exec, fork or clone; clones were not booted")           \
	T(PROFILE, "profile", "profile", -1, "what the guests do")                                 \
	T(VMS, "vms", "VMs", 0, "population at the last interval; all that follows is from there") \
	T(UNPROVEN, "unproven", "silent", 0, "VMs that ran there and did not answer: not counted") \
	T(MEM, "mem_per_vm_kb", "RAM/VM kB", 0, "drop of MemAvailable per VM, kernel included")    \
	T(CGROUP, "cgroup_mem_per_vm_kb", "cgroup/VM kB", 0, "memory of the VMs' cgroup per VM")   \
	T(RSS, "rss_kb", "RSS kB", 0, "of a VM's process, shared pages counted in full")           \
	T(PSS, "pss_kb", "PSS kB", 0, "of a VM's process, shared pages counted by share")          \
	T(USS, "uss_kb", "USS kB", 0, "of a VM's process, its own pages only")                     \
	T(BOOT_P50, "boot_p50_ms", "start p50 ms", 2, "spawn to ready line, median")               \
	T(BOOT_P99, "boot_p99_ms", "p99 ms", 2, "spawn to ready line, 99th percentile")            \
	T(LAUNCH_CPU, "launch_cpu_ms_per_vm", "CPU/start ms", 2,                                   \
	  "CPU time of the whole host per VM while launching")                                     \
	T(CPU_GUESTS, "cpu_guests_pct", "VMs' CPU %", 2, "of the host, once all wait")             \
	T(CPU_ADDED, "cpu_added_pct", "CPU added %", 2,                                            \
	  "CPU of the host above its baseline, kernel threads included")

enum runtable_column {
#define TABLE_SYMBOL(sym, name, heading, digits, meaning) TABLE_##sym,
	RUNTABLE_COLUMNS(TABLE_SYMBOL)
#undef TABLE_SYMBOL
		RUNTABLE_COLUMN_COUNT
};

/* The table of n runs; what a run does not have is unknown, and text and Markdown
   leave out what no run has. The caller frees it. An error when a run has no interval with a VM. Pure. */
error *runtable_render(struct run_record *const *runs, size_t n, enum table_format format,
		       char **ret) ERR_MUST_CHECK;

#endif
