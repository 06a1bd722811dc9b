/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The kvm backend's PIC, PIT and UART, by the sequences of register accesses that drivers make. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend/kvm/pic.h"
#include "backend/kvm/pit.h"
#include "backend/kvm/uart.h"
#include "base/util.h"

/* As every PC BIOS does: vectors 8 and 0x70, slave at IRQ 2; then the mask given. */
static struct pic pic_ready(uint8_t icw4, uint8_t mask)
{
	struct pic p;

	pic_reset(&p);
	pic_write(&p, PIC_MASTER, 0, 0x11);
	pic_write(&p, PIC_MASTER, 1, 0x08);
	pic_write(&p, PIC_MASTER, 1, 0x04);
	pic_write(&p, PIC_MASTER, 1, icw4);
	pic_write(&p, PIC_SLAVE, 0, 0x11);
	pic_write(&p, PIC_SLAVE, 1, 0x70);
	pic_write(&p, PIC_SLAVE, 1, 0x02);
	pic_write(&p, PIC_SLAVE, 1, icw4);
	pic_write(&p, PIC_MASTER, 1, mask);
	pic_write(&p, PIC_SLAVE, 1, 0x00);
	return p;
}

static void pic_delivers_by_priority(void **state)
{
	struct pic p = pic_ready(0x01, 0x00);

	(void)state;
	assert_false(pic_pending(&p));
	pic_line(&p, 4, true);
	pic_line(&p, 1, true);
	assert_true(pic_pending(&p));
	assert_int_equal(pic_acknowledge(&p), 0x09);
	/* IRQ 4 is lower: it waits for the end of IRQ 1 */
	assert_false(pic_pending(&p));
	pic_write(&p, PIC_MASTER, 0, 0x0B);
	assert_int_equal(pic_read(&p, PIC_MASTER, 0), 0x02);
	pic_write(&p, PIC_MASTER, 0, 0x0A);
	assert_int_equal(pic_read(&p, PIC_MASTER, 0), 0x10);
	/* IRQ 0 is higher: it gets through */
	pic_line(&p, 0, true);
	assert_int_equal(pic_acknowledge(&p), 0x08);
	pic_write(&p, PIC_MASTER, 0, 0x20);
	pic_write(&p, PIC_MASTER, 0, 0x20);
	assert_int_equal(pic_acknowledge(&p), 0x0C);
}

static void pic_wants_edges(void **state)
{
	struct pic p = pic_ready(0x01, 0x00);

	(void)state;
	pic_line(&p, 4, true);
	assert_int_equal(pic_acknowledge(&p), 0x0C);
	pic_write(&p, PIC_MASTER, 0, 0x20);
	/* still up: no new request */
	pic_line(&p, 4, true);
	assert_false(pic_pending(&p));
	pic_line(&p, 4, false);
	pic_line(&p, 4, true);
	assert_true(pic_pending(&p));
	/* an edge while in service is kept for afterwards */
	assert_int_equal(pic_acknowledge(&p), 0x0C);
	pic_line(&p, 4, false);
	pic_line(&p, 4, true);
	assert_false(pic_pending(&p));
	pic_write(&p, PIC_MASTER, 0, 0x64);
	assert_true(pic_pending(&p));
}

static void pic_masks(void **state)
{
	struct pic p = pic_ready(0x01, 0xEF);

	(void)state;
	assert_int_equal(pic_read(&p, PIC_MASTER, 1), 0xEF);
	pic_line(&p, 0, true);
	assert_false(pic_pending(&p));
	assert_true(pic_is_open(&p, 4));
	assert_false(pic_is_open(&p, 0));
	assert_false(pic_is_open(&p, 12)); /* its way through IRQ 2 is shut */
	/* kept, and delivered when the mask opens */
	pic_write(&p, PIC_MASTER, 1, 0x00);
	assert_true(pic_is_open(&p, 12));
	assert_int_equal(pic_acknowledge(&p), 0x08);
}

static void pic_spurious(void **state)
{
	struct pic p = pic_ready(0x01, 0x00);

	(void)state;
	/* the request goes away between INT and its acknowledgement */
	pic_line(&p, 4, true);
	pic_line(&p, 4, false);
	assert_false(pic_pending(&p));
	assert_int_equal(pic_acknowledge(&p), 0x0F);
	pic_write(&p, PIC_MASTER, 0, 0x0B);
	assert_int_equal(pic_read(&p, PIC_MASTER, 0), 0x00);
	/* a real IRQ 7 has the same vector, but is in service */
	pic_line(&p, 7, true);
	assert_int_equal(pic_acknowledge(&p), 0x0F);
	assert_int_equal(pic_read(&p, PIC_MASTER, 0), 0x80);
}

