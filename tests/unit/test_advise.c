/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "advise/verdict.h"

#define assert_near(a, b, within) assert_true(fabs((a) - (b)) <= (within))
/* A run made of numbers: what curves it had and how it ended. */
struct made {
	size_t n;
	double step;
	double (*cpu)(double), (*ram)(double), (*swap)(double);
	const char *json; /* members beyond the usual ones */
	double settled;
};

/* A small generator of its own, so that every platform sees the same noise. */
static double noise(void)
{
	static uint32_t s = 1;
	double sum = 0;

	for (int i = 0; i < 12; i++) {
		s = s * 1664525 + 1013904223;
		sum += (double)(s >> 8) / (1 << 24);
	}
	return sum - 6;
}

static double zero(double x)
{
	return x * 0;
}
static double all_nan(double x)
{
	return x * (double)NAN;
}
static double all_inf(double x)
{
	return x + INFINITY;
}
static double flat(double x)
{
	return 3 + x * 0;
}
static double line(double x)
{
	return 5 + x / 100;
}
static double noisy_line(double x)
{
	return line(x) + 0.5 * noise();
}
static double noisy_flat(double x)
{
	return 10 + x * 0 + noise();
}
static double nan_line(double x)
{
	return fmod(x, 300) < 1 ? (double)NAN : line(x);
}
static double saturating(double x)
{
	return fmin(line(x), 45);
}
static double square(double x)
{
	return 1 + x * x / 2.5e5;
}
static double spiked_line(double x)
{
	return line(x) + (x > 950 && x < 1050 ? 80 : 0);
}
static double hinge(double x)
{
	return fmax(0, (x - 3000) / 60);
}

static struct run_record *make(const struct made *m)
{
	static const char *const names[] = { "vm_count",     "cpu_pct_mean", "cpu_pct_sd",
					     "ram_pct_mean", "ram_pct_sd",   "swap_pct_mean",
					     "swap_pct_sd",  "samples",	     "settled" };
	struct run_record *r = xcalloc(1, sizeof(*r));
	struct csv *t = xcalloc(1, sizeof(*t));
	_cleanup_free_ char *json = xasprintf(
		"{\"format\":1,\"state\":\"complete\",\"threshold_pct\":90,\"host\":{\"cores\":4,\"ram_kb\":1000000,\"swap_kb\":%d},\"stop\":{\"kind\":\"max\"}}",
		m->swap ? 500000 : 0);

	r->dir = xstrdup("made");
	r->meta = json_loads(json, 0, NULL);
	assert_non_null(r->meta);
	if (m->json) {
		json_t *more = json_loads(m->json, 0, NULL);

		assert_non_null(more);
		json_object_update(r->meta, more);
		json_decref(more);
	}
	t->columns = ARRAY_LEN(names);
	t->names = xcalloc(t->columns, sizeof(*t->names));
	for (size_t c = 0; c < t->columns; c++)
		t->names[c] = xstrdup(names[c]);
	t->rows = m->n;
	t->cells = xcalloc(t->rows * t->columns, sizeof(*t->cells));
	for (size_t i = 0; i < m->n; i++) {
		double x = (double)i * m->step, *c = t->cells + i * t->columns;

		c[0] = x;
		c[1] = m->cpu(x);
		c[3] = m->ram(x);
		c[5] = m->swap ? m->swap(x) : 0;
		c[2] = c[4] = c[6] = 0.2;
		c[7] = 10;
		c[8] = m->settled;
	}
	r->intervals = t;
	return r;
}

static struct advice *advised(const struct made *m, double threshold)
{
	_cleanup_(run_record_freep) struct run_record *r = make(m);
	struct advice *a = NULL;

	assert_null(advise_run(r, threshold, &a));
	/* Whatever the data, both forms can be made and are whole. */
	json_t *o = advice_json(a);
	_cleanup_free_ char *text = advice_text(a), *dump = json_dumps(o, 0);
	assert_non_null(dump);
	assert_true(strlen(text) > 20);
	assert_null(strstr(text, "nan"));
	assert_string_equal(json_string_value(json_object_get(o, "verdict")), a->ok ? "ok" : "inconclusive");
	json_decref(o);
	return a;
}

static bool has_reason(const struct advice *a, const char *word)
{
	for (size_t i = 0; i < a->reasons.count; i++)
		if (strstr(a->reasons.items[i], word))
			return true;
	return false;
}

