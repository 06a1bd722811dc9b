/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_REPORT_TABLE_H
#define MVM_REPORT_TABLE_H

#include <stddef.h>

#include "base/err.h"
#include "curve/runread.h"

/*
 * One line for each run at its full population, to set backends side by side:
 * T(symbol, name, heading, digits after the point; -1 for text, meaning).
 */
#define TABLE_COLUMNS(T)                                                                           \
	T(RUN, "run", "run", -1, "name or label of the run")                                       \
	T(BACKEND, "backend", "backend", -1, "how VMs are made")                                   \
	T(SOFTWARE, "software", "software", -1, "what makes them, with its version")               \
	T(ACCEL, "accel", "accel", -1, "accelerator")                                              \
	T(LAUNCH, "launch", "launch", -1, "exec, fork or clone; clones were not booted")           \
	T(PROFILE, "profile", "profile", -1, "what the guests do")                                 \
	T(VMS, "vms", "VMs", 0, "population at the last interval; all that follows is from there") \
	T(MEM, "mem_per_vm_kb", "RAM/VM kB", 0, "drop of MemAvailable per VM, kernel included")    \
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

enum table_column {
#define TABLE_SYMBOL(sym, name, heading, digits, meaning) TABLE_##sym,
	TABLE_COLUMNS(TABLE_SYMBOL)
#undef TABLE_SYMBOL
		TABLE_COLUMN_COUNT
};

enum table_format { TABLE_TEXT, TABLE_CSV, TABLE_JSON, TABLE_MARKDOWN, TABLE_FORMATS };
extern const char *const table_format_names[TABLE_FORMATS];

/* The table of n runs; what a run does not have is empty ("-" in text, null in JSON). The caller frees it.
   An error when a run has no interval with a VM. Pure. */
error *table_render(struct run_record *const *runs, size_t n, enum table_format format,
		    char **ret) ERR_MUST_CHECK;

#endif