static void pic_cascade(void **state)
{
	struct pic p = pic_ready(0x01, 0x00);

	(void)state;
	pic_line(&p, 12, true);
	pic_line(&p, 8, true);
	assert_int_equal(pic_acknowledge(&p), 0x70);
	/* the slave's end alone leaves the master's IRQ 2 in service */
	pic_write(&p, PIC_SLAVE, 0, 0x20);
	assert_false(pic_pending(&p));
	pic_write(&p, PIC_MASTER, 0, 0x20);
	assert_int_equal(pic_acknowledge(&p), 0x74);
	/* it comes before IRQ 3 and behind IRQ 1 */
	pic_line(&p, 3, true);
	assert_false(pic_pending(&p));
	pic_line(&p, 1, true);
	assert_true(pic_pending(&p));
}

static void pic_modes(void **state)
{
	struct pic p = pic_ready(0x03, 0x00);

	(void)state;
	/* end of interrupt by itself */
	pic_line(&p, 4, true);
	assert_int_equal(pic_acknowledge(&p), 0x0C);
	pic_line(&p, 5, true);
	assert_int_equal(pic_acknowledge(&p), 0x0D);
	/* lowest priority for IRQ 3: IRQ 4 comes first */
	p = pic_ready(0x01, 0x00);
	pic_write(&p, PIC_MASTER, 0, 0xC3);
	pic_line(&p, 0, true);
	pic_line(&p, 4, true);
	assert_int_equal(pic_acknowledge(&p), 0x0C);
	pic_write(&p, PIC_MASTER, 0, 0x20);
	/* polling acknowledges without the CPU */
	pic_write(&p, PIC_MASTER, 0, 0x0C);
	assert_int_equal(pic_read(&p, PIC_MASTER, 0), 0x80);
	/* special mask: what is masked in service holds nothing back */
	p = pic_ready(0x01, 0x00);
	pic_line(&p, 1, true);
	pic_acknowledge(&p);
	pic_line(&p, 4, true);
	pic_write(&p, PIC_MASTER, 1, 0x02);
	assert_false(pic_pending(&p));
	pic_write(&p, PIC_MASTER, 0, 0x68);
	assert_true(pic_pending(&p));
	/* a new ICW1 forgets requests, and lines that are up */
	pic_write(&p, PIC_MASTER, 0, 0x11);
	assert_false(pic_pending(&p));
}

static uint16_t counter(struct pit *p, unsigned channel, uint64_t now)
{
	unsigned low;

	pit_write(p, 3, (uint8_t)(channel << 6), now);
	low = pit_read(p, channel, now);
	return (uint16_t)(low | (unsigned)pit_read(p, channel, now) << 8);
}

static void load(struct pit *p, uint8_t control, uint16_t count, uint64_t now)
{
	pit_write(p, 3, control, now);
	pit_write(p, control >> 6, (uint8_t)count, now);
	pit_write(p, control >> 6, (uint8_t)(count >> 8), now);
}

static void pit_ticks_at_18_hz(void **state)
{
	struct pit p;
	uint64_t start = 5000000000ULL, second = 1000000000ULL;
	unsigned edges = 0;

	(void)state;
	pit_reset(&p);
	assert_false(pit_advance(&p, start)); /* nothing runs after reset */
	load(&p, 0x34, 0, start);
	for (uint64_t t = start; t <= start + 10 * second; t += second / 1000)
		edges += pit_advance(&p, t);
	assert_int_equal(edges, 182);
	/* ticks that nobody came to take are one */
	assert_true(pit_advance(&p, start + 20 * second));
	assert_false(pit_advance(&p, start + 20 * second));
	assert_true(p.next_ns > start + 20 * second && p.next_ns <= start + 20 * second + 54925494);
}

static void pit_one_shot(void **state)
{
	struct pit p;

	(void)state;
	pit_reset(&p);
	load(&p, 0x30, 1, 1000);
	assert_false(pit_output(&p, 0, 1000));
	assert_false(pit_advance(&p, 1000));
	assert_true(p.next_ns < 1000 + 2000);
	assert_true(pit_advance(&p, 4000));
	assert_true(pit_output(&p, 0, 4000));
	/* never again */
	assert_true(p.next_ns == UINT64_MAX);
	assert_false(pit_advance(&p, UINT64_MAX - 1));
	/* and the count goes on below zero */
	assert_true(counter(&p, 0, 1000000) > 60000);
}

