/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "run/admission.h"

#define SECOND 1000000000ULL

static const struct admission_limits usual = { .threshold_pct = 90, .ram_ends = true, .swap_ends = true };
static const struct admission_limits for_swap = { .threshold_pct = 90, .swap_ends = true };

static struct admission_reading calm(double ram, double swap)
{
	return (struct admission_reading){
		.at_ns = SECOND, .ram_pct = ram, .swap_pct = swap, .kernel_pct = 20, .has_swap = true
	};
}

static void ram_ends_at_the_threshold(void **state)
{
	struct admission p = { 0 };
	struct admission_reading r = calm(89.9, 0);

	(void)state;
	assert_int_equal(admission_decide(&p, &usual, &r), ADMISSION_GO);
	r.ram_pct = 90;
	assert_int_equal(admission_decide(&p, &usual, &r), ADMISSION_STOP);
	assert_int_equal(p.reason, ADMISSION_RAM);
}

static void swap_ends_at_the_threshold(void **state)
{
	struct admission p = { 0 };
	struct admission_reading r = calm(99, 89);

	(void)state;
	assert_int_equal(admission_decide(&p, &for_swap, &r), ADMISSION_GO);
	r.swap_pct = 90;
	assert_int_equal(admission_decide(&p, &for_swap, &r), ADMISSION_STOP);
	assert_int_equal(p.reason, ADMISSION_SWAP);
}

static void without_swap_the_host_comes_first(void **state)
{
	const struct admission_limits none = { .threshold_pct = 90 };
	struct admission p = { 0 };
	struct admission_reading r = calm(95, 0);

	(void)state;
	r.has_swap = false;
	assert_int_equal(admission_decide(&p, &none, &r), ADMISSION_GO);
	r.ram_pct = 96;
	assert_int_equal(admission_decide(&p, &none, &r), ADMISSION_STOP);
	assert_int_equal(p.reason, ADMISSION_NO_RESERVE);
	r.has_swap = true;
	r.swap_pct = 95;
	assert_int_equal(admission_decide(&p, &none, &r), ADMISSION_STOP);
}

static void kernel_memory_does_not_swap(void **state)
{
	struct admission p = { 0 };
	struct admission_reading r = calm(97, 3);

	(void)state;
	r.kernel_pct = 90;
	assert_int_equal(admission_decide(&p, &for_swap, &r), ADMISSION_STOP);
	assert_int_equal(p.reason, ADMISSION_KERNEL);
}

static void merging_is_waited_for(void **state)
{
	struct admission p = { 0 };
	struct admission_reading r = calm(87, 0);

	(void)state;
	r.merging = true;
	assert_int_equal(admission_decide(&p, &usual, &r), ADMISSION_GO);
	r.ram_pct = 89;
	assert_int_equal(admission_decide(&p, &usual, &r), ADMISSION_WAIT);
	assert_int_equal(p.reason, ADMISSION_MERGING);
	/* progress keeps it waiting for as long as it takes */
	for (int i = 0; i < 100; i++) {
		r.at_ns += 5 * SECOND;
		r.merged_mb += 10;
		assert_int_equal(admission_decide(&p, &usual, &r), ADMISSION_WAIT);
	}
	/* not at the first sign of room, else it would begin and wait at every VM */
	r.ram_pct = 87;
	assert_int_equal(admission_decide(&p, &usual, &r), ADMISSION_WAIT);
	r.ram_pct = 85;
	assert_int_equal(admission_decide(&p, &usual, &r), ADMISSION_GO);
}

static void merging_that_ends_is_the_end(void **state)
{
	struct admission p = { 0 };
	struct admission_reading r = calm(89, 0);
	int waits = 0;

	(void)state;
	r.merging = true;
	while (admission_decide(&p, &usual, &r) == ADMISSION_WAIT && waits < 1000) {
		r.at_ns += SECOND;
		waits++;
	}
	assert_in_range(waits, 15, 30);
	assert_int_equal(p.reason, ADMISSION_RAM);
}

static void stalls_are_waited_out(void **state)
{
	struct admission p = { 0 };
	struct admission_reading r = calm(95, 40);

	(void)state;
	r.stall_pct = 30;
	assert_int_equal(admission_decide(&p, &for_swap, &r), ADMISSION_WAIT);
	r.stall_pct = 15;
	r.at_ns += SECOND;
	assert_int_equal(admission_decide(&p, &for_swap, &r), ADMISSION_WAIT);
	r.stall_pct = 5;
	assert_int_equal(admission_decide(&p, &for_swap, &r), ADMISSION_GO);
	/* and a host that does nothing else any more has had enough */
	r.stall_pct = 80;
	assert_int_equal(admission_decide(&p, &for_swap, &r), ADMISSION_WAIT);
	r.at_ns += 31 * SECOND;
	assert_int_equal(admission_decide(&p, &for_swap, &r), ADMISSION_STOP);
	assert_int_equal(p.reason, ADMISSION_STALLED);
}

static void unknown_readings_stop_nothing(void **state)
{
	struct admission p = { 0 };
	struct admission_reading r = calm(50, 0);

	(void)state;
	r.kernel_pct = r.stall_pct = NAN;
	assert_int_equal(admission_decide(&p, &usual, &r), ADMISSION_GO);
	assert_int_equal(admission_decide(&p, &for_swap, &r), ADMISSION_GO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ram_ends_at_the_threshold),
		cmocka_unit_test(swap_ends_at_the_threshold),
		cmocka_unit_test(without_swap_the_host_comes_first),
		cmocka_unit_test(kernel_memory_does_not_swap),
		cmocka_unit_test(merging_is_waited_for),
		cmocka_unit_test(merging_that_ends_is_the_end),
		cmocka_unit_test(stalls_are_waited_out),
		cmocka_unit_test(unknown_readings_stop_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
