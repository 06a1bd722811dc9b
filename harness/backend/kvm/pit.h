/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BACKEND_KVM_PIT_H
#define MVM_BACKEND_KVM_PIT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * An 8254 interval timer. Pure: the time comes in as monotonic nanoseconds, nothing runs between
 * calls; what a counter holds is computed when it is read. After Intel's data sheet 231164.
 * Modes 0, 2, 3 and 4; modes 1 and 5 wait for a gate pulse that a PC never gives on channel 0.
 */
#define PIT_HZ 1193182U

struct pit_channel {
	uint64_t start_ns; /* when the count was loaded */
	uint32_t period;   /* clocks, 1..65536 (10000 in BCD) */
	uint16_t latch;
	uint8_t mode, access; /* access: 1 low byte, 2 high byte, 3 low then high */
	uint8_t low;	      /* first byte of a count being written */
	uint8_t latched;      /* bytes of `latch` still to be read */
	uint8_t status;
	bool bcd, loaded, wrote_low, read_low, status_latched;
};

struct pit {
	struct pit_channel channel[3];
	uint64_t next_ns; /* next rising edge of channel 0's output; UINT64_MAX: none will come */
};

void pit_reset(struct pit *p);
/* port 0..2 are the channels, 3 the control word */
void pit_write(struct pit *p, unsigned port, uint8_t value, uint64_t now_ns);
uint8_t pit_read(struct pit *p, unsigned port, uint64_t now_ns);
/* Level of a channel's output. */
bool pit_output(const struct pit *p, unsigned channel, uint64_t now_ns);
/* Whether channel 0's output rose since the last call. Edges that were missed are one. */
bool pit_advance(struct pit *p, uint64_t now_ns);

#endif
