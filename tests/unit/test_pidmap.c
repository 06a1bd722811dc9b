/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/pidmap.h"
#include "base/util.h"

static void puts_and_takes(void **state)
{
	struct pidmap m = { 0 };
	uint32_t vm = 99;

	(void)state;
	assert_false(pidmap_take(&m, 5, &vm));
	pidmap_put(&m, 5, 1);
	pidmap_put(&m, 6, 2);
	assert_false(pidmap_take(&m, 7, &vm));
	assert_false(pidmap_take(&m, -1, &vm));
	assert_false(pidmap_take(&m, 0, &vm));
	assert_true(pidmap_take(&m, 6, &vm));
	assert_int_equal(vm, 2);
	assert_false(pidmap_take(&m, 6, &vm));
	assert_true(pidmap_take(&m, 5, &vm));
	assert_int_equal(vm, 1);
	pidmap_clear(&m);
}

static void holds_a_hundred_thousand(void **state)
{
	struct pidmap m = { 0 };
	uint32_t vm;

	(void)state;
	for (uint32_t i = 0; i < 100000; i++)
		pidmap_put(&m, (pid_t)(1000 + 3 * i), i);
	for (uint32_t i = 0; i < 100000; i++) {
		assert_true(pidmap_take(&m, (pid_t)(1000 + 3 * i), &vm));
		assert_int_equal(vm, i);
	}
	pidmap_clear(&m);
}

/* A run that goes on starting and losing VMs neither grows without end nor stops finding. */
static void stays_small_under_churn(void **state)
{
	struct pidmap m = { 0 };
	uint32_t vm;

	(void)state;
	for (uint32_t i = 1; i < 200000; i++) {
		pidmap_put(&m, (pid_t)i, i);
		if (i > 10) {
			assert_true(pidmap_take(&m, (pid_t)(i - 10), &vm));
			assert_int_equal(vm, i - 10);
		}
	}
	assert_true(m.size <= 256);
	pidmap_clear(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(puts_and_takes),
		cmocka_unit_test(holds_a_hundred_thousand),
		cmocka_unit_test(stays_small_under_churn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
