/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The kvm backend's machine without KVM: memory as a boot sector finds it, ports, interrupts, timers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "backend/kvm/board.h"
#include "backend/kvm/timer_heap.h"
#include "base/util.h"
#include "mvm_contract.h"

static char output[64];
static size_t output_len;
static const char *input;

static void on_sent(void *user, uint8_t byte)
{
	(void)user;
	if (output_len < sizeof(output))
		output[output_len++] = (char)byte;
}

static int on_next(void *user)
{
	(void)user;
	return input && *input ? (uint8_t)*input++ : -1;
}

static const struct board_line line = { .sent = on_sent, .next = on_next };
static uint8_t memory[BOARD_HOLE];

static void booted(struct board *b)
{
	unsigned char image[MVM_IMAGE_SIZE];

	for (size_t i = 0; i < sizeof(image); i++)
		image[i] = (unsigned char)(i * 7);
	memset(memory, 0, sizeof(memory));
	input = NULL;
	output_len = 0;
	board_boot(b, memory, image, &line, NULL);
}

/* COM1 is the only interrupt that is open, and asks for one with every byte. */
static void listening(struct board *b)
{
	booted(b);
	board_out(b, 0x21, 0xEF, 0);
	board_out(b, 0x3FC, 0x0B, 0);
	board_out(b, 0x3F9, 0x01, 0);
}

static void memory_is_as_firmware_leaves_it(void **state)
{
	struct board b;

	(void)state;
	booted(&b);
	for (size_t i = 0; i < MVM_IMAGE_SIZE; i++)
		assert_int_equal(memory[MVM_LOAD_ADDRESS + i], (i * 7) & 0xFF);
	/* every vector points at code in segment 0: cli, hlt, back; or iret for spurious interrupts */
	for (unsigned v = 0; v < 256; v++) {
		unsigned at = memory[v * 4] | (unsigned)memory[v * 4 + 1] << 8;
		bool spurious = v == MVM_VECTOR_MASTER + 7 || v == MVM_VECTOR_SLAVE + 7;

		assert_int_equal(memory[v * 4 + 2] | memory[v * 4 + 3], 0);
		assert_true(at >= 1024 && at < 4096);
		assert_int_equal(memory[at], spurious ? 0xCF : 0xFA);
		if (!spurious)
			assert_memory_equal(memory + at, "\xFA\xF4\xEB\xFC", 4);
	}
	/* two pages are touched, the others stay the kernel's zeros */
	for (size_t i = 4096; i < BOARD_HOLE; i++)
		if (i / 4096 != MVM_LOAD_ADDRESS / 4096)
			assert_int_equal(memory[i], 0);
	/* everything is masked, at the usual vectors */
	assert_int_equal(board_in(&b, 0x21, 0), 0xFF);
	assert_int_equal(board_in(&b, 0xA1, 0), 0xFF);
	assert_int_equal(b.pic.chip[PIC_MASTER].base, MVM_VECTOR_MASTER);
	assert_int_equal(b.pic.chip[PIC_SLAVE].base, MVM_VECTOR_SLAVE);
}

static void memory_has_the_hole_of_a_pc(void **state)
{
	struct board_slot s[2];

	(void)state;
	assert_int_equal(board_slots(1, s), 1);
	assert_true(s[0].guest == 0 && s[0].offset == 0 && s[0].size == 640 * 1024);
	assert_int_equal(board_slots(16, s), 2);
	assert_true(s[0].size == 640 * 1024 && s[1].guest == 1024 * 1024);
	/* nothing is behind the hole in the host's copy */
	assert_true(s[1].offset == s[0].size);
	assert_true(s[1].guest + s[1].size == 16U << 20);
	assert_true(board_memory_size(16) == (16U << 20) - 384 * 1024);
	assert_true(board_memory_size(8192) == (8192ULL << 20) - 384 * 1024);
	for (uint32_t mb = 1; mb < 100; mb++)
		assert_int_equal(board_memory_size(mb) % 4096, 0);
}

