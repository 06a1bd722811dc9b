/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BACKEND_KVM_UART_H
#define MVM_BACKEND_KVM_UART_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A 16550A serial port. Pure: bytes come in by uart_receive() and go out as return values; sending
 * takes no time, so the transmitter is always empty. After National Semiconductor's PC16550D data sheet.
 */
#define UART_FIFO 16

struct uart {
	uint8_t ier, fcr, lcr, mcr, scr, dll, dlm;
	uint8_t fifo[UART_FIFO], head, count;
	bool overrun;
	bool thre; /* "transmitter empty" is waiting to be reported */
};

void uart_reset(struct uart *u);
/* reg 0..7. True when *ret_sent goes out on the line. */
bool uart_write(struct uart *u, unsigned reg, uint8_t value, uint8_t *ret_sent);
uint8_t uart_read(struct uart *u, unsigned reg);
/* Whether a byte can come in without being lost: one without FIFO, UART_FIFO with it. */
bool uart_can_receive(const struct uart *u);
/* A byte from the line. One too many replaces nothing and sets the overrun bit. */
void uart_receive(struct uart *u, uint8_t byte);
/* Level of the interrupt line, behind OUT2. */
bool uart_interrupt(const struct uart *u);

#endif
