/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BACKEND_KVM_BOARD_H
#define MVM_BACKEND_KVM_BOARD_H

#include <stddef.h>

#include "backend/kvm/pic.h"
#include "backend/kvm/pit.h"
#include "backend/kvm/uart.h"

/*
 * What a guest finds around its CPU: two PICs, a PIT, COM1, and of RTC and keyboard
 * controller as much as lets a boot sector silence them. Pure: ports in, ports out. 200 bytes a VM.
 */

/* The other end of COM1. */
struct board_line {
	void (*sent)(void *user, uint8_t byte);
	int (*next)(void *user); /* the next byte for the guest, -1 when there is none */
};

struct board {
	struct pic pic;
	struct pit pit;
	struct uart uart;
	uint8_t port61, rtc_index, rtc_b;
	bool reset; /* the guest asked for a reset of the machine */
	const struct board_line *line;
	void *user;
};

/* Where a PC's memory has its hole for video memory and ROMs. */
#define BOARD_HOLE 0xA0000U
#define BOARD_HOLE_END 0x100000U

/* A piece of guest memory: offset is in the host's copy. */
struct board_slot {
	uint64_t guest, offset, size;
};
/* The pieces of a machine with so many MiB, at least 1, the hole left out. Returns how many: 1 or 2. */
unsigned board_slots(uint32_t memory_mb, struct board_slot ret[2]);
/* Bytes of the host's copy. */
uint64_t board_memory_size(uint32_t memory_mb);

/*
 * Machine and memory as the toolkit's firmware leaves them (mvm/firmware.asm): both PICs at their
 * vectors with everything masked, all vectors set, the boot sector at MVM_LOAD_ADDRESS. memory has
 * board_memory_size() bytes of zeros.
 */
void board_boot(struct board *b, uint8_t *memory, const unsigned char *image, const struct board_line *line,
		void *user);

void board_out(struct board *b, uint16_t port, uint8_t value, uint64_t now_ns);
uint8_t board_in(struct board *b, uint16_t port, uint64_t now_ns);
/* Lets waiting input in, as much as COM1 takes now. */
void board_receive(struct board *b);
/* Lets the timer tick up to now. */
void board_tick(struct board *b, uint64_t now_ns);
/* When the timer will interrupt a sleeping CPU, UINT64_MAX for never. */
uint64_t board_wakes_ns(const struct board *b);

#endif
