/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_SAMPLE_VMCPU_H
#define MVM_SAMPLE_VMCPU_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* CPU time of all threads of a process, in nanoseconds, the time slice that is running included (which
   /proc/PID/schedstat lacks); -1 when it has gone. */
int64_t vmcpu_ns(pid_t pid);

/* Time that its threads waited for a CPU while others had it, in nanoseconds; 0 where the kernel does not
 * tell. */
int64_t vmcpu_waited_ns(pid_t pid);

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

#endif
