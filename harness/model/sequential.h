/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_MODEL_SEQUENTIAL_H
#define MVM_MODEL_SEQUENTIAL_H

#include <stdbool.h>
#include <stddef.h>

/*
 * When to look at a comparison that still grows. Every look spends a part of alpha, 2/3 of what is left, and
 * the parts add up to less than alpha: so the chance of a false alarm at any of the looks is below alpha,
 * however they depend on each other (Bonferroni over looks; the idea of spending: K. K. G. Lan, D. L. DeMets,
 * Biometrika 70 (1983) 659).
 */
struct look_plan {
	size_t looks; /* made so far */
	double left;  /* share of alpha not yet spent */
	size_t next;  /* runs a side at the next look; 0: not known before the first */
};
struct look_plan look_plan_start(void);
/* Plans the first look, once it is known how many figures share alpha: as early as the test can tell. */
void look_plan_first(struct look_plan *p, double alpha, size_t figures);
/* Takes the share of alpha for a look now; the last one takes all that is left. Plans the next. */
double look_plan_spend(struct look_plan *p, bool last);

/* Side of the i-th run (from 0), 0 = A and 1 = B: A B B A A B B A..., so that a steady drift meets both
 * alike. */
int abba_side(size_t i);

#endif
