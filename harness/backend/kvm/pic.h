/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BACKEND_KVM_PIC_H
#define MVM_BACKEND_KVM_PIC_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Two 8259A interrupt controllers as a PC has them: the slave's output is the master's IRQ 2.
 * Pure: registers in, registers out. After Intel's data sheet 231468, 8086 mode.
 */
struct pic_chip {
	uint8_t irr, isr, imr; /* requested, in service, masked */
	uint8_t lines;	       /* levels of the eight inputs */
	uint8_t base;	       /* vector of its IRQ 0 */
	uint8_t top;	       /* the input with the highest priority */
	uint8_t next_icw;      /* which ICW the data port takes next; 0: none, it is the mask */
	bool needs_icw4, single, level, auto_eoi, auto_rotate, special_mask, read_isr, poll;
};

struct pic {
	struct pic_chip chip[2]; /* master, slave */
};

enum { PIC_MASTER, PIC_SLAVE };

/* As after power-on: uninitialized, nothing is delivered sensibly before the ICWs. */
void pic_reset(struct pic *p);
/* Sets the level of an input, 0..15. A rising edge is a request; it is gone if the level falls before it
   was acknowledged. */
void pic_line(struct pic *p, unsigned irq, bool level);
/* Whether the master asks the CPU for an interrupt. */
bool pic_pending(const struct pic *p);
/* The CPU's acknowledge: the vector. Where the request is gone by now: that of IRQ 7, with nothing in
   service (a spurious interrupt). */
uint8_t pic_acknowledge(struct pic *p);
/* Whether an input could get through now: it and its way are not masked. */
bool pic_is_open(const struct pic *p, unsigned irq);
/* Ports: chip PIC_MASTER or PIC_SLAVE, a0 the port's lowest bit. */
void pic_write(struct pic *p, int chip, unsigned a0, uint8_t value);
uint8_t pic_read(struct pic *p, int chip, unsigned a0);

#endif
