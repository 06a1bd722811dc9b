/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How the guest `wave` tells how many slices passed: its arithmetic against a model of the two counters of a
 * PIT that a hypervisor latches one after the other, with its CPU taken away at random in between.
 *
 * guest_read() mirrors read_timer of mvm/wave.asm and guest_clock() mirrors clock there, line by line and
 * with the same widths; who changes one changes the other. That the image itself holds is tested with QEMU,
 * in tests/e2e/wave.sh.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/util.h"
#include "mvm_contract.h"

#define READINGS_DIFFER 8 /* as in wave.asm */
#define LATCH_CLOCKS 1	  /* between both latches, undisturbed: less than a microsecond */
#define SLICES_TOLD 256U  /* of more the guest cannot tell how often so many passed */

static uint64_t random_state;

static uint64_t random_below(uint64_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % n;
}

struct machine {
	uint64_t now;	/* clocks since channel 1 began; channel 0 began at `began` */
	uint64_t began; /* of it */
	double drift;	/* clocks by which channel 0 gets ahead in a slice, as with a kernel that rounds */
	unsigned slice;
	unsigned lost_in; /* one reading in so many loses the CPU between the latches; 0: none */
	uint64_t lost_most;
};

struct guest {
	uint16_t boundary;
	uint64_t slices;
	uint64_t readings;
};

/* What the hypervisor's own clock says of a channel that counts down from `period` for ever. */
static uint16_t counter(double since, unsigned period)
{
	return (uint16_t)(period - (uint64_t)since % period);
}

static void latch(struct machine *m, uint16_t *ch0, uint16_t *ch1)
{
	double since = (double)(m->now - m->began);

	*ch0 = counter(since * (1 + m->drift / m->slice), m->slice);
	m->now += LATCH_CLOCKS;
	if (m->lost_in && !random_below(m->lost_in))
		m->now += random_below(m->lost_most);
	*ch1 = counter((double)m->now, 65536);
	m->now += 3; /* four ports are read */
}

/* DX of read_timer; cx: what it is expected to be. */
static uint16_t guest_read(struct guest *g, struct machine *m, uint16_t cx, bool confirm)
{
	uint16_t bx = (uint16_t)(cx + g->boundary), dx, ch0;

	do {
		dx = bx;		   /* mov dx, bx */
		latch(m, &ch0, &cx);	   /* out PIT_CONTROL ... mov ch, al */
		bx = (uint16_t)(ch0 - cx); /* sub bx, cx */
		dx = (uint16_t)(dx - bx + READINGS_DIFFER);
		g->readings++;
	} while (confirm && dx > 2 * READINGS_DIFFER); /* ja .again */
	dx = (uint16_t)(bx - g->boundary);
	g->boundary = bx;
	return dx;
}

static void guest_clock(struct guest *g, struct machine *m, uint16_t cx, bool confirm)
{
	uint16_t dx = (uint16_t)(guest_read(g, m, cx, confirm) + 128); /* sub dx, -128 */

	while (dx >> 8) { /* test dh, dh */
		dx = (uint16_t)(dx - m->slice);
		g->slices++; /* call begin_slice */
	}
}

struct outcome {
	uint64_t ahead;	 /* slices: the most at any reading */
	uint64_t behind; /* at the last, undisturbed one */
};

static uint64_t passed(const struct machine *m)
{
	return (m->now - m->began) / m->slice;
}

/* Many readings: after a burst of work, or after the CPU was halted for up to `longest`. */
static struct outcome play(struct machine *m, bool confirm, unsigned readings, uint64_t longest)
{
	struct guest g = { 0 };
	struct outcome r = { 0 };

	m->now = 1000 + random_below(65536);
	m->began = m->now;
	guest_read(&g, m, 0, confirm); /* restart */
	g.slices = passed(m); /* what passed before it had its first reading is no slice of its waveform */
	for (unsigned i = 0; i < readings; i++) {
		bool halted = !random_below(4);

		m->now += random_below(halted ? longest : 300);
		guest_clock(&g, m, halted ? (uint16_t)m->slice : 0, confirm);
		r.ahead = MAX(r.ahead, g.slices - MIN(g.slices, passed(m)));
	}
	assert_true(g.readings < 4ULL * readings);
	m->lost_in = 0;
	uint64_t before = passed(m);
	guest_clock(&g, m, 0, confirm);
	r.behind = before - MIN(before, g.slices);
	return r;
}

static const unsigned slices[] = { 5 * MVM_WAVE_SLICE_UNIT, 7 * MVM_WAVE_SLICE_UNIT,
				   101 * MVM_WAVE_SLICE_UNIT, 233 * MVM_WAVE_SLICE_UNIT,
				   255 * MVM_WAVE_SLICE_UNIT };

static void test_undisturbed(void **state)
{
	(void)state;
	random_state = 1;
	for (size_t i = 0; i < ARRAY_LEN(slices); i++) {
		struct machine m = { .slice = slices[i] };
		struct outcome r = play(&m, true, 100000, 250ULL * slices[i]);

		assert_int_equal(r.ahead, 0);
		assert_int_equal(r.behind, 0);
	}
}

/* The CPU is lost between the latches in one reading of a hundred, for up to 20 slices: the guest is
   never ahead, and as it reads until two agree, not behind either. */
static void test_preempted(void **state)
{
	(void)state;
	random_state = 2;
	for (size_t i = 0; i < ARRAY_LEN(slices); i++) {
		struct machine m = { .slice = slices[i], .lost_in = 100, .lost_most = 20ULL * slices[i] };
		struct outcome r = play(&m, true, 100000, 100ULL * slices[i]);

		assert_int_equal(r.ahead, 0);
		assert_int_equal(r.behind, 0);
	}
}

/* The same without the second reading is what the guest once did: it shows that the model can tell. */
static void test_one_reading_runs_wild(void **state)
{
	struct machine m = { .slice = 233 * MVM_WAVE_SLICE_UNIT, .lost_in = 10, .lost_most = 1193 };

	(void)state;
	random_state = 3;
	struct outcome r = play(&m, false, 1000, 2ULL * m.slice);
	assert_true(r.ahead > 100);
}

/* Stopped for longer than the counters can tell, it loses time, and does not gain any. */
static void test_stopped_for_long(void **state)
{
	(void)state;
	random_state = 4;
	for (size_t i = 0; i < ARRAY_LEN(slices); i++) {
		struct machine m = { .slice = slices[i], .lost_in = 20, .lost_most = 5000ULL * slices[i] };
		struct outcome r = play(&m, true, 20000, 3000ULL * slices[i]);

		assert_int_equal(r.ahead, 0);
		assert_true(r.behind >= SLICES_TOLD);
		assert_int_equal(r.behind % SLICES_TOLD, 0);
	}
}

/* A kernel that rounds a period to nanoseconds lets one counter run away from the other. */
static void test_drift(void **state)
{
	(void)state;
	random_state = 5;
	for (size_t i = 0; i < ARRAY_LEN(slices); i++) {
		struct machine m = { .slice = slices[i], .drift = 0.0012, .lost_in = 50, .lost_most = 20000 };
		struct outcome r = play(&m, true, 400000, 4ULL * slices[i]);

		/* channel 0's own slices are that much shorter: 400,000 of them by less than one */
		assert_true(r.ahead <= 1);
		assert_true(r.behind <= 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_undisturbed),
		cmocka_unit_test(test_preempted),
		cmocka_unit_test(test_one_reading_runs_wild),
		cmocka_unit_test(test_stopped_for_long),
		cmocka_unit_test(test_drift),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
