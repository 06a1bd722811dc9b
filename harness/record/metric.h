/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_RECORD_METRIC_H
#define MVM_RECORD_METRIC_H

#include <stdbool.h>

/*
 * The one table of metrics: M(symbol, column, label, unit, normalized).
 * Columns of samples.csv and intervals.csv, `list metrics`, plot labels and the
 * documentation all derive from it. A normalized metric is 0-100 % of the host.
 */
#define METRICS(M)                                                                            \
	M(CPU, "cpu_pct", "CPU", "%", true)                                                   \
	M(RAM, "ram_pct", "RAM", "%", true)                                                   \
	M(SWAP, "swap_pct", "swap", "%", true)                                                \
	M(CPU_STAT, "cpu_stat_pct", "CPU by /proc/stat ticks", "%", true)                     \
	M(CPU_GUESTS, "cpu_guests_pct", "CPU of the guests", "%", true)                       \
	M(CPU_HARNESS, "cpu_harness_pct", "CPU of the harness", "%", true)                    \
	M(CPU_KSMD, "cpu_ksmd_pct", "CPU of ksmd", "%", true)                                 \
	M(CPU_KDAMOND, "cpu_kdamond_pct", "CPU of kdamond", "%", true)                        \
	M(CPU_KSWAPD, "cpu_kswapd_pct", "CPU of kswapd", "%", true)                           \
	M(CPU_KCOMPACTD, "cpu_kcompactd_pct", "CPU of kcompactd", "%", true)                  \
	M(CPU_KHUGEPAGED, "cpu_khugepaged_pct", "CPU of khugepaged", "%", true)               \
	M(CPU_KOTHER, "cpu_kthreads_pct", "CPU of other kernel threads", "%", true)           \
	M(CPU_REST, "cpu_rest_pct", "CPU not attributed", "%", true)                          \
	M(CPU_PREDICTED, "cpu_predicted_pct", "CPU predicted", "%", true)                     \
	M(STEAL, "steal_pct", "CPU stolen by an outer hypervisor", "%", true)                 \
	M(LOAD1, "load1", "load average, 1 min", "tasks", false)                              \
	M(CTXT, "ctxt_per_s", "context switches", "1/s", false)                               \
	M(PSI_CPU, "psi_cpu_some_pct", "CPU pressure, some", "%", false)                      \
	M(PSI_MEM, "psi_mem_some_pct", "memory pressure, some", "%", false)                   \
	M(PSI_MEM_FULL, "psi_mem_full_pct", "memory pressure, full", "%", false)              \
	M(PSI_IO, "psi_io_some_pct", "I/O pressure, some", "%", false)                        \
	M(MEM_AVAILABLE, "mem_available_kb", "MemAvailable", "kB", false)                     \
	M(MEM_FREE, "mem_free_kb", "MemFree", "kB", false)                                    \
	M(MEM_LISTS, "mem_lists_kb", "free, on lists of single CPUs", "kB", false)            \
	M(FILE_CACHE, "file_cache_kb", "page cache", "kB", false)                             \
	M(ANON, "anon_kb", "anonymous memory", "kB", false)                                   \
	M(SHMEM, "shmem_kb", "shared memory", "kB", false)                                    \
	M(SLAB, "slab_kb", "slab", "kB", false)                                               \
	M(SLAB_RECLAIMABLE, "slab_reclaimable_kb", "slab, reclaimable", "kB", false)          \
	M(PAGE_TABLES, "page_tables_kb", "page tables", "kB", false)                          \
	M(SEC_PAGE_TABLES, "sec_page_tables_kb", "secondary (KVM) page tables", "kB", false)  \
	M(KERNEL_STACK, "kernel_stack_kb", "kernel stacks", "kB", false)                      \
	M(VMALLOC, "vmalloc_kb", "vmalloc", "kB", false)                                      \
	M(PERCPU, "percpu_kb", "per-CPU memory", "kB", false)                                 \
	M(SWAP_USED, "swap_used_kb", "swap used", "kB", false)                                \
	M(SWAP_IN, "swap_in_per_s", "pages swapped in", "1/s", false)                         \
	M(SWAP_OUT, "swap_out_per_s", "pages swapped out", "1/s", false)                      \
	M(MAJFAULT, "majfault_per_s", "major faults", "1/s", false)                           \
	M(KSM_SHARED, "ksm_pages_shared", "KSM pages shared", "pages", false)                 \
	M(KSM_SHARING, "ksm_pages_sharing", "KSM pages sharing", "pages", false)              \
	M(KSM_UNSHARED, "ksm_pages_unshared", "KSM pages unshared", "pages", false)           \
	M(KSM_SCANS, "ksm_full_scans", "KSM full scans", "scans", false)                      \
	M(DISK, "disk_pct", "disk, of its capacity", "%", true)                               \
	M(DISK_READ, "disk_read_mb_per_s", "disk read", "MB/s", false)                        \
	M(DISK_WRITE, "disk_write_mb_per_s", "disk written", "MB/s", false)                   \
	M(DISK_IO, "disk_io_per_s", "disk operations", "1/s", false)                          \
	M(NET, "net_pct", "network, of its capacity", "%", true)                              \
	M(NET_MB, "net_mb_per_s", "network, lo and real interfaces", "MB/s", false)           \
	M(NET_PACKETS, "net_packets_per_s", "packets, lo and real interfaces", "1/s", false)  \
	M(TASKS, "tasks", "tasks (pids used)", "tasks", false)                                \
	M(GUEST_RSS, "guest_rss_kb", "RSS of a guest process, mean of a sample", "kB", false) \
	M(GUEST_PSS, "guest_pss_kb", "PSS of a guest process, mean of a sample", "kB", false) \
	M(GUEST_USS, "guest_uss_kb", "USS of a guest process, mean of a sample", "kB", false) \
	M(CGROUP_MEM, "cgroup_mem_kb", "memory of the VMs' cgroup", "kB", false)              \
	M(CGROUP_TASKS, "cgroup_tasks", "tasks in the VMs' cgroup", "tasks", false)           \
	M(HARNESS_RSS, "harness_rss_kb", "RSS of the harness", "kB", false)                   \
	M(SAMPLE_COST, "sample_cost_us", "CPU time of taking this sample", "us", false)

enum metric {
#define METRIC_SYMBOL(sym, column, label, unit, normalized) METRIC_##sym,
	METRICS(METRIC_SYMBOL)
#undef METRIC_SYMBOL
		METRIC_COUNT
};

struct metric_info {
	const char *column;    /* name in samples.csv */
	const char *mean, *sd; /* in intervals.csv */
	const char *label;
	const char *unit;
	bool normalized;
};

extern const struct metric_info metric_table[METRIC_COUNT];

/* Index of the metric with that column name, -1 when there is none. */
int metric_by_name(const char *column);

#endif