static void pit_counts_down(void **state)
{
	struct pit p;
	/* 1,193,182 clocks are a second */
	uint64_t half = 500000000ULL;

	(void)state;
	pit_reset(&p);
	load(&p, 0x34, 0, 0);
	assert_int_equal(counter(&p, 0, 0), 0); /* 65,536 */
	uint16_t before = counter(&p, 0, 1000000), after = counter(&p, 0, 2000000);
	assert_int_equal(before - after, 1193);
	/* a latched count stays until it was read, low byte first */
	pit_write(&p, 3, 0x00, 1000000);
	pit_write(&p, 3, 0x00, 2000000);
	unsigned low = pit_read(&p, 0, 3000000);
	assert_int_equal(low | (unsigned)pit_read(&p, 0, 3000000) << 8, before);
	/* mode 3 goes by two, twice a period */
	load(&p, 0x36, 1000, 0);
	assert_int_equal(counter(&p, 0, 0), 1000);
	assert_int_equal(counter(&p, 0, 8381), 1000 - 2 * 10);
	assert_true(pit_output(&p, 0, 100000));
	assert_false(pit_output(&p, 0, 500000));
	/* binary coded decimal */
	load(&p, 0x35, 0x9999, 0);
	assert_int_equal(counter(&p, 0, 8381), 0x9989);
	assert_int_equal(p.channel[0].period, 9999);
	load(&p, 0x31, 0, half);
	assert_int_equal(p.channel[0].period, 10000);
}

static void pit_bytes_and_status(void **state)
{
	struct pit p;

	(void)state;
	pit_reset(&p);
	/* low byte only, then high byte only */
	pit_write(&p, 3, 0x54, 0);
	pit_write(&p, 1, 18, 0);
	assert_int_equal(p.channel[1].period, 18);
	assert_int_equal(pit_read(&p, 1, 0), 18);
	pit_write(&p, 3, 0x64, 0);
	pit_write(&p, 1, 2, 0);
	assert_int_equal(p.channel[1].period, 512);
	/* half a count loads nothing */
	pit_write(&p, 3, 0x34, 0);
	pit_write(&p, 0, 1, 0);
	assert_true(p.next_ns == UINT64_MAX);
	/* read back: status, then count, of channel 0 */
	pit_write(&p, 3, 0xC2, 0);
	assert_int_equal(pit_read(&p, 0, 0), 0x80 | 0x40 | 0x34);
	pit_write(&p, 0, 0, 0);
	pit_write(&p, 0, 0, 0);
	pit_write(&p, 3, 0xC2, 0);
	assert_int_equal(pit_read(&p, 0, 0) & 0x7F, 0x34);
	assert_int_equal(pit_read(&p, 3, 0), 0xFF);
	/* modes 6 and 7 are 2 and 3 */
	pit_write(&p, 3, 0x3C, 0);
	assert_int_equal(p.channel[0].mode, 2);
}

/* As the guests set it up: 115,200 baud, 8N1, no FIFO, OUT2. */
static struct uart uart_ready(uint8_t ier, uint8_t fcr)
{
	struct uart u;
	uint8_t sent;

	uart_reset(&u);
	uart_write(&u, 3, 0x80, &sent);
	assert_false(uart_write(&u, 0, 1, &sent));
	uart_write(&u, 1, 0, &sent);
	uart_write(&u, 3, 0x03, &sent);
	uart_write(&u, 2, fcr, &sent);
	uart_write(&u, 4, 0x0B, &sent);
	uart_write(&u, 1, ier, &sent);
	return u;
}

static void uart_sends(void **state)
{
	struct uart u = uart_ready(0, 0);
	uint8_t sent = 0;

	(void)state;
	assert_int_equal(uart_read(&u, 5), 0x60);
	assert_true(uart_write(&u, 0, 'M', &sent));
	assert_int_equal(sent, 'M');
	assert_false(uart_interrupt(&u));
	/* the divisor is behind DLAB */
	uart_write(&u, 3, 0x83, &sent);
	assert_int_equal(uart_read(&u, 0), 1);
	assert_int_equal(uart_read(&u, 3), 0x83);
	/* scratch, as drivers probe for it */
	uart_write(&u, 7, 0xA5, &sent);
	assert_int_equal(uart_read(&u, 7), 0xA5);
}

