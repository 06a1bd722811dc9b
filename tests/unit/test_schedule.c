/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Order of a matrix' runs, their sizes and figures, and what is run again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "base/err.h"
#include "base/util.h"
#include "matrix/schedule.h"

static void order_is(enum matrix_order order, unsigned rounds, unsigned round, size_t a, size_t b, size_t c,
		     size_t d)
{
	const size_t want[] = { a, b, c, d };
	size_t got[4];

	matrix_order(order, 4, rounds, round, got);
	assert_memory_equal(got, want, sizeof(want));
}

static void rounds_are_interleaved(void **state)
{
	(void)state;
	order_is(ORDER_REVERSE, 3, 0, 0, 1, 2, 3);
	order_is(ORDER_REVERSE, 3, 1, 3, 2, 1, 0);
	order_is(ORDER_REVERSE, 3, 2, 0, 1, 2, 3);
	order_is(ORDER_ROTATE, 4, 0, 0, 1, 2, 3);
	order_is(ORDER_ROTATE, 4, 1, 1, 2, 3, 0);
	order_is(ORDER_ROTATE, 2, 1, 2, 3, 0, 1);
	order_is(ORDER_LISTED, 9, 5, 0, 1, 2, 3);
}

/* Under a drift that is the same from run to run, all cells see the same on average. */
static void reversing_cancels_a_drift(void **state)
{
	double sum[5] = { 0 };

	(void)state;
	for (unsigned round = 0; round < 2; round++) {
		size_t order[5];

		matrix_order(ORDER_REVERSE, 5, 2, round, order);
		for (size_t i = 0; i < 5; i++)
			sum[order[i]] += round * 5 + (double)i;
	}
	for (size_t i = 1; i < 5; i++)
		assert_true(sum[i] == sum[0]);
}

static void exit_statuses_are_understood(void **state)
{
	(void)state;
	assert_int_equal(cell_state_of_exit(EXIT_DONE, true), CELL_DONE);
	assert_int_equal(cell_state_of_exit(EXIT_DONE, false), CELL_FAILED);
	assert_int_equal(cell_state_of_exit(EXIT_UNTRUSTED, true), CELL_UNTRUSTED);
	assert_int_equal(cell_state_of_exit(EXIT_CANNOT, false), CELL_CANNOT);
	assert_int_equal(cell_state_of_exit(EXIT_CANNOT, true), CELL_FAILED);
	assert_int_equal(cell_state_of_exit(EXIT_BAD_INPUT, false), CELL_FAILED);
	assert_int_equal(cell_state_of_exit(EXIT_INTERRUPTED, true), CELL_INTERRUPTED);
	assert_int_equal(cell_state_of_exit(128 + 11, true), CELL_FAILED);
}

static void what_is_missing_is_run(void **state)
{
	(void)state;
	assert_true(cell_to_run(CELL_PENDING));
	assert_true(cell_to_run(CELL_RUNNING)); /* killed with us */
	assert_true(cell_to_run(CELL_INTERRUPTED));
	assert_true(cell_to_run(CELL_FAILED));
	assert_true(cell_to_run(CELL_CANNOT));
	assert_false(cell_to_run(CELL_DONE));
	assert_false(cell_to_run(CELL_UNTRUSTED));
}

static const struct cell_cost lean = {
	.vm_kb = 12300, .vm_cpu_ms = 30, .intervals = 10, .interval_s = 5, .repeat = 1
};

static void memory_bounds_the_size(void **state)
{
	const struct size_host small = { .mem_available_kb = 23e6, .cores = 2 },
			       large = { .mem_available_kb = 1e9, .cores = 96 };

	(void)state;
	assert_true(cell_size(&lean, &small, 0.5, 60) == 930);
	assert_true(cell_size(&lean, &large, 0.5, 600) == 40000);
}

static void time_bounds_the_size(void **state)
{
	const struct size_host h = { .mem_available_kb = 1e9, .cores = 2 };
	struct cell_cost paced = lean;
	double n = cell_size(&lean, &h, 1, 3);

	(void)state;
	paced.rate = 10;
	assert_true(n > 1000 && cell_seconds(&lean, &h, n) <= 180);
	assert_true(cell_size(&paced, &h, 1, 3) < n / 4);
	assert_true(cell_size(&lean, &h, 1, 0.1) == 10);
	assert_true(cell_seconds(&paced, &h, 100) > cell_seconds(&lean, &h, 100));
}

static size_t figures(const int *at, size_t n, size_t dims, size_t *order, struct figure_group *g, int *dim)
{
	return matrix_figures(at, n, dims, 5, order, g, dim);
}

static void few_cells_make_one_figure(void **state)
{
	const int at[] = { 0, 0, 0, 1, 1, 0, 1, 1, -1, -1 };
	struct figure_group g[5];
	size_t order[5];
	int dim;

	(void)state;
	assert_int_equal(figures(at, 5, 2, order, g, &dim), 1);
	assert_int_equal(dim, -1);
	assert_int_equal(g[0].count, 5);
}

/* profile x accel x arch: the last dimension makes the figures, so that what is compared first stays
 * together. */
static void a_dimension_cuts_the_figures(void **state)
{
	struct figure_group g[9];
	size_t order[9];
	int at[9 * 3], dim;

	(void)state;
	for (int i = 0; i < 8; i++) {
		at[i * 3] = i / 4;
		at[i * 3 + 1] = i / 2 % 2;
		at[i * 3 + 2] = i % 2;
	}
	at[24] = at[25] = at[26] = -1;
	assert_int_equal(figures(at, 9, 3, order, g, &dim), 3);
	assert_int_equal(dim, 2);
	assert_int_equal(g[0].value, -1);
	assert_int_equal(g[0].count, 1);
	assert_int_equal(order[0], 8);
	assert_int_equal(g[1].value, 0);
	assert_int_equal(g[1].count, 4);
	assert_int_equal(order[g[1].first + 1], 2);
	assert_int_equal(g[2].value, 1);
}

static void many_cells_are_cut_evenly(void **state)
{
	int at[12] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 }, dim;
	struct figure_group g[12];
	size_t order[12];

	(void)state;
	/* one dimension of twelve values: a figure each would show nothing */
	assert_int_equal(figures(at, 12, 0, order, g, &dim), 3);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(g[i].count, 4);
	assert_int_equal(figures(at, 6, 0, order, g, &dim), 2);
	assert_int_equal(g[0].count, 3);
	assert_int_equal(figures(at, 12, 1, order, g, &dim), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rounds_are_interleaved),
		cmocka_unit_test(reversing_cancels_a_drift),
		cmocka_unit_test(exit_statuses_are_understood),
		cmocka_unit_test(what_is_missing_is_run),
		cmocka_unit_test(memory_bounds_the_size),
		cmocka_unit_test(time_bounds_the_size),
		cmocka_unit_test(few_cells_make_one_figure),
		cmocka_unit_test(a_dimension_cuts_the_figures),
		cmocka_unit_test(many_cells_are_cut_evenly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
