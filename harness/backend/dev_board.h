/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BACKEND_DEV_BOARD_H
#define MVM_BACKEND_DEV_BOARD_H

#include <stddef.h>

#include "backend/dev_pic.h"
#include "backend/dev_pit.h"
#include "backend/dev_uart.h"

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

/* Guest memory: one real-mode segment. A guest that reaches for more below 640 KiB is stopped by name. */
#define BOARD_MEMORY 65536U
#define BOARD_MEMORY_PC 0xA0000U

/*
 * Machine and memory as the toolkit's firmware leaves them (mvm/firmware.asm): both PICs at their
 * vectors with everything masked, all vectors set, the boot sector at MVM_LOAD_ADDRESS. memory has
 * BOARD_MEMORY bytes of zeros.
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