static void ram_line_is_projected(void **state)
{
	_cleanup_(advice_freep) struct advice *a = advised(
		&(struct made){ .n = 21, .step = 300, .cpu = flat, .ram = noisy_line, .settled = 1 }, 0);

	(void)state;
	assert_true(a->ok);
	assert_string_equal(a->binding, "ram");
	assert_string_equal(a->runner_up, "none");
	assert_near(a->vms, 8500, 150);
	assert_true(a->lower < a->vms && a->vms < a->upper);
	assert_true(a->extrapolated);
	assert_false(a->measured);
	assert_near(a->measured_to, 6000, 0);
	assert_near(a->ram_kb, 100, 1);
	assert_true(a->holdout_pct < 3);
}

static void too_far_gives_no_number(void **state)
{
	_cleanup_(advice_freep) struct advice *a =
		advised(&(struct made){ .n = 21, .step = 100, .cpu = flat, .ram = line, .settled = 1 }, 0);
	json_t *o = advice_json(a);

	(void)state;
	assert_false(a->ok);
	assert_string_equal(a->binding, "ram");
	assert_true(json_is_null(json_object_get(o, "vms_at_threshold")));
	assert_true(json_is_null(json_object_get(o, "lower")));
	assert_true(json_is_true(json_object_get(o, "extrapolated")));
	assert_true(has_reason(a, "--max 4300"));
	json_decref(o);
}

static void nothing_rises(void **state)
{
	_cleanup_(advice_freep) struct advice *a = advised(
		&(struct made){ .n = 21, .step = 100, .cpu = noisy_flat, .ram = flat, .settled = 1 }, 0);

	(void)state;
	assert_false(a->ok);
	assert_string_equal(a->binding, "none");
	assert_true(isnan(a->vms));
	assert_true(has_reason(a, "neither CPU, RAM nor swap"));
}

static void one_interval(void **state)
{
	for (size_t n = 1; n < 4; n++) {
		_cleanup_(advice_freep) struct advice *a = advised(
			&(struct made){ .n = n, .step = 2500, .cpu = flat, .ram = line, .settled = 1 }, 0);

		assert_false(a->ok);
		assert_true(isnan(a->vms));
		assert_true(has_reason(a, "at least 4"));
	}
	(void)state;
}

static void all_equal_counts(void **state)
{
	_cleanup_(advice_freep) struct advice *a =
		advised(&(struct made){ .n = 9, .step = 0, .cpu = flat, .ram = line, .settled = 1 }, 0);

	(void)state;
	assert_false(a->ok);
	assert_string_equal(a->binding, "none");
}

static void nan_cells_are_passed_over(void **state)
{
	_cleanup_(advice_freep) struct advice *a = advised(
		&(struct made){ .n = 30, .step = 200, .cpu = flat, .ram = nan_line, .settled = 1 }, 0);

	(void)state;
	assert_true(a->ok);
	assert_string_equal(a->binding, "ram");
	assert_near(a->vms, 8500, 2);
}

static void no_values_at_all(void **state)
{
	_cleanup_(advice_freep) struct advice *a = advised(
		&(struct made){ .n = 9, .step = 200, .cpu = all_nan, .ram = all_nan, .settled = 1 }, 0);

	(void)state;
	assert_false(a->ok);
	assert_string_equal(a->binding, "none");
}

static void threshold_inside_the_data(void **state)
{
	const struct made m = { .n = 30, .step = 300, .cpu = flat, .ram = spiked_line, .settled = 1 };
	_cleanup_(advice_freep) struct advice *a = advised(&m, 50);

	(void)state;
	assert_true(a->ok && a->measured);
	assert_false(a->extrapolated);
	assert_near(a->vms, 4500, 2);
	assert_true(a->lower <= a->vms && a->vms <= a->upper);
	assert_near(a->threshold_pct, 50, 0);
}

static void bends_are_refused(void **state)
{
	_cleanup_(advice_freep) struct advice *a = advised(
		&(struct made){ .n = 21, .step = 250, .cpu = flat, .ram = saturating, .settled = 1 }, 0);
	_cleanup_(advice_freep) struct advice *b =
		advised(&(struct made){ .n = 21, .step = 200, .cpu = square, .ram = flat, .settled = 1 }, 0);

	(void)state;
	assert_false(b->ok);
	assert_string_equal(b->binding, "cpu");
	assert_true(has_reason(b, "misses the rest"));
	assert_true(!a->ok || a->holdout_pct <= ADVICE_HOLDOUT_PCT);
}

static void swap_is_a_hinge(void **state)
{
	_cleanup_(advice_freep) struct advice *a = advised(
		&(struct made){ .n = 31, .step = 200, .cpu = flat, .ram = flat, .swap = hinge, .settled = 1 },
		0);

	(void)state;
	assert_true(a->ok);
	assert_string_equal(a->binding, "swap");
	assert_near(a->vms, 8400, 5);
}

