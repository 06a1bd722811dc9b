/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Properties of curve shapes on synthetic data: every shape, noise, outliers, gaps, drift, steps, edges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/forecast.h"
#include "ramps.h"

#define ROWS 60
#define TOLERATED 2.0
#define assert_near(a, b, within) assert_true(fabs((a) - (b)) <= (within))

struct made {
	double x[ROWS], y[ROWS];
	size_t n;
};

static struct segmented_fit fit(const struct made *m)
{
	struct segmented_fit f;

	segmented_fit(m->x, m->y, m->n, TOLERATED, &f);
	/* Whatever the data: a name, and no probability that is none. */
	assert_true(f.shape < SHAPE_COUNT);
	assert_true(f.probability >= 0 && f.probability <= 1);
	assert_true(isnan(f.knee) || (f.knee_lower <= f.knee && f.knee <= f.knee_upper));
	return f;
}

/* a + b u + c max(0, u - k), u from 0 to 1, VM counts to 6,000 */
static struct made hinge(double a, double b, double c, double k, double noise, uint32_t seed)
{
	struct made m = { .n = ROWS };

	for (size_t i = 0; i < ROWS; i++) {
		double u = (double)i / (ROWS - 1);

		m.x[i] = 6000 * u;
		m.y[i] = a + b * u + c * fmax(u - k, 0) + noise * ramp_noise(&seed);
	}
	return m;
}

static void every_shape_has_its_name(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed < 20; seed++) {
		struct made flat = hinge(3, 0, 0, 0, 0.2, seed), line = hinge(5, 60, 0, 0, 0.3, seed);
		struct made knee = hinge(5, 30, 60, 0.5, 0.3, seed),
			    level = hinge(2, 80, -80, 0.5, 0.3, seed);
		struct made noisy = hinge(20, 0, 0, 0, 8, seed);

		assert_int_equal(fit(&line).shape, SHAPE_LINEAR);
		struct segmented_fit f = fit(&knee);
		assert_int_equal(f.shape, SHAPE_KNEE);
		assert_true(f.knee_lower <= 3050 && 2950 <= f.knee_upper);
		assert_near(f.tail.b, 90 / 6000.0, 0.001);
		assert_near(f.slope_before, 30 / 6000.0, 0.001);
		f = fit(&level);
		assert_int_equal(f.shape, SHAPE_SATURATING);
		assert_near(f.level, 42, 0.5);
		assert_int_equal(fit(&noisy).shape, SHAPE_NOISY);
		f = fit(&flat);
		assert_true(f.shape == SHAPE_FLAT || fabs(f.line.b) * 6000 < 0.4);
	}
}

static void full_host_saturates_at_100(void **state)
{
	struct made m = hinge(1, 200, 0, 0, 0, 1);

	(void)state;
	for (size_t i = 0; i < m.n; i++)
		m.y[i] = fmin(m.y[i], 100);
	struct segmented_fit f = fit(&m);
	assert_int_equal(f.shape, SHAPE_SATURATING);
	assert_near(f.level, 100, 0.01);
	assert_near(f.knee, 2970, 60);
	assert_near(segmented_at(&f, 1000), 1 + 200.0 / 6, 3);
	assert_near(segmented_at(&f, 50000), 100, 0.01);
}

/* CPU of something else that ended early in the run is no saturation. */
static void falling_to_a_level_is_noise(void **state)
{
	struct made m = hinge(95, -300, 300, 0.3, 0.3, 2);

	(void)state;
	assert_int_equal(fit(&m).shape, SHAPE_NOISY);
}

static void outliers_are_set_aside(void **state)
{
	(void)state;
	for (uint32_t seed = 1; seed < 10; seed++) {
		struct made m = hinge(5, 60, 0, 0, 0.2, seed);

		m.y[10] += 30;
		m.y[31] -= 20;
		m.y[47] = 100;
		struct segmented_fit f = fit(&m);
		assert_int_equal(f.shape, SHAPE_LINEAR);
		assert_true(f.outliers >= 3);
		assert_near(f.tail.b, 0.01, 0.0003);
	}
}

static void missing_values_change_little(void **state)
{
	struct made m = hinge(5, 30, 60, 0.5, 0.1, 4);
	struct segmented_fit whole = fit(&m);

	(void)state;
	for (size_t i = 0; i < m.n; i += 4)
		m.y[i] = i % 8 ? (double)NAN : (double)INFINITY;
	struct segmented_fit f = fit(&m);
	assert_int_equal(f.shape, SHAPE_KNEE);
	assert_near(f.tail.b, whole.tail.b, 0.0005);
	assert_int_equal(f.n, 45);
}

/* A step or a slow wave is neither a clean line nor must it break anything. */
static void steps_and_drift_are_survived(void **state)
{
	struct made m = hinge(5, 20, 0, 0, 0.2, 5);
	double at, lower, upper;

	(void)state;
	for (size_t i = ROWS / 2; i < ROWS; i++)
		m.y[i] += 25;
	struct segmented_fit f = fit(&m);
	assert_true(f.shape != SHAPE_FLAT);
	for (size_t i = 0; i < ROWS; i++)
		m.y[i] = 10 + 1.5 * sin((double)i / 9);
	f = fit(&m);
	if (trend_crossing(&(struct trend){ .shape = f }, 90, &at, &lower, &upper))
		assert_true(at > 6000); /* a wave must not look like an end at hand */
}

