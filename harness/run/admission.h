/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_RUN_ADMISSION_H
#define MVM_RUN_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Whether one more VM may be begun: the decision between going on, waiting for memory that is on its way,
 * and ending the ramp. Pure: it sees readings, and remembers only how long it has waited.
 */
enum admission_verdict { ADMISSION_GO, ADMISSION_WAIT, ADMISSION_STOP };

enum admission_reason {
	ADMISSION_NONE,
	ADMISSION_RAM,	      /* RAM at the threshold */
	ADMISSION_SWAP,	      /* swap at the threshold */
	ADMISSION_NO_RESERVE, /* RAM may pass its threshold, but nothing is left beyond it */
	ADMISSION_KERNEL,     /* RAM is full of kernel memory, which cannot be swapped */
	ADMISSION_MERGING,    /* KSM still gives memory back */
	ADMISSION_STALLED,    /* tasks wait for memory (PSI full) */
	ADMISSION_REASONS
};
/* A clause for messages: "waiting for ..." or "...". */
extern const char *const admission_reason_texts[ADMISSION_REASONS];

/* What ends a ramp. */
struct admission_limits {
	double threshold_pct;
	bool ram_ends, swap_ends; /* their threshold ends the run (--stop-on) */
};

/* All in percent; NAN where the host does not tell. */
struct admission_reading {
	uint64_t at_ns;
	double ram_pct, swap_pct;
	double kernel_pct; /* of RAM: slab that cannot be reclaimed, page tables, stacks */
	double stall_pct; /* share of the time since the last reading in which every task waited for memory */
	bool has_swap;	  /* the host has swap */
	bool merging;	  /* KSM runs for this population */
	double merged_mb; /* memory that KSM saves now */
};

struct admission {
	uint64_t wait_since_ns, progress_ns; /* 0: not waiting */
	double best_merged_mb;
	enum admission_reason reason; /* behind the latest verdict */
};

enum admission_verdict admission_decide(struct admission *p, const struct admission_limits *l,
					const struct admission_reading *r);

#endif
