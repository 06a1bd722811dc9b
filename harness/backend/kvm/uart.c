/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "backend/kvm/uart.h"

#include <string.h>

enum { RBR_THR, IER, IIR_FCR, LCR, MCR, LSR, MSR, SCR };

#define IER_RECEIVED 0x01
#define IER_EMPTY 0x02
#define IER_LINE 0x04
#define IIR_NONE 0x01
#define IIR_EMPTY 0x02
#define IIR_RECEIVED 0x04
#define IIR_LINE 0x06
#define IIR_TIMEOUT 0x0C
#define IIR_FIFO 0xC0
#define FCR_ON 0x01
#define FCR_CLEAR_RECEIVED 0x02
#define LCR_DLAB 0x80
#define MCR_OUT2 0x08
#define MCR_LOOP 0x10
#define LSR_RECEIVED 0x01
#define LSR_OVERRUN 0x02
#define LSR_EMPTY 0x60	   /* holding and shift register: sending takes no time */
#define MSR_CONNECTED 0xB0 /* CTS, DSR, DCD: somebody listens */

void uart_reset(struct uart *u)
{
	memset(u, 0, sizeof(*u));
	u->dll = 12; /* 9600 baud, as nobody cares */
}

/* Bits 3-0 of IIR: the pending interrupt with the highest priority. */
static uint8_t pending(const struct uart *u)
{
	static const uint8_t triggers[] = { 1, 4, 8, 14 };
	bool fifo = u->fcr & FCR_ON;

	if (u->ier & IER_LINE && u->overrun)
		return IIR_LINE;
	if (u->ier & IER_RECEIVED && u->count) {
		/* below the trigger level a real one waits four characters' time; here none follows so soon
		 */
		return fifo && u->count < triggers[u->fcr >> 6] ? IIR_TIMEOUT : IIR_RECEIVED;
	}
	if (u->ier & IER_EMPTY && u->thre)
		return IIR_EMPTY;
	return IIR_NONE;
}

bool uart_interrupt(const struct uart *u)
{
	/* a PC wires OUT2 to the gate of the line; in loop-back mode it is cut off */
	return u->mcr & MCR_OUT2 && !(u->mcr & MCR_LOOP) && pending(u) != IIR_NONE;
}

bool uart_can_receive(const struct uart *u)
{
	return u->count < (u->fcr & FCR_ON ? UART_FIFO : 1);
}

void uart_receive(struct uart *u, uint8_t byte)
{
	if (!uart_can_receive(u)) {
		u->overrun = true;
		return;
	}
	u->fifo[(u->head + u->count++) % UART_FIFO] = byte;
}

static uint8_t take_byte(struct uart *u)
{
	uint8_t byte = u->fifo[u->head];

	if (u->count) {
		u->head = (uint8_t)((u->head + 1) % UART_FIFO);
		u->count--;
	}
	return byte;
}

static void set_fcr(struct uart *u, uint8_t value)
{
	/* switching the FIFO on or off empties it */
	if (value & FCR_CLEAR_RECEIVED || (value ^ u->fcr) & FCR_ON)
		u->head = u->count = 0;
	u->fcr = value & FCR_ON ? value & 0xC9 : 0;
}

static void set_ier(struct uart *u, uint8_t value)
{
	/* enabling this interrupt while the transmitter is empty reports it */
	if (value & IER_EMPTY && !(u->ier & IER_EMPTY))
		u->thre = true;
	u->ier = value & 0x0F;
}

static bool send_byte(struct uart *u, uint8_t value, uint8_t *ret_sent)
{
	u->thre = true;
	if (u->mcr & MCR_LOOP) {
		uart_receive(u, value);
		return false;
	}
	*ret_sent = value;
	return true;
}

bool uart_write(struct uart *u, unsigned reg, uint8_t value, uint8_t *ret_sent)
{
	bool divisor = u->lcr & LCR_DLAB;

	switch (reg) {
	case RBR_THR:
		if (!divisor)
			return send_byte(u, value, ret_sent);
		u->dll = value;
		break;
	case IER:
		if (divisor)
			u->dlm = value;
		else
			set_ier(u, value);
		break;
	case IIR_FCR:
		set_fcr(u, value);
		break;
	case LCR:
		u->lcr = value;
		break;
	case MCR:
		u->mcr = value & 0x1F;
		break;
	case SCR:
		u->scr = value;
		break;
	default: /* LSR and MSR are read only */
		break;
	}
	return false;
}

static uint8_t read_iir(struct uart *u)
{
	uint8_t what = pending(u);

	if (what == IIR_EMPTY)
		u->thre = false; /* reading it is its acknowledgement */
	return (uint8_t)(what | (u->fcr & FCR_ON ? IIR_FIFO : 0));
}

static uint8_t read_lsr(struct uart *u)
{
	uint8_t v = (uint8_t)(LSR_EMPTY | (u->count ? LSR_RECEIVED : 0) | (u->overrun ? LSR_OVERRUN : 0));

	u->overrun = false;
	return v;
}

static uint8_t read_msr(const struct uart *u)
{
	if (!(u->mcr & MCR_LOOP))
		return MSR_CONNECTED;
	/* looped back: RTS to CTS, DTR to DSR, OUT1 to RI, OUT2 to DCD */
	return (uint8_t)((u->mcr & 0x02) << 3 | (u->mcr & 0x01) << 5 | (u->mcr & 0x04) << 4 |
			 (u->mcr & 0x08) << 4);
}

uint8_t uart_read(struct uart *u, unsigned reg)
{
	bool divisor = u->lcr & LCR_DLAB;

	switch (reg) {
	case RBR_THR:
		return divisor ? u->dll : take_byte(u);
	case IER:
		return divisor ? u->dlm : u->ier;
	case IIR_FCR:
		return read_iir(u);
	case LCR:
		return u->lcr;
	case MCR:
		return u->mcr;
	case LSR:
		return read_lsr(u);
	case MSR:
		return read_msr(u);
	default:
		return u->scr;
	}
}