static void order_does_not_matter(void **state)
{
	struct made m = hinge(5, 30, 60, 0.5, 0.3, 9), back = { .n = m.n };

	(void)state;
	for (size_t i = 0; i < m.n; i++) {
		back.x[i] = m.x[m.n - 1 - i];
		back.y[i] = m.y[m.n - 1 - i];
	}
	assert_near(fit(&m).knee, fit(&back).knee, 1e-6);
	assert_near(fit(&m).tail.b, fit(&back).tail.b, 1e-9);
}

static void edges(void **state)
{
	struct made m = { .n = 0 };
	double at, lower, upper;

	(void)state;
	for (; m.n < SHAPE_POINTS; m.n++) {
		m.x[m.n] = 10 * (double)m.n;
		m.y[m.n] = 1;
		struct segmented_fit f = fit(&m);
		assert_false(trend_crossing(&(struct trend){ .shape = f }, 90, &at, &lower, &upper));
	}
	m.n = ROWS;
	for (size_t i = 0; i < ROWS; i++) {
		m.x[i] = 500; /* one VM count only */
		m.y[i] = (double)i;
	}
	assert_int_equal(fit(&m).shape, SHAPE_UNKNOWN);
	for (size_t i = 0; i < ROWS; i++) {
		m.x[i] = (double)i;
		m.y[i] = 0; /* all equal: swap that is absent */
	}
	assert_int_equal(fit(&m).shape, SHAPE_FLAT);
	for (size_t i = 0; i < ROWS; i++)
		m.y[i] = (double)NAN;
	struct segmented_fit f = fit(&m);
	assert_int_equal(f.n, 0);
	assert_true(isnan(segmented_at(&f, 10)));
	for (size_t i = 0; i < ROWS; i++)
		m.y[i] = 50 - (double)i / 2; /* falls */
	f = fit(&m);
	assert_false(trend_crossing(&(struct trend){ .shape = f }, 90, &at, &lower, &upper));
}

static double holdout(const struct made *m, size_t n)
{
	return trend_holdout_pct(&(struct trend_input){ .n = n, .vms = m->x, .pct = m->y });
}

static void holdout_sees_what_it_could_not_know(void **state)
{
	struct made line = hinge(1, 90, 0, 0, 0.1, 3), late = hinge(1, 20, 200, 0.7, 0.1, 3);
	struct made early = hinge(1, 20, 90, 0.2, 0.1, 3);

	(void)state;
	assert_true(holdout(&line, ROWS) < 1);
	assert_true(holdout(&early, ROWS) < 3);
	assert_true(holdout(&late, ROWS) > 30);
	assert_true(isnan(holdout(&line, 3)));
}

static void the_first_end_is_forecast(void **state)
{
	double vms[] = { 0, 100, 200, 300, 400 }, ram[] = { 5, 10, 15, 20, 25 },
	       cpu[] = { 1, 21, 41, 61, 81 };
	struct forecast_input in = {
		.n = 5, .vms = vms, .pct = { cpu, ram, NULL }, .threshold_pct = 90, .max = 9000
	};
	struct forecast f = forecast_stop(&in);

	(void)state;
	assert_true(f.ok && !f.is_limit);
	assert_string_equal(f.resource, "cpu");
	assert_near(f.vms, 445, 1);
	in.pct[0] = NULL; /* CPU does not stop this run */
	f = forecast_stop(&in);
	assert_string_equal(f.resource, "ram");
	assert_near(f.vms, 1700, 1);
	in.limit = "pid_max";
	in.limit_vms = 800;
	f = forecast_stop(&in);
	assert_true(f.is_limit);
	assert_near(f.vms, 800, 0);
	in.max = 500;
	f = forecast_stop(&in);
	assert_string_equal(f.resource, "max");
	in.n = FORECAST_INTERVALS - 1;
	assert_false(forecast_stop(&in).ok);
}

/* Swap that is not in use yet: RAM says when it will be. */
static void swap_is_forecast_from_ram(void **state)
{
	double vms[] = { 0, 100, 200, 300, 400 }, ram[] = { 5, 10, 15, 20, 25 }, swap[] = { 0, 0, 0, 0, 0 };
	struct forecast_input in = { .n = 5,
				     .vms = vms,
				     .pct = { NULL, NULL, swap },
				     .threshold_pct = 90,
				     .ram_pct = ram,
				     .swap_per_ram = 0.5 };
	struct forecast f = forecast_stop(&in);

	(void)state;
	assert_true(f.ok);
	assert_string_equal(f.resource, "swap");
	assert_near(f.vms, (FORECAST_RAM_FULL_PCT + 45 - 5) / 0.05, 1);
	in.swap_per_ram = 0;
	assert_false(forecast_stop(&in).ok);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_shape_has_its_name),
		cmocka_unit_test(full_host_saturates_at_100),
		cmocka_unit_test(falling_to_a_level_is_noise),
		cmocka_unit_test(outliers_are_set_aside),
		cmocka_unit_test(missing_values_change_little),
		cmocka_unit_test(steps_and_drift_are_survived),
		cmocka_unit_test(order_does_not_matter),
		cmocka_unit_test(edges),
		cmocka_unit_test(holdout_sees_what_it_could_not_know),
		cmocka_unit_test(the_first_end_is_forecast),
		cmocka_unit_test(swap_is_forecast_from_ram),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
