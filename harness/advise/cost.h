/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_ADVISE_COST_H
#define MVM_ADVISE_COST_H

#include <jansson.h>

#include "record/read.h"

/* The parts of a VM's memory: P(symbol, column of intervals.csv, name in JSON, words, is kernel memory). */
#define COST_PARTS(P)                                                               \
	P(ANON, "ledger_anon_kb", "anonymous", "anonymous", false)                  \
	P(SHMEM, "ledger_shmem_kb", "shared", "shared", false)                      \
	P(SLAB, "ledger_slab_kb", "slab", "slab", true)                             \
	P(PAGE_TABLES, "ledger_page_tables_kb", "page_tables", "page tables", true) \
	P(STACKS, "ledger_kernel_stack_kb", "kernel_stacks", "kernel stacks", true) \
	P(PERCPU, "ledger_percpu_kb", "percpu", "per-CPU", true)                    \
	P(VMALLOC, "ledger_vmalloc_kb", "vmalloc", "vmalloc", true)                 \
	P(REST, "ledger_rest_kb", "unexplained", "unexplained", false)

enum cost_part {
#define COST_SYMBOL(sym, column, name, words, kernel) COST_##sym,
	COST_PARTS(COST_SYMBOL)
#undef COST_SYMBOL
		COST_PART_COUNT
};

/* What one more VM takes: slopes over the VM count. NAN: not recorded. */
struct measured_cost {
	double part_kb[COST_PART_COUNT];
	double user_kb, kernel_kb; /* sums of the parts that are known */
	double inside_kb; /* what VMs hold by their own count: PSS and the kernel's parts; NAN where unknown
			   */
	double woken_kb;  /* what one that was pinged keeps on top; NAN: cannot be told */
	double guest_core_pct;			/* CPU of the guests themselves, % of one core */
	double kdamond_core_pct, ksmd_core_pct; /* CPU of kernel threads that comes with a VM */
	double wakes_per_s;			/* of a VM at rest */
	double wake_core_us;			/* CPU time of one wake, microseconds; NAN without wakes */
};

/* Fits each ledger column; pure. */
void measured_cost_of(const struct run_record *r, struct measured_cost *ret);
json_t *measured_cost_json(const struct measured_cost *c);
/* The robust slope of any column of intervals.csv over vm_count; NAN where there is none. */
double run_slope(const struct run_record *r, const char *column);

#endif
