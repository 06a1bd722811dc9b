/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "run/admission.h"

#include <math.h>

/* Where RAM may pass its threshold (swap is wanted), the host itself is at risk beyond these. */
#define RAM_NEVER_ABOVE_PCT 96
#define SWAP_NEVER_ABOVE_PCT 95
#define KERNEL_NEVER_ABOVE_PCT 88
/* A VM weighs many times its final size until KSM has seen it: launching stops short of the threshold by so
   much, and goes on when merging has given so much back. */
#define MERGE_MARGIN_PCT 2
#define MERGE_RESUME_PCT 4
#define MERGE_PROGRESS_MB 2
#define MERGE_PATIENCE_NS 20000000000ULL
/* Tasks that wait for memory a quarter of the time are a swap storm in the making. */
#define STALL_WAIT_PCT 25
#define STALL_RESUME_PCT 10
#define STALL_PATIENCE_NS 30000000000ULL

const char *const admission_reason_texts[ADMISSION_REASONS] = {
	[ADMISSION_NONE] = "nothing",
	[ADMISSION_RAM] = "RAM is at the threshold",
	[ADMISSION_SWAP] = "swap is at the threshold",
	[ADMISSION_NO_RESERVE] = "RAM is nearly full and no swap is left: the host comes before --stop-on",
	[ADMISSION_KERNEL] =
		"RAM is full of kernel memory (slab, page tables, stacks), which cannot be swapped",
	[ADMISSION_MERGING] = "KSM to merge what was launched",
	[ADMISSION_STALLED] = "the host to find memory (its tasks stall)",
};

static enum admission_verdict verdict(struct admission *p, enum admission_verdict v,
				      enum admission_reason why)
{
	p->reason = why;
	if (v == ADMISSION_GO)
		p->wait_since_ns = 0;
	return v;
}

/* Waiting is bounded: `patience` after the last progress it has failed, and `otherwise` is the answer. */
static enum admission_verdict wait_for(struct admission *p, enum admission_reason why, uint64_t now,
				       uint64_t patience, enum admission_reason otherwise)
{
	if (!p->wait_since_ns || p->reason != why)
		p->wait_since_ns = p->progress_ns = now;
	if (now - p->progress_ns > patience)
		return verdict(p, ADMISSION_STOP, otherwise);
	return verdict(p, ADMISSION_WAIT, why);
}

static enum admission_verdict while_merging(struct admission *p, const struct admission_limits *l,
					    const struct admission_reading *r)
{
	bool waiting = p->wait_since_ns && p->reason == ADMISSION_MERGING;

	if (r->ram_pct < l->threshold_pct - (waiting ? MERGE_RESUME_PCT : MERGE_MARGIN_PCT)) {
		p->best_merged_mb = r->merged_mb;
		return verdict(p, ADMISSION_GO, ADMISSION_NONE);
	}
	if (!waiting || r->merged_mb > p->best_merged_mb + MERGE_PROGRESS_MB) {
		p->best_merged_mb = r->merged_mb;
		p->progress_ns = r->at_ns;
	}
	return wait_for(p, ADMISSION_MERGING, r->at_ns, MERGE_PATIENCE_NS, ADMISSION_RAM);
}

/* RAM's own threshold does not count: then these keep the host alive. */
static enum admission_verdict beyond_ram(struct admission *p, const struct admission_reading *r)
{
	if (r->ram_pct >= RAM_NEVER_ABOVE_PCT && !(r->has_swap && r->swap_pct < SWAP_NEVER_ABOVE_PCT))
		return verdict(p, ADMISSION_STOP, ADMISSION_NO_RESERVE);
	if (r->ram_pct >= RAM_NEVER_ABOVE_PCT && r->kernel_pct >= KERNEL_NEVER_ABOVE_PCT)
		return verdict(p, ADMISSION_STOP, ADMISSION_KERNEL);
	return ADMISSION_GO;
}

enum admission_verdict admission_decide(struct admission *p, const struct admission_limits *l,
					const struct admission_reading *r)
{
	bool stalled = p->wait_since_ns && p->reason == ADMISSION_STALLED;

	if (l->swap_ends && r->swap_pct >= l->threshold_pct)
		return verdict(p, ADMISSION_STOP, ADMISSION_SWAP);
	if (r->stall_pct >= (stalled ? STALL_RESUME_PCT : STALL_WAIT_PCT))
		return wait_for(p, ADMISSION_STALLED, r->at_ns, STALL_PATIENCE_NS, ADMISSION_STALLED);
	if (!l->ram_ends && beyond_ram(p, r) == ADMISSION_STOP)
		return ADMISSION_STOP;
	if (l->ram_ends && r->merging)
		return while_merging(p, l, r);
	if (l->ram_ends && r->ram_pct >= l->threshold_pct)
		return verdict(p, ADMISSION_STOP, ADMISSION_RAM);
	return verdict(p, ADMISSION_GO, ADMISSION_NONE);
}
