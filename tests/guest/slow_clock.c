/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Loaded into a QEMU (LD_PRELOAD): every so often it loses its CPU for 0.15 to 0.55 ms before it is told the
 * time. So the counts of a timer's channels, which it latches one after the other, are not of one moment. On
 * a busy host that happens by itself, but seldom. See tests/e2e/wave.sh.
 */
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ONE_IN 50

int clock_gettime(clockid_t clock, struct timespec *ret)
{
	static _Atomic unsigned state = 1;
	unsigned x = atomic_fetch_add(&state, 0x9E3779B9U);

	/* splitmix32: each number follows from its place alone, whichever thread draws it */
	x = (x ^ x >> 16) * 0x85EBCA6BU;
	x = (x ^ x >> 13) * 0xC2B2AE35U;
	x ^= x >> 16;
	if (clock == CLOCK_MONOTONIC && x % ONE_IN == 0) {
		struct timespec lost = { .tv_nsec = 150000 + x / ONE_IN % 400000 };

		syscall(SYS_nanosleep, &lost, NULL);
	}
	return (int)syscall(SYS_clock_gettime, clock, ret);
}
