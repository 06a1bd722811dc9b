/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "base/util.h"
#include "model/forecast.h"

#define ROWS 21
#define assert_near(a, b, within) assert_true(fabs((a) - (b)) <= (within))

/* A ramp in equal steps whose VMs take `b` % each, and `kept` % more once they were pinged; 1 % is, per
 * interval. */
struct made {
	double vms[ROWS], pct[ROWS], asked[ROWS], held_kb[ROWS], woken[ROWS];
};

static struct made make(double step, double b, double kept)
{
	struct made m;

	for (size_t i = 0; i < ROWS; i++) {
		m.vms[i] = step * (double)i;
		m.asked[i] = i ? ceil(m.vms[i] / 100) : (double)NAN;
	}
	wake_residue_count(m.vms, m.asked, ROWS, m.woken);
	for (size_t i = 0; i < ROWS; i++) {
		m.pct[i] = 3 + b * m.vms[i] + kept * m.woken[i];
		m.held_kb[i] = 100 * m.vms[i] + 1000 * kept * m.woken[i];
	}
	return m;
}

static struct trend grown(const struct made *m, size_t n, double model_error, double left)
{
	struct trend g;

	trend_fit(&(struct trend_input){ .n = n,
					 .vms = m->vms,
					 .pct = m->pct,
					 .asked = m->asked,
					 .held_kb = m->held_kb,
					 .pct_per_kb = 0.001,
					 .left = left,
					 .model_error = model_error },
		  &g);
	return g;
}

static void pings_are_counted_once_a_vm(void **state)
{
	double vms[] = { 0, 100, 200, 300 }, asked[] = { (double)NAN, 100, 20, (double)NAN }, woken[4];

	(void)state;
	wake_residue_count(vms, asked, 4, woken);
	assert_near(woken[0], 0, 0);
	assert_near(woken[1], 0, 0); /* they are pinged after they were measured */
	assert_near(woken[2], 100, 0);
	assert_near(woken[3], 110, 1e-9); /* half of them were woken before */
}

static void the_count_goes_on_as_it_began(void **state)
{
	struct made m = make(500, 0.005, 0.02);
	struct trend g = grown(&m, 6, 0, 0);

	(void)state;
	for (size_t i = 0; i < 6; i++)
		assert_near(wake_residue_at(&g.woken, m.vms[i]), m.woken[i], 1e-6);
	assert_near(wake_residue_at(&g.woken, 750), (m.woken[1] + m.woken[2]) / 2, 1e-6);
	for (size_t i = 6; i < ROWS; i++)
		assert_near(wake_residue_at(&g.woken, m.vms[i]) / m.woken[i], 1, 0.01);
}

static void a_bend_is_foreseen(void **state)
{
	struct made m = make(500, 0.005, 0.02);
	struct trend g = grown(&m, 6, 0, 0);
	struct line_fit line;
	double at, lower, upper, x = (double)NAN, l, u;

	(void)state;
	assert_near(g.woken_pct, 0.02, 0.001);
	assert_true(trend_crossing(&g, m.pct[ROWS - 1], &at, &lower, &upper));
	assert_near(at / m.vms[ROWS - 1], 1, 0.01);
	assert_true(lower <= m.vms[ROWS - 1] + 100 && m.vms[ROWS - 1] <= upper + 100);
	/* what a line would say */
	assert_true(fit_line(m.vms, m.pct, 6, &line) && fit_inverse(&line, m.pct[ROWS - 1], &x, &l, &u));
	assert_true(x > 1.1 * m.vms[ROWS - 1]);
	for (size_t i = 0; i < ROWS; i++)
		assert_near(trend_at(&g, m.vms[i]), m.pct[i], 0.5);
	assert_true(trend_holdout_pct(&(struct trend_input){ .n = ROWS,
							     .vms = m.vms,
							     .pct = m.pct,
							     .asked = m.asked,
							     .held_kb = m.held_kb,
							     .pct_per_kb = 0.001 }) < 1);
}

/* What lies behind a ramp that is over is asked of another one: as many intervals, larger steps. */
static void another_ramp_pings_as_often(void **state)
{
	struct made m = make(500, 0.005, 0.02), far = make(1000, 0.005, 0.02);
	struct trend_input in = { .n = ROWS,
				  .vms = m.vms,
				  .pct = m.pct,
				  .asked = m.asked,
				  .held_kb = m.held_kb,
				  .pct_per_kb = 0.001,
				  .intervals = ROWS - 1 };
	double at, lower, upper;
	struct trend g;

	(void)state;
	assert_near(wake_residue_share(0.01, ROWS - 1), m.woken[ROWS - 1] / m.vms[ROWS - 1], 0.001);
	assert_near(wake_residue_share(1, 4), 0.75, 1e-9); /* --verify all: all but the last step */
	assert_near(wake_residue_share(0.01, 0), 0, 0);
	trend_fit(&in, &g);
	assert_true(trend_crossing(&g, far.pct[ROWS - 1], &at, &lower, &upper));
	assert_near(at / far.vms[ROWS - 1], 1, 0.01);
	in.intervals = 0; /* this one would ping on */
	trend_fit(&in, &g);
	assert_true(trend_crossing(&g, far.pct[ROWS - 1], &at, &lower, &upper));
	assert_true(at < 0.97 * far.vms[ROWS - 1]);
}