/* Swap that has not begun: RAM at the threshold comes first, unless the run was told not to stop on it. */
static void swap_is_foreseen(void **state)
{
	static const char *const json = "{\"options\":{\"stop_on\":[\"cpu\",\"swap\"]}}";
	struct made m = { .n = 21, .step = 300, .cpu = flat, .ram = line, .swap = zero, .settled = 1 };
	_cleanup_(advice_freep) struct advice *a = advised(&m, 0);
	_cleanup_(advice_freep) struct advice *b = NULL;

	(void)state;
	assert_true(a->ok);
	assert_string_equal(a->binding, "ram");
	assert_string_equal(a->runner_up, "swap");
	assert_near(a->vms, 8500, 2);
	m.n = 41; /* up to where RAM would be at 125 % */
	m.json = json;
	b = advised(&m, 0);
	assert_string_equal(b->binding, "swap");
	assert_true(b->ok && b->metrics[2].overflows);
	/* swap is half as large as RAM: 97 % and 45 more, of which 5 were there before */
	assert_near(b->vms, 13700, 5);
	_cleanup_free_ char *text = advice_text(b);
	assert_non_null(strstr(text, "swap has not begun"));
}

static void absent_swap_is_not_judged(void **state)
{
	_cleanup_(advice_freep) struct advice *a =
		advised(&(struct made){ .n = 21, .step = 300, .cpu = flat, .ram = line, .settled = 1 }, 0);

	(void)state;
	assert_false(a->metrics[2].present);
	assert_near(a->swap_kb, 0, 0);
}

static void limit_stop_is_measured(void **state)
{
	static const char *const json =
		"{\"stop\":{\"kind\":\"limit\",\"limit\":\"pid_max\",\"value\":32768}}";
	_cleanup_(advice_freep) struct advice *a = advised(
		&(struct made){ .n = 3, .step = 300, .cpu = flat, .ram = line, .json = json, .settled = 0 },
		0);

	(void)state;
	assert_true(a->ok && a->measured);
	assert_false(a->extrapolated);
	assert_string_equal(a->binding, "limit:pid_max");
	assert_near(a->vms, 600, 0);
}

static void known_limit_comes_first(void **state)
{
	static const char *const json =
		"{\"limits\":[{\"name\":\"ram\",\"vms_now\":10},{\"name\":\"keys\",\"vms_now\":null},{\"name\":\"pty\",\"vms_now\":7000}]}";
	_cleanup_(advice_freep) struct advice *a = advised(
		&(struct made){ .n = 21, .step = 300, .cpu = flat, .ram = line, .json = json, .settled = 1 },
		0);

	(void)state;
	assert_true(a->ok);
	assert_string_equal(a->binding, "limit:pty");
	assert_string_equal(a->runner_up, "ram");
	assert_near(a->vms, 7000, 0);
	assert_near(a->runner_up_vms, 8500, 2);
}

/* A run raises what it needs: how far the limit can go is the end, unless that was forbidden or failed. */
static void limits_that_can_be_raised_are(void **state)
{
	static const char *const more[] = {
		"",
		"\"options\":{\"no_raise\":true},",
		"\"raised\":[{\"name\":\"pid_max\",\"took\":false}],",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(more); i++) {
		_cleanup_free_ char *json = xasprintf(
			"{%s\"limits\":[{\"name\":\"pid_max\",\"vms_now\":7000,\"vms_raised\":900000}]}",
			more[i]);
		_cleanup_(advice_freep) struct advice *a = advised(
			&(struct made){
				.n = 21, .step = 300, .cpu = flat, .ram = line, .json = json, .settled = 1 },
			0);

		assert_true(a->ok);
		assert_string_equal(a->binding, i ? "limit:pid_max" : "ram");
		assert_near(a->vms, i ? 7000 : 8500, 2);
		assert_true(has_reason(a, "the limit pid_max in force then ends at 7,000 VMs") == (i == 0));
	}
}

static void threshold_stop_is_measured(void **state)
{
	static const char *const json = "{\"stop\":{\"kind\":\"threshold\",\"metric\":\"ram\",\"value\":90}}";
	const struct made m = { .n = 29, .step = 300, .cpu = flat, .ram = line, .json = json, .settled = 1 };
	_cleanup_(advice_freep) struct advice *a = advised(&m, 0); /* its last row is at 89 % */
	_cleanup_(advice_freep) struct advice *b = advised(&m, 95);

	(void)state;
	assert_true(a->ok && a->measured);
	assert_near(a->vms, 8400, 0);
	assert_true(b->ok && !b->measured && b->extrapolated);
	assert_near(b->vms, 9000, 2);
}

