/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BASE_CLOCK_H
#define MVM_BASE_CLOCK_H

#include <stdint.h>

/* Monotonic nanoseconds; only differences mean anything. */
uint64_t clock_ns(void);
/* Until that time of clock_ns(); 0 when it is over. */
uint64_t clock_left_ns(uint64_t deadline);
/* CPU time that this process has used so far, in nanoseconds. */
uint64_t clock_cpu_ns(void);
/* Sleeps at least ns nanoseconds or until a signal arrives. */
void clock_sleep_ns(uint64_t ns);
/* "20131102T153000Z" of the wall clock, for folder names; buf holds 17 bytes. */
void clock_utc_stamp(char buf[17]);
/* "2013-11-02T15:30:00Z"; buf holds 21 bytes. */
void clock_utc_iso(char buf[21]);

#endif