/* Smaller steps mean more pings, so the end comes earlier. */
static void planned_steps_are_heeded(void **state)
{
	struct made m = make(500, 0.005, 0.02);
	struct trend same = grown(&m, 6, 0, 0), finer = grown(&m, 6, 0, 40);
	double at[2], lower, upper;

	(void)state;
	assert_true(trend_crossing(&same, 60, &at[0], &lower, &upper));
	assert_true(trend_crossing(&finer, 60, &at[1], &lower, &upper));
	assert_true(at[1] < 0.97 * at[0]);
}

static void straying_widens_only_what_lies_ahead(void **state)
{
	struct made m = make(500, 0.005, 0);
	struct trend sure = grown(&m, 6, 0, 0), stray = grown(&m, 6, 0.05, 0);
	double at[2], lower[2], upper[2];

	(void)state;
	assert_int_equal(sure.woken.n, 0);
	assert_near(trend_half_width(&sure, 2000), trend_half_width(&stray, 2000), 1e-9);
	assert_true(trend_crossing(&sure, 53, &at[0], &lower[0], &upper[0]));
	assert_true(trend_crossing(&stray, 53, &at[1], &lower[1], &upper[1]));
	assert_near(at[0], 10000, 1);
	assert_near(at[1], 10000, 1);
	/* 5 % of the 7,500 VMs to come */
	assert_near(upper[1] - at[1], 1.96 * 0.05 * 7500, 100);
	assert_near(at[1] - lower[1], 1.96 * 0.05 * 7500, 100);
}

/* What cannot be known bends nothing, and breaks nothing. */
static void odd_records_keep_their_line(void **state)
{
	struct made fine = make(500, 0.005, 0.02), m = fine;
	double at, lower, upper;

	(void)state;
	m.vms[3] = 200; /* VMs became fewer */
	assert_int_equal(grown(&m, 6, 0, 0).woken.n, 0);
	m = fine;
	m.held_kb[2] = (double)NAN; /* a kernel that does not say */
	assert_int_equal(grown(&m, 6, 0, 0).woken.n, 0);
	m = fine;
	for (size_t i = 0; i < ROWS; i++)
		m.asked[i] = 0; /* --verify 0 */
	assert_int_equal(grown(&m, ROWS, 0, 0).woken.n, 0);
	m = fine;
	for (size_t i = 0; i < ROWS; i++)
		m.held_kb[i] = 100 * m.vms[i] - 50 * m.woken[i]; /* the more are woken, the less they hold */
	assert_int_equal(grown(&m, ROWS, 0, 0).woken.n, 0);
	assert_int_equal(grown(&fine, 3, 0, 0).woken.n, 0); /* too few */
	m = fine;
	m.vms[5] = m.vms[4]; /* the same VMs, measured again after they were pinged */
	m.pct[5] = m.pct[4] + 0.02 * m.asked[4];
	assert_true(trend_crossing(&(struct trend){ 0 }, 50, &at, &lower, &upper) == false);
	struct trend g = grown(&m, 6, 0.02, 0);
	assert_true(!g.woken.n || isfinite(wake_residue_at(&g.woken, 1e6)));
}

/* More rows than knots: the curve is the same. */
static void long_ramps_are_thinned(void **state)
{
	enum { MANY = 1000 };
	static double vms[MANY], pct[MANY], asked[MANY], held_kb[MANY], woken[MANY];
	struct trend g;

	(void)state;
	for (size_t i = 0; i < MANY; i++) {
		vms[i] = 10 * (double)i;
		asked[i] = floor(vms[i] / 5000);
	}
	wake_residue_count(vms, asked, MANY, woken);
	for (size_t i = 0; i < MANY; i++) {
		held_kb[i] = 100 * vms[i] + 400 * woken[i];
		pct[i] = 0.001 * held_kb[i];
	}
	trend_fit(&(struct trend_input){ .n = MANY,
					 .vms = vms,
					 .pct = pct,
					 .asked = asked,
					 .held_kb = held_kb,
					 .pct_per_kb = 0.001 },
		  &g);
	assert_true(g.woken.n > 30 && g.woken.n <= WAKE_RESIDUE_KNOTS);
	assert_near(g.woken.kb, 400, 1);
	for (size_t i = 0; i < MANY; i += 37)
		assert_near(trend_at(&g, vms[i]), pct[i], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pings_are_counted_once_a_vm),
		cmocka_unit_test(the_count_goes_on_as_it_began),
		cmocka_unit_test(a_bend_is_foreseen),
		cmocka_unit_test(another_ramp_pings_as_often),
		cmocka_unit_test(planned_steps_are_heeded),
		cmocka_unit_test(straying_widens_only_what_lies_ahead),
		cmocka_unit_test(odd_records_keep_their_line),
		cmocka_unit_test(long_ramps_are_thinned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
