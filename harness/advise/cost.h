/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_ADVISE_COST_H
#define MVM_ADVISE_COST_H

#include <jansson.h>

#include "record/interval.h"
#include "record/read.h"

/* The parts of a VM's memory: P(symbol, EXTRA_ of intervals.csv, name in JSON, words, is kernel memory). */
#define COST_PARTS(P)                                                          \
	P(ANON, LEDGER_ANON, "anonymous", "anonymous", false)                  \
	P(SHMEM, LEDGER_SHMEM, "shared", "shared", false)                      \
	P(SLAB, LEDGER_SLAB, "slab", "slab", true)                             \
	P(PAGE_TABLES, LEDGER_PAGE_TABLES, "page_tables", "page tables", true) \
	P(STACKS, LEDGER_STACKS, "kernel_stacks", "kernel stacks", true)       \
	P(PERCPU, LEDGER_PERCPU, "percpu", "per-CPU", true)                    \
	P(VMALLOC, LEDGER_VMALLOC, "vmalloc", "vmalloc", true)                 \
	P(REST, LEDGER_REST, "unexplained", "unexplained", false)

enum cost_part {
#define COST_SYMBOL(sym, extra, name, words, kernel) COST_##sym,
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
