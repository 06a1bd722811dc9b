/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sample/vmcpu.h"

#include <math.h>
#include <time.h>

int64_t vmcpu_ns(pid_t pid)
{
	struct timespec t;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &t) < 0)
		return -1;
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

struct fidelity fidelity_of(const double *asked, const double *got, size_t n)
{
	struct fidelity f = { .samples = n, .asked = NAN, .got = NAN, .mean = NAN, .rms = NAN };
	double a = 0, g = 0, squares = 0;

	if (!n)
		return f;
	for (size_t i = 0; i < n; i++) {
		a += asked[i];
		g += got[i];
		squares += (got[i] - asked[i]) * (got[i] - asked[i]);
	}
	f.asked = a / (double)n;
	f.got = g / (double)n;
	f.mean = f.got - f.asked;
	f.rms = sqrt(squares / (double)n);
	return f;
}