static void doubtful_runs(void **state)
{
	const struct made base = { .n = 21, .step = 300, .cpu = flat, .ram = line, .settled = 1 };
	struct made m = base;

	(void)state;
	m.settled = 0;
	_cleanup_(advice_freep) struct advice *a = advised(&m, 0);
	assert_false(a->ok);
	assert_true(has_reason(a, "settled"));
	m = base;
	m.json = "{\"state\":\"failed\",\"stop\":{\"kind\":\"failed\",\"evidence\":\"disk full\"}}";
	_cleanup_(advice_freep) struct advice *b = advised(&m, 0);
	assert_false(b->ok);
	assert_true(has_reason(b, "disk full"));
	m.json = "{\"launch\":{\"mode\":\"clone\"},\"state\":\"interrupted\"}";
	_cleanup_(advice_freep) struct advice *c = advised(&m, 0);
	assert_true(c->ok && c->cloned);
	assert_true(has_reason(c, "not booted on their own"));
	assert_true(has_reason(c, "interrupted"));
}

static void other_host(void **state)
{
	const struct made m = { .n = 21, .step = 300, .cpu = zero, .ram = line, .settled = 1 };
	_cleanup_(run_record_freep) struct run_record *r = make(&m);
	_cleanup_(advice_freep) struct advice *a = NULL;
	struct host_spec host;

	(void)state;
	assert_null(host_spec_parse("cores=8,ram=1250000K,swap=0", &host));
	assert_null(advise_run_with(r, &(struct advise_options){ .host = &host }, &a));
	assert_true(a->ok && a->projected);
	assert_string_equal(a->binding, "ram");
	assert_near(a->vms, (90 * 1.25 - 5) * 100, 2);
	assert_near(a->ram_kb, 100, 0.1);
}

static void host_specs(void **state)
{
	static const char *const bad[] = { "",	       "48",	"cores=",  "cores=0",	      "ram=128",
					   "ram=0",    "ram=G", "disk=1G", "cores=4,,ram=1G", "nodes=0",
					   "nodes=1.5" };
	struct host_spec h;

	(void)state;
	assert_null(host_spec_parse("ram=1.5G", &h));
	assert_near(h.ram_kb, 1572864, 0);
	assert_true(isnan(h.cores) && isnan(h.swap_kb));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		_cleanup_err_ error *e = host_spec_parse(bad[i], &h);

		assert_non_null(e);
		assert_int_equal(e->code, EXIT_BAD_INPUT);
	}
}

/* Of nothing, or of one curve, comes neither a number nor a class. */
static void nothing_known_never_answers(void **state)
{
	static double (*const curves[])(double) = { all_nan, all_inf, flat, line };
	static const char *const ends[] = { "{}", "{\"state\":\"failed\"}",
					    "{\"stop\":{\"kind\":\"limit\",\"limit\":\"pid_max\"}}" };

	(void)state;
	for (size_t i = 0; i < 4 * 4 * 3 * 3; i++) {
		size_t cpu = i % 4, ram = i / 4 % 4, end = i / 16 % 3, rows = i / 48;
		/* none, the baseline, nine rows */
		struct made m = { rows == 2 ? 9 : rows, 100, curves[cpu], curves[ram], NULL, ends[end], 1 };

		/* both are there, or what the run says ended it: that is an answer */
		if (rows == 2 && ((cpu > 1 && ram > 1) || end == 2))
			continue;
		_cleanup_(advice_freep) struct advice *a = advised(&m, 0);
		_cleanup_free_ char *text = advice_text(a);

		if (a->ok || isfinite(a->vms) || isfinite(a->safe) || !a->reasons.count ||
		    (end != 1 && a->class != CLASS_INCONCLUSIVE) ||
		    strstr(text, "Nothing else comes closer") || strstr(text, "This holds while") ||
		    strstr(text, "Plan with"))
			fail_msg("curves %zu and %zu, end %zu, %zu rows:\n%s", cpu, ram, end, m.n, text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ram_line_is_projected),
		cmocka_unit_test(too_far_gives_no_number),
		cmocka_unit_test(nothing_rises),
		cmocka_unit_test(one_interval),
		cmocka_unit_test(all_equal_counts),
		cmocka_unit_test(nan_cells_are_passed_over),
		cmocka_unit_test(no_values_at_all),
		cmocka_unit_test(threshold_inside_the_data),
		cmocka_unit_test(bends_are_refused),
		cmocka_unit_test(swap_is_a_hinge),
		cmocka_unit_test(swap_is_foreseen),
		cmocka_unit_test(absent_swap_is_not_judged),
		cmocka_unit_test(limit_stop_is_measured),
		cmocka_unit_test(known_limit_comes_first),
		cmocka_unit_test(limits_that_can_be_raised_are),
		cmocka_unit_test(threshold_stop_is_measured),
		cmocka_unit_test(doubtful_runs),
		cmocka_unit_test(other_host),
		cmocka_unit_test(host_specs),
		cmocka_unit_test(nothing_known_never_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
