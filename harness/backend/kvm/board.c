/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "backend/kvm/board.h"

#include <string.h>

#include "mvm_contract.h"

#define TIMER_IRQ 0
/* Where no guest keeps anything: the BIOS data area's room for communication between programs. */
#define STUB_HALT 0x4F0
#define STUB_IRET 0x4F4

enum {
	PORT_PIC_MASTER = 0x20,
	PORT_PIT = 0x40,
	PORT_KEYBOARD_DATA = 0x60,
	PORT_SPEAKER = 0x61,
	PORT_KEYBOARD = 0x64,
	PORT_RTC_INDEX = 0x70,
	PORT_RTC_DATA = 0x71,
	PORT_A20 = 0x92,
	PORT_PIC_SLAVE = 0xA0,
	PORT_RESET = 0xCF9,
};

#define KEYBOARD_PULSE_RESET 0xFE
#define RTC_A 0x0A
#define RTC_B 0x0B
#define RTC_D 0x0D

unsigned board_slots(uint32_t memory_mb, struct board_slot ret[2])
{
	ret[0] = (struct board_slot){ .size = BOARD_HOLE };
	if (memory_mb <= 1)
		return 1;
	ret[1] = (struct board_slot){ .guest = BOARD_HOLE_END,
				      .offset = BOARD_HOLE,
				      .size = ((uint64_t)memory_mb << 20) - BOARD_HOLE_END };
	return 2;
}

uint64_t board_memory_size(uint32_t memory_mb)
{
	struct board_slot s[2];
	unsigned n = board_slots(memory_mb, s);

	return s[n - 1].offset + s[n - 1].size;
}

static void vectors(uint8_t *memory)
{
	/* cli; hlt; jmp back: an accident costs no CPU time, and is told */
	static const uint8_t halt[] = { 0xFA, 0xF4, 0xEB, 0xFC }, iret[] = { 0xCF };

	for (unsigned v = 0; v < 256; v++) {
		memory[v * 4] = STUB_HALT & 0xFF;
		memory[v * 4 + 1] = STUB_HALT >> 8;
	}
	/* spurious interrupts are nobody's fault */
	memory[(MVM_VECTOR_MASTER + 7) * 4] = memory[(MVM_VECTOR_SLAVE + 7) * 4] = STUB_IRET & 0xFF;
	memcpy(memory + STUB_HALT, halt, sizeof(halt));
	memcpy(memory + STUB_IRET, iret, sizeof(iret));
}

void board_boot(struct board *b, uint8_t *memory, const unsigned char *image, const struct board_line *line,
		void *user)
{
	static const struct {
		uint16_t port;
		uint8_t value;
	} init[] = {
		{ PORT_PIC_MASTER, 0x11 },
		{ PORT_PIC_SLAVE, 0x11 },
		{ PORT_PIC_MASTER + 1, MVM_VECTOR_MASTER },
		{ PORT_PIC_SLAVE + 1, MVM_VECTOR_SLAVE },
		{ PORT_PIC_MASTER + 1, 0x04 },
		{ PORT_PIC_SLAVE + 1, 0x02 },
		{ PORT_PIC_MASTER + 1, 0x01 },
		{ PORT_PIC_SLAVE + 1, 0x01 },
		{ PORT_PIC_MASTER + 1, 0xFF },
		{ PORT_PIC_SLAVE + 1, 0xFF },
	};

	memset(b, 0, sizeof(*b));
	b->line = line;
	b->user = user;
	pic_reset(&b->pic);
	pit_reset(&b->pit);
	uart_reset(&b->uart);
	for (size_t i = 0; i < sizeof(init) / sizeof(init[0]); i++)
		board_out(b, init[i].port, init[i].value, 0);
	vectors(memory);
	memcpy(memory + MVM_LOAD_ADDRESS, image, MVM_IMAGE_SIZE);
}

static void uart_line(struct board *b)
{
	pic_line(&b->pic, MVM_COM1_IRQ, uart_interrupt(&b->uart));
}

void board_receive(struct board *b)
{
	int byte;

	while (uart_can_receive(&b->uart) && (byte = b->line->next(b->user)) >= 0) {
		uart_receive(&b->uart, (uint8_t)byte);
		uart_line(b);
	}
}