/* What sleep.asm does: initialize, then drain the line in one interrupt. */
static void a_request_is_one_interrupt(void **state)
{
	struct board b;
	char got[8] = "";

	(void)state;
	listening(&b);
	assert_false(pic_pending(&b.pic));
	input = "ping\n";
	board_receive(&b);
	assert_true(pic_pending(&b.pic));
	assert_int_equal(pic_acknowledge(&b.pic), MVM_VECTOR_MASTER + MVM_COM1_IRQ);
	for (size_t i = 0; board_in(&b, 0x3FD, 0) & 1 && i < sizeof(got) - 1; i++)
		got[i] = (char)board_in(&b, 0x3F8, 0);
	assert_string_equal(got, "ping\n");
	assert_int_equal(board_in(&b, 0x3FA, 0) & 0x0F, 0x01);
	board_out(&b, 0x20, 0x20, 0);
	/* the edges of bytes that were drained ask for nothing more */
	assert_false(pic_pending(&b.pic));
	for (const char *p = "pong\n"; *p; p++)
		board_out(&b, 0x3F8, (uint8_t)*p, 0);
	assert_int_equal(output_len, 5);
	assert_memory_equal(output, "pong\n", 5);
}

/* A driver that takes one byte per interrupt gets one interrupt per byte. */
static void every_byte_is_an_edge(void **state)
{
	struct board b;

	(void)state;
	listening(&b);
	input = "abc";
	board_receive(&b);
	for (int c = 'a'; c <= 'c'; c++) {
		assert_true(pic_pending(&b.pic));
		pic_acknowledge(&b.pic);
		assert_int_equal(board_in(&b, 0x3F8, 0), c);
		board_out(&b, 0x20, 0x20, 0);
	}
	assert_false(pic_pending(&b.pic));
}

static void the_timer_wakes_only_who_listens(void **state)
{
	struct board b;

	(void)state;
	booted(&b);
	assert_true(board_wakes_ns(&b) == UINT64_MAX);
	board_out(&b, 0x43, 0x34, 1000);
	board_out(&b, 0x40, 0, 1000);
	board_out(&b, 0x40, 0, 1000);
	assert_true(board_wakes_ns(&b) == UINT64_MAX); /* masked */
	board_out(&b, 0x21, 0xFE, 1000);
	uint64_t at = board_wakes_ns(&b);
	assert_true(at > 54900000 && at < 55000000);
	board_tick(&b, at - 1);
	assert_false(pic_pending(&b.pic));
	board_tick(&b, at);
	assert_int_equal(pic_acknowledge(&b.pic), MVM_VECTOR_MASTER);
	board_out(&b, 0x20, 0x20, at);
	assert_false(pic_pending(&b.pic));
	board_tick(&b, board_wakes_ns(&b));
	assert_true(pic_pending(&b.pic));
}

static void other_ports(void **state)
{
	struct board b;

	(void)state;
	booted(&b);
	/* the RTC's interrupt enables can be cleared and read back */
	board_out(&b, 0x70, 0x0B, 0);
	board_out(&b, 0x71, 0x72, 0);
	board_out(&b, 0x70, 0x8B, 0); /* with NMI off, the same register */
	assert_int_equal(board_in(&b, 0x71, 0), 0x72);
	board_out(&b, 0x70, 0x0C, 0);
	assert_int_equal(board_in(&b, 0x71, 0), 0);
	assert_int_equal(board_in(&b, 0x64, 0), 0);
	assert_int_equal(board_in(&b, 0x1234, 0), 0xFF);
	board_out(&b, 0x1234, 1, 0);
	assert_false(b.reset);
	board_out(&b, 0x64, 0xFE, 0);
	assert_true(b.reset);
}

static void timer_heap_come_in_order(void **state)
{
	struct timer_heap w = { 0 };
	struct timer got;
	uint64_t last = 0;
	unsigned x = 12345, n = 0;

	(void)state;
	assert_true(timer_heap_next(&w) == UINT64_MAX);
	assert_false(timer_heap_take(&w, UINT64_MAX - 1, &got));
	for (uint32_t i = 0; i < 1000; i++) {
		x = x * 1103515245 + 12345;
		timer_heap_add(&w, x >> 16, i);
	}
	assert_false(timer_heap_take(&w, timer_heap_next(&w) - 1, &got));
	while (timer_heap_take(&w, UINT64_MAX - 1, &got)) {
		assert_true(got.at_ns >= last);
		last = got.at_ns;
		n++;
	}
	assert_int_equal(n, 1000);
	timer_heap_clear(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_as_firmware_leaves_it),
		cmocka_unit_test(memory_has_the_hole_of_a_pc),
		cmocka_unit_test(a_request_is_one_interrupt),
		cmocka_unit_test(every_byte_is_an_edge),
		cmocka_unit_test(the_timer_wakes_only_who_listens),
		cmocka_unit_test(other_ports),
		cmocka_unit_test(timer_heap_come_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
