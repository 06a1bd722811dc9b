/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_RECORD_INTERVAL_H
#define MVM_RECORD_INTERVAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "record/nodes.h"
#include "record/sample.h"

/*
 * Columns of intervals.csv beyond mean and sd of the metrics: X(symbol, column, meaning).
 * The ledger_* columns reconcile the drop of MemAvailable since the baseline.
 */
#define INTERVAL_EXTRAS(X)                                                                                  \
	X(SETTLE_S, "settle_s", "seconds from the last start until the host was quiet")                     \
	X(BOOT_P50, "boot_p50_ms", "spawn to ready, median of the VMs started in this interval")            \
	X(BOOT_P95, "boot_p95_ms", "spawn to ready, 95th percentile")                                       \
	X(BOOT_P99, "boot_p99_ms", "spawn to ready, 99th percentile")                                       \
	X(UP_P50, "up_p50_ms", "spawn to process image in place, median")                                   \
	X(START_P50, "start_p50_ms", "spawn to started, where that is a step of its own, median")           \
	X(KVM_CREATE_VM_P50, "kvm_create_vm_p50_us", "KVM_CREATE_VM, median (backend kvm)")                 \
	X(KVM_CREATE_VM_P99, "kvm_create_vm_p99_us", "KVM_CREATE_VM, 99th percentile")                      \
	X(KVM_CREATE_VCPU_P50, "kvm_create_vcpu_p50_us", "KVM_CREATE_VCPU, median")                         \
	X(KVM_CREATE_VCPU_P99, "kvm_create_vcpu_p99_us", "KVM_CREATE_VCPU, 99th percentile")                \
	X(KVM_SETUP_P50, "kvm_setup_p50_us", "vCPU mapping, memory slot, registers; median")                \
	X(KVM_SETUP_P99, "kvm_setup_p99_us", "the same, 99th percentile")                                   \
	X(KVM_FIRST_RUN_P50, "kvm_first_run_p50_us", "first KVM_RUN until it returned, median")             \
	X(KVM_FIRST_RUN_P99, "kvm_first_run_p99_us", "the same, 99th percentile")                           \
	X(LAUNCH_RATE, "launch_rate_per_s", "VMs ready per second while launching")                         \
	X(LAUNCH_CPU, "launch_cpu_ms_per_vm", "CPU time of the whole host per VM while launching")          \
	X(LAUNCH_S, "launch_s", "seconds spent launching")                                                  \
	X(LAUNCH_WAIT, "launch_wait_s", "of them: waiting until the host had memory again")                 \
	X(WAKE_P50, "wake_p50_ms", "ping to pong, median of the VMs asked")                                 \
	X(WAKE_P99, "wake_p99_ms", "ping to pong, 99th percentile")                                         \
	X(PROVEN_READY, "proven_ready", "VMs counted because their own ready line was read")                \
	X(PROVEN_CLONE, "proven_clone", "VMs counted as clones of a ready VM")                              \
	X(PROVEN_PING, "proven_ping", "VMs that answered a ping in this interval")                          \
	X(PING_ASKED, "ping_asked", "VMs that were asked")                                                  \
	X(UNPROVEN, "unproven", "VMs that run and did not answer: not in vm_count")                         \
	X(LIFE_ASKED, "life_asked_pct", "CPU that waveforms asked for since the VMs were ready, of a vCPU") \
	X(LIFE_GOT, "life_got_pct", "CPU that those VMs used in all that time")                             \
	X(LIFE_OVER, "life_over_pct", "points above what it was asked for, of the VM with the most")        \
	X(DIED, "died", "VMs lost so far in this run")                                                      \
	X(MEM_PER_VM, "mem_per_vm_kb", "drop of available memory since the baseline, per VM")               \
	X(MEM_MARGINAL, "mem_per_vm_marginal_kb", "the same since the previous interval")                   \
	X(CGROUP_MEM_PER_VM, "cgroup_mem_per_vm_kb", "memory of the VMs' cgroup, per VM")                   \
	X(LEDGER_DROP, "ledger_drop_kb", "drop of MemAvailable and CPUs' free lists since the baseline")    \
	X(LEDGER_ANON, "ledger_anon_kb", "of it: anonymous memory")                                         \
	X(LEDGER_SHMEM, "ledger_shmem_kb", "of it: shared memory and tmpfs")                                \
	X(LEDGER_SLAB, "ledger_slab_kb", "of it: unreclaimable slab")                                       \
	X(LEDGER_PAGE_TABLES, "ledger_page_tables_kb", "of it: page tables, those of KVM included")         \
	X(LEDGER_STACKS, "ledger_kernel_stack_kb", "of it: kernel stacks")                                  \
	X(LEDGER_PERCPU, "ledger_percpu_kb", "of it: per-CPU memory")                                       \
	X(LEDGER_VMALLOC, "ledger_vmalloc_kb", "of it: vmalloc other than stacks")                          \
	X(LEDGER_REST, "ledger_rest_kb", "what these parts do not explain")                                 \
	X(RUNS, "runs", "ramps that this row pools")

enum interval_extra {
#define EXTRA_SYMBOL(sym, column, meaning) EXTRA_##sym,
	INTERVAL_EXTRAS(EXTRA_SYMBOL)
#undef EXTRA_SYMBOL
		EXTRA_COUNT
};
extern const char *const interval_extra_columns[EXTRA_COUNT];
extern const char *const interval_extra_meanings[EXTRA_COUNT];

/* Running mean and sum of squared deviations (Welford 1962, Technometrics 4(3)). */
struct moments {
	double mean, m2;
	unsigned n;
};
void moments_add(struct moments *m, double value); /* NAN is passed over */
double moments_mean(const struct moments *m);	   /* NAN of none */
double moments_sd(const struct moments *m);	   /* sample sd; 0 of one, NAN of none */

/* One row of intervals.csv; with repeats it pools the samples of all ramps at that step. */
struct interval {
	struct moments vm_count;
	struct moments metric[METRIC_COUNT];
	struct moments node[NODES_SHOWN][NODE_COLUMN_COUNT]; /* one reading for each ramp */
	double extra[EXTRA_COUNT]; /* of the latest ramp; latencies and rates averaged over ramps */
	unsigned samples, invalid; /* invalid: samples with a counter that ran backward, left out */
	unsigned runs;
	bool settled; /* in every ramp */
};

void interval_init(struct interval *i);
void interval_add(struct interval *i, const struct sample *s, uint32_t vm_count);
/* Fills the memory columns against the baseline and the previous interval (may be NULL). */
void interval_ledger(struct interval *i, const struct interval *baseline, const struct interval *previous);

#endif
