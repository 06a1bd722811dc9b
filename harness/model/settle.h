/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_MODEL_SETTLE_H
#define MVM_MODEL_SETTLE_H

#include <stdbool.h>
#include <stddef.h>

/* The points over which quiet is judged. */
#define SETTLE_POINTS 6

/* A sliding window of the latest readings of CPU and RAM, in percent of the host. */
struct settle {
	double t[SETTLE_POINTS], cpu[SETTLE_POINTS], ram[SETTLE_POINTS];
	size_t n; /* readings since the start */
};

void settle_add(struct settle *s, double t_s, double cpu_pct, double ram_pct);

/*
 * True when, over the last SETTLE_POINTS readings, the least-squares line of each
 * metric moves by less than its tolerance (percent of the host) from end to end.
 * For CPU the tolerance grows with the scatter around that line: noise is not drift.
 */
bool settle_quiet(const struct settle *s, double cpu_tolerance, double ram_tolerance);

#endif
