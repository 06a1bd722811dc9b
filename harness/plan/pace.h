/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_PLAN_PACE_H
#define MVM_PLAN_PACE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Whether one more VM may be begun: the decision between going on, waiting for memory that is on its way,
 * and ending the ramp. Pure: it sees readings, and remembers only how long it has waited.
 */
enum pace_verdict { PACE_GO, PACE_WAIT, PACE_STOP };

enum pace_reason {
	PACE_NONE,
	PACE_RAM,	 /* RAM at the threshold */
	PACE_SWAP,	 /* swap at the threshold */
	PACE_NO_RESERVE, /* RAM may pass its threshold, but nothing is left beyond it */
	PACE_KERNEL,	 /* RAM is full of kernel memory, which cannot be swapped */
	PACE_MERGING,	 /* KSM still gives memory back */
	PACE_STALLED,	 /* tasks wait for memory (PSI full) */
	PACE_REASONS
};
/* A clause for messages: "waiting for ..." or "...". */
extern const char *const pace_reason_texts[PACE_REASONS];

/* What ends a ramp. */
struct pace_limits {
	double threshold_pct;
	bool ram_ends, swap_ends; /* their threshold ends the run (--stop-on) */
};

/* All in percent; NAN where the host does not tell. */
struct pace_reading {
	uint64_t at_ns;
	double ram_pct, swap_pct;
	double kernel_pct; /* of RAM: slab that cannot be reclaimed, page tables, stacks */
	double stall_pct; /* share of the time since the last reading in which every task waited for memory */
	bool has_swap;	  /* the host has swap */
	bool merging;	  /* KSM runs for this population */
	double merged_mb; /* memory that KSM saves now */
};

struct pace {
	uint64_t wait_since_ns, progress_ns; /* 0: not waiting */
	double best_merged_mb;
	enum pace_reason reason; /* behind the latest verdict */
};

enum pace_verdict pace_decide(struct pace *p, const struct pace_limits *l, const struct pace_reading *r);

#endif