static void uart_out(struct board *b, unsigned reg, uint8_t value)
{
	uint8_t sent;

	/* sending takes the interrupt back and, as it takes no time, raises it anew: an edge for the PIC */
	if (reg == 0)
		pic_line(&b->pic, MVM_COM1_IRQ, false);
	if (uart_write(&b->uart, reg, value, &sent))
		b->line->sent(b->user, sent);
	uart_line(b);
	board_receive(b);
}

static uint8_t uart_in(struct board *b, unsigned reg)
{
	uint8_t value = uart_read(&b->uart, reg);

	/* the line falls here with the last byte; the next one in makes the edge that the PIC wants */
	uart_line(b);
	board_receive(b);
	return value;
}

void board_out(struct board *b, uint16_t port, uint8_t value, uint64_t now_ns)
{
	if (port >= MVM_COM1_PORT && port < MVM_COM1_PORT + 8) {
		uart_out(b, port - MVM_COM1_PORT, value);
		return;
	}
	if (port >= PORT_PIT && port < PORT_PIT + 4) {
		pit_write(&b->pit, port - PORT_PIT, value, now_ns);
		return;
	}
	switch (port) {
	case PORT_PIC_MASTER:
	case PORT_PIC_MASTER + 1:
		pic_write(&b->pic, PIC_MASTER, port & 1, value);
		break;
	case PORT_PIC_SLAVE:
	case PORT_PIC_SLAVE + 1:
		pic_write(&b->pic, PIC_SLAVE, port & 1, value);
		break;
	case PORT_SPEAKER:
		b->port61 = value & 0x03;
		break;
	case PORT_RTC_INDEX:
		b->rtc_index = value & 0x7F;
		break;
	case PORT_RTC_DATA:
		if (b->rtc_index == RTC_B)
			b->rtc_b = value;
		break;
	case PORT_KEYBOARD:
		b->reset |= value == KEYBOARD_PULSE_RESET;
		break;
	case PORT_RESET:
		b->reset |= (value & 0x04) != 0;
		break;
	case PORT_A20:
		b->reset |= (value & 0x01) != 0;
		break;
	default: /* nothing there: lost, as on a real bus */
		break;
	}
}

static uint8_t rtc_in(const struct board *b)
{
	switch (b->rtc_index) {
	case RTC_A:
		return 0x26; /* 32,768 Hz, no update under way */
	case RTC_B:
		return b->rtc_b;
	case RTC_D:
		return 0x80; /* the battery is good */
	default:	     /* no interrupt pending, no clock kept */
		return 0;
	}
}

/* Speaker and refresh: bit 4 toggles, bit 5 is channel 2's output. */
static uint8_t port61_in(const struct board *b, uint64_t now_ns)
{
	return (uint8_t)(b->port61 | (now_ns / 15000 & 1) << 4 |
			 (unsigned)pit_output(&b->pit, 2, now_ns) << 5);
}

uint8_t board_in(struct board *b, uint16_t port, uint64_t now_ns)
{
	if (port >= MVM_COM1_PORT && port < MVM_COM1_PORT + 8)
		return uart_in(b, port - MVM_COM1_PORT);
	if (port >= PORT_PIT && port < PORT_PIT + 4)
		return pit_read(&b->pit, port - PORT_PIT, now_ns);
	switch (port) {
	case PORT_PIC_MASTER:
	case PORT_PIC_MASTER + 1:
		return pic_read(&b->pic, PIC_MASTER, port & 1);
	case PORT_PIC_SLAVE:
	case PORT_PIC_SLAVE + 1:
		return pic_read(&b->pic, PIC_SLAVE, port & 1);
	case PORT_SPEAKER:
		return port61_in(b, now_ns);
	case PORT_RTC_DATA:
		return rtc_in(b);
	case PORT_KEYBOARD:
	case PORT_KEYBOARD_DATA:
		return 0; /* no key, ready for commands */
	case PORT_A20:
		return 0x02; /* the 21st address line is on */
	default:
		return 0xFF; /* what an empty bus reads */
	}
}

void board_tick(struct board *b, uint64_t now_ns)
{
	if (!pit_advance(&b->pit, now_ns))
		return;
	pic_line(&b->pic, TIMER_IRQ, false);
	pic_line(&b->pic, TIMER_IRQ, true);
}

uint64_t board_wakes_ns(const struct board *b)
{
	return pic_is_open(&b->pic, TIMER_IRQ) ? b->pit.next_ns : UINT64_MAX;
}
