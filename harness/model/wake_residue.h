/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_MODEL_WAKE_RESIDUE_H
#define MVM_MODEL_WAKE_RESIDUE_H

#include <stddef.h>

/* Between so many rows the count of woken VMs is interpolated. */
#define WAKE_RESIDUE_KNOTS 64

/*
 * A VM that was pinged keeps the pages that it wrote, the threads that came back and their page tables. Each
 * interval pings a share of the population, so the number of such VMs grows faster than the population
 * itself, and memory over VMs bends upward. This says how many they are and what each keeps.
 */
struct wake_residue {
	size_t n; /* knots; 0: no pings, or nothing that one keeps */
	double vms[WAKE_RESIDUE_KNOTS],
		at[WAKE_RESIDUE_KNOTS]; /* VMs, and how many of them were woken before they were measured */
	double step, share;		/* how it goes on: VMs per interval, share of them that is pinged */
	double afresh; /* behind the data: share woken at the end of another such ramp; 0: this one goes on */
	double kb, kb_se; /* memory that each keeps, with its standard error */
};

/* How many VMs were woken before each interval was measured: pings fall at random, some on VMs woken before.
 */
void wake_residue_count(const double *vms, const double *asked, size_t n, double *ret);
/*
 * vms, asked, held_kb: per interval VMs, pings sent after it was measured, memory held in pages, page tables
 * and stacks. What each keeps is the slope of the
 * marginal memory over the share of VMs woken meanwhile (differences, as what one VM takes differs and adds
 * up); kb is 0 and n is 0 where that slope is not above 0 at 95 % confidence, where VMs become fewer, or
 * where values are missing. Pure.
 */
void wake_residue_fit(const double *vms, const double *asked, const double *held_kb, size_t n,
		      struct wake_residue *ret);
/*
 * VMs woken among so many; behind the data as if the ramp went on with steps as they were in the mean and the
 * same share: d(woken) = share (vms - woken) per step. 0 without pings.
 */
double wake_residue_at(const struct wake_residue *w, double vms);

/* The share of VMs that were woken when a ramp of so many intervals ends, `share` being pinged at each. */
double wake_residue_share(double share, unsigned intervals);

#endif