static void uart_receives(void **state)
{
	struct uart u = uart_ready(0x01, 0);

	(void)state;
	assert_int_equal(uart_read(&u, 2), 0x01);
	assert_true(uart_can_receive(&u));
	uart_receive(&u, 'p');
	assert_false(uart_can_receive(&u));
	assert_true(uart_interrupt(&u));
	assert_int_equal(uart_read(&u, 2), 0x04);
	assert_int_equal(uart_read(&u, 5), 0x61);
	assert_int_equal(uart_read(&u, 0), 'p');
	assert_false(uart_interrupt(&u));
	assert_int_equal(uart_read(&u, 5), 0x60);
	/* one too many is lost, and said once */
	uart_receive(&u, 'a');
	uart_receive(&u, 'b');
	assert_int_equal(uart_read(&u, 5), 0x63);
	assert_int_equal(uart_read(&u, 5), 0x61);
	assert_int_equal(uart_read(&u, 0), 'a');
}

static void uart_gates_its_line(void **state)
{
	struct uart u = uart_ready(0, 0);
	uint8_t sent;

	(void)state;
	uart_receive(&u, 'x');
	assert_false(uart_interrupt(&u)); /* not enabled */
	uart_write(&u, 1, 0x01, &sent);
	assert_true(uart_interrupt(&u));
	uart_write(&u, 4, 0x03, &sent); /* without OUT2 */
	assert_false(uart_interrupt(&u));
	assert_int_equal(uart_read(&u, 2), 0x04);
	/* looped back nothing goes out, and the modem lines see themselves */
	uart_read(&u, 0);
	uart_write(&u, 4, 0x1A, &sent);
	assert_false(uart_write(&u, 0, 'y', &sent));
	assert_int_equal(uart_read(&u, 0), 'y');
	assert_int_equal(uart_read(&u, 6), 0x90);
}

static void uart_tells_when_it_is_empty(void **state)
{
	struct uart u = uart_ready(0x02, 0);
	uint8_t sent;

	(void)state;
	assert_true(uart_interrupt(&u));
	assert_int_equal(uart_read(&u, 2), 0x02);
	/* reading it took it back */
	assert_false(uart_interrupt(&u));
	assert_int_equal(uart_read(&u, 2), 0x01);
	uart_write(&u, 0, 'z', &sent);
	assert_true(uart_interrupt(&u));
	/* a received byte comes before it */
	uart_write(&u, 1, 0x03, &sent);
	uart_receive(&u, 'p');
	assert_int_equal(uart_read(&u, 2), 0x04);
	uart_read(&u, 0);
	assert_int_equal(uart_read(&u, 2), 0x02);
}

static void uart_has_a_fifo(void **state)
{
	struct uart u = uart_ready(0x01, 0x81); /* trigger level 8 */
	uint8_t sent;

	(void)state;
	assert_int_equal(uart_read(&u, 2), 0xC1);
	for (uint8_t i = 0; i < UART_FIFO; i++) {
		assert_true(uart_can_receive(&u));
		uart_receive(&u, i);
		assert_int_equal(uart_read(&u, 2), i < 7 ? 0xCC : 0xC4);
	}
	assert_false(uart_can_receive(&u));
	for (uint8_t i = 0; i < 5; i++)
		assert_int_equal(uart_read(&u, 0), i);
	uart_receive(&u, 99);
	for (uint8_t i = 5; i < UART_FIFO; i++)
		assert_int_equal(uart_read(&u, 0), i);
	assert_int_equal(uart_read(&u, 0), 99);
	assert_int_equal(uart_read(&u, 5), 0x60);
	/* emptied by command, and by switching it off */
	uart_receive(&u, 1);
	uart_write(&u, 2, 0x03, &sent);
	assert_int_equal(uart_read(&u, 5), 0x60);
	uart_receive(&u, 1);
	uart_write(&u, 2, 0x00, &sent);
	assert_int_equal(uart_read(&u, 5), 0x60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pic_delivers_by_priority),
		cmocka_unit_test(pic_wants_edges),
		cmocka_unit_test(pic_masks),
		cmocka_unit_test(pic_spurious),
		cmocka_unit_test(pic_cascade),
		cmocka_unit_test(pic_modes),
		cmocka_unit_test(pit_ticks_at_18_hz),
		cmocka_unit_test(pit_one_shot),
		cmocka_unit_test(pit_counts_down),
		cmocka_unit_test(pit_bytes_and_status),
		cmocka_unit_test(uart_sends),
		cmocka_unit_test(uart_receives),
		cmocka_unit_test(uart_gates_its_line),
		cmocka_unit_test(uart_tells_when_it_is_empty),
		cmocka_unit_test(uart_has_a_fifo),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
