/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "run/answers.h"

#define SECOND 1000000000ULL

static void a_silent_vm_does_not_count_until_it_answers(void **state)
{
	struct answers a;

	(void)state;
	answers_open(&a, 4);
	assert_int_equal(answers_unproven(&a), 0);
	assert_true(answers_came(&a, 1, SECOND) < 0);
	assert_true(answers_missed(&a, 1, SECOND));
	assert_false(answers_missed(&a, 1, 2 * SECOND));
	assert_true(answers_missed(&a, 3, 2 * SECOND));
	assert_int_equal(answers_unproven(&a), 2);
	assert_true(answers_is_silent(&a, 1) && !answers_is_proven(&a, 1) && answers_is_proven(&a, 2));
	/* since the first request that it did not answer */
	assert_true(answers_came(&a, 1, 5 * SECOND) == 4);
	assert_int_equal(answers_unproven(&a), 1);
	answers_forget(&a, 3);
	answers_forget(&a, 3);
	assert_int_equal(answers_unproven(&a), 0);
	answers_close(&a);
}

static void what_could_not_be_asked_is_left_out_for_that_interval(void **state)
{
	struct answers a;

	(void)state;
	answers_open(&a, 4);
	assert_true(answers_missed(&a, 0, SECOND));
	answers_unasked(&a, 0);
	answers_unasked(&a, 2);
	answers_unasked(&a, 2);
	assert_int_equal(answers_unproven(&a), 2);
	assert_true(!answers_is_silent(&a, 2) && !answers_is_proven(&a, 2));
	answers_begin(&a);
	assert_int_equal(answers_unproven(&a), 1);
	answers_unasked(&a, 2);
	assert_true(answers_missed(&a, 2, SECOND));
	assert_int_equal(answers_unproven(&a), 2);
	answers_reset(&a);
	assert_int_equal(answers_unproven(&a), 0);
	answers_close(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_silent_vm_does_not_count_until_it_answers),
		cmocka_unit_test(what_could_not_be_asked_is_left_out_for_that_interval),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
