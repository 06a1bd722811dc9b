/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_MODEL_FIDELITY_H
#define MVM_MODEL_FIDELITY_H

#include <stddef.h>
#include <stdint.h>

/* How well a load followed what was asked of it; points of CPU of one vCPU. */
struct fidelity {
	size_t samples;
	double asked, got; /* means, percent */
	double mean, rms;  /* of got - asked over the samples; NAN of none */
};
/* Of n samples of equal length. Pure. */
struct fidelity fidelity_of(const double *asked, const double *got, size_t n);

/* The same over the whole lives of VMs, so that nothing can happen between two samples. Begins as 0. */
struct lives {
	size_t count;
	double ms, asked, got; /* sums; asked and got in percent * ms */
	double over;	       /* points above what was asked for, of the VM that got most above it */
};
/* One more VM, which was asked for so many percent over ms, and used got_ns of CPU time. Pure. */
void lives_add(struct lives *l, double ms, double asked_pct, int64_t got_ns);

/* What one VM was asked for and what it did, window by window. */
struct wave_measured {
	size_t count;
	double *at_s, *asked, *got; /* middle of a window after the waveform's start, percent of a vCPU */
	struct fidelity fidelity;
	struct lives life; /* since it was ready, what came before the first window included */
	double waited_pct; /* of the time: it had work and no CPU, because others had it */
	char *accel, *binary, *version;
};
void wave_measured_clear(struct wave_measured *m);

#endif
