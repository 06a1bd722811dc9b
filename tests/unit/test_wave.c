/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/ini.h"
#include "base/util.h"
#include "guest/profile.h"
#include "guest/wave.h"
#include "measure/vmcpu.h"
#include "model/fidelity.h"
#include "report/curve_text.h"

static struct wave *parsed(const char *lines, const char *trace)
{
	_cleanup_free_ char *text = xasprintf("[wave]\n%s", lines);
	_cleanup_(ini_freep) struct ini_file *f = NULL;
	struct wave *w = NULL;
	_cleanup_err_ error *e = ini_parse_text(text, "w.profile", &f);

	assert_null(e);
	e = wave_parse(f, 7, trace, &w);
	if (e)
		fail_msg("refused: %s", e->msg);
	return w;
}

static void refused(const char *lines, const char *trace, const char *message)
{
	_cleanup_free_ char *text = xasprintf("[wave]\n%s", lines);
	_cleanup_(ini_freep) struct ini_file *f = NULL;
	struct wave *w = NULL;
	_cleanup_err_ error *e = ini_parse_text(text, "w.profile", &f);

	assert_null(e);
	_cleanup_err_ error *e2 = wave_parse(f, 7, trace, &w);
	assert_null(w);
	assert_non_null(e2);
	assert_int_equal(e2->code, EXIT_BAD_INPUT);
	if (!strstr(e2->msg, message))
		fail_msg("'%s' is not in: %s", message, e2->msg);
}

static struct wave_code encoded(const struct wave *w)
{
	struct wave_code c;
	_cleanup_err_ error *e = wave_encode(w, &c);

	assert_null(e);
	return c;
}

static void near(double got, double want, double off)
{
	if (!(fabs(got - want) <= off))
		fail_msg("%g is not within %g of %g", got, off, want);
}

static void test_words(void **state)
{
	double v;

	(void)state;
	assert_true(wave_read_duration("250ms", &v) && v == 250);
	assert_true(wave_read_duration("1.5s", &v) && v == 1500);
	assert_true(wave_read_duration("2 m", &v) && v == 120000);
	assert_true(wave_read_duration("1h", &v) && v == 3600000);
	assert_false(wave_read_duration("250", &v) || wave_read_duration("ms", &v) ||
		     wave_read_duration("-1s", &v) || wave_read_duration("1sec", &v) ||
		     wave_read_duration("1.2.3s", &v) || wave_read_duration("", &v));
	assert_true(wave_read_load("12.5%", &v) && v == 12.5);
	assert_true(wave_read_load("100", &v) && v == 100);
	assert_false(wave_read_load("101%", &v) || wave_read_load("1%%", &v) || wave_read_load("nan", &v));
}

static void test_phases(void **state)
{
	_cleanup_(wave_freep) struct wave *w = parsed("phases = 10%x500ms\nphases = 80%x100ms\n", NULL);
	struct wave_code c = encoded(w);

	(void)state;
	assert_int_equal(w->count, 2);
	assert_int_equal(c.count, 2);
	near(wave_asked_mean(w), (10 * 500 + 80 * 100) / 600.0, 1e-9);
	near(wave_mean(&c), wave_asked_mean(w), 0.5);
	near(wave_period_ms(&c), 600, 4);
	near(wave_phase_load(&c, 0), 10, 0.3);
	near(wave_phase_load(&c, 1), 80, 0.3);
	near(wave_load_at(&c, 0, 100), 10, 0.3);
	near(wave_load_at(&c, 0, 550), 80, 0.3);
	near(wave_load_at(&c, 0, 600 * 1000 + 100), wave_load_at(&c, 0, fmod(600100, wave_period_ms(&c))),
	     1e-9);
	assert_true(wave_load_at(&c, 0, -1) == 0);
	near(wave_load_between(&c, 0, 0, 10 * wave_period_ms(&c)), wave_mean(&c), 1e-6);
}

static void test_every_shape(void **state)
{
	(void)state;
	for (size_t i = 0; wave_shape_at(i); i++) {
		_cleanup_free_ char *line = xasprintf("shape = %s\n", wave_shape_at(i)->name);
		_cleanup_(wave_freep) struct wave *w = parsed(line, NULL);
		struct wave_code c = encoded(w);
		struct wave_error off = wave_error_of(w, &c);

		near(wave_mean(&c), wave_asked_mean(w), 0.5);
		near(wave_period_ms(&c) / wave_asked_ms(w), 1, 0.01);
		assert_true(wave_peak(&c) <= 100);
		if (!(off.rms < 3))
			fail_msg("%s is off by %g", wave_shape_at(i)->name, off.rms);
	}
}

/* More steps than the guest has phases for: the best approximation, and its error is told. */
static void test_reduced(void **state)
{
	_cleanup_(wave_freep) struct wave *w = parsed("shape = sine\nsteps = 400\nperiod = 40s\n", NULL);
	struct wave_code c = encoded(w);
	struct wave_error off = wave_error_of(w, &c);

	(void)state;
	assert_int_equal(c.count, MVM_WAVE_PHASES_MAX);
	/* 27 equal steps of this sine would be off by 100 / 2 / sqrt(2) * 2 * pi / 27 / sqrt(12) = 2.4 */
	assert_true(off.rms > 0.5 && off.rms < 2.6);
	near(off.mean, 0, 0.2);
}

static void test_reduce_is_best(void **state)
{
	const struct wave_step steps[] = { { 0, 1 }, { 1, 1 }, { 50, 1 }, { 52, 1 }, { 51, 1 }, { 9, 2 } };
	_cleanup_free_ struct wave_step *got = NULL;

	(void)state;
	assert_int_equal(wave_reduce(steps, ARRAY_LEN(steps), 3, &got), 3);
	near(got[0].load_pct, 0.5, 1e-9);
	near(got[0].ms, 2, 1e-9);
	near(got[1].load_pct, 51, 1e-9);
	near(got[1].ms, 3, 1e-9);
	near(got[2].load_pct, 9, 1e-9);
	near(got[2].ms, 2, 1e-9);
}

/* A thousand rows of which one stands out: averaging to cells must lose no load. */
static void test_long_trace(void **state)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	(void)state;
	fputs("time_s,cpu_pct\n", f);
	for (int i = 0; i < 1000; i++)
		fprintf(f, "%d,%d\n", i, i < 500 ? 20 : i < 600 ? 90 : 40);
	fclose(f);
	_cleanup_(wave_freep) struct wave *w = parsed("trace = t.csv\nperiod = 60s\n", text);
	struct wave_code c = encoded(w);

	free(text);
	near(wave_asked_ms(w), 60000, 0.1);
	near(wave_mean(&c), 0.5 * 20 + 0.1 * 90 + 0.4 * 40, 0.3);
	near(wave_load_at(&c, 0, 33000), 90, 1.5);
}

static void test_spikes_keep_their_width(void **state)
{
	_cleanup_(wave_freep) struct wave *w =
		parsed("shape = rare-spikes\nperiod = 1h\nwidth = 50ms\nhigh = 70%\n", NULL);
	struct wave_code c = encoded(w);

	(void)state;
	near(wave_period_ms(&c), 3600e3, 8000);
	near(wave_phase_ms(&c, c.count - 1), 50, 1);
	near(wave_phase_load(&c, c.count - 1), 70, 0.3);
}

/* Loads far below 1 % still come out right. */
static void test_small_loads(void **state)
{
	_cleanup_(wave_freep) struct wave *w = parsed("shape = constant\nhigh = 0.05%\n", NULL);
	struct wave_code c = encoded(w);

	(void)state;
	near(wave_mean(&c), 0.05, 0.002);
}

static void test_jitter(void **state)
{
	_cleanup_(wave_freep) struct wave *w =
		parsed("phases = 0%x400ms 100%x400ms\njitter = 50%\nspread = seed\n", NULL);
	struct wave_code c = encoded(w);
	double differing = 0;

	(void)state;
	near(w->jitter_ms, 200, 1e-9);
	near(wave_period_ms(&c), 800, 8);
	/* the same seed the same, another one another; the mean stays */
	near(wave_load_between(&c, 5, 0, 800e3), wave_load_between(&c, 5, 0, 800e3), 0);
	near(wave_load_between(&c, 5, 0, 800e3), wave_mean(&c), 3);
	for (int i = 0; i < 100; i++)
		differing += wave_load_at(&c, 5, i * 977.0) != wave_load_at(&c, 9, i * 977.0);
	assert_true(differing > 10);
}

static void test_repeat(void **state)
{
	_cleanup_(wave_freep) struct wave *w = parsed("phases = 50%x1s\nrepeat = 3\n", NULL);
	struct wave_code c = encoded(w);

	(void)state;
	assert_int_equal(c.passes, 4);
	near(wave_load_at(&c, 0, 2900), 50, 0.5);
	assert_true(wave_load_at(&c, 0, 3200) == 0);
	near(wave_load_between(&c, 0, 0, 6000), 25, 0.5);
}

static void test_payload_round_trip(void **state)
{
	_cleanup_(wave_freep) struct wave *w = parsed("shape = daynight\njitter = 5%\nrepeat = 9\n", NULL);
	struct wave_code c = encoded(w), back;
	unsigned char payload[MVM_PARAM_PAYLOAD_SIZE], bad[MVM_PARAM_PAYLOAD_SIZE];

	(void)state;
	wave_code_put(&c, payload);
	assert_null(wave_code_get(payload, "x", &back));
	assert_int_equal(back.count, c.count);
	assert_int_equal(back.passes, 10);
	for (size_t i = 0; i < c.count; i++) {
		assert_int_equal(back.phases[i].load, c.phases[i].load);
		assert_int_equal(back.phases[i].slices, c.phases[i].slices);
	}
	static const struct {
		size_t at;
		unsigned char value;
	} damage[] = { { MVM_WAVE_OFF_SLICE, 1 },
		       { MVM_WAVE_OFF_SLICE + 1, 2 },
		       { MVM_WAVE_OFF_SLICE + 1, 1 },
		       { MVM_WAVE_OFF_LAST, 27 },
		       { MVM_WAVE_OFF_STEP + 1, 255 } };
	for (size_t i = 0; i < ARRAY_LEN(damage); i++) {
		memcpy(bad, payload, sizeof(bad));
		bad[damage[i].at] = damage[i].value;
		_cleanup_err_ error *e = wave_code_get(bad, "x", &back);
		assert_non_null(e);
	}
	memset(bad, 0, sizeof(bad));
	_cleanup_err_ error *e = wave_code_get(bad, "x", &back);
	assert_non_null(e);
}

static void test_refused(void **state)
{
	(void)state;
	refused("low = 1%\n", NULL, "needs exactly one of");
	refused("shape = sine\nphases = 1%x1s\n", NULL, "needs exactly one of");
	refused("shape = saw\n", NULL, "w.profile:2: shape = saw: known are constant duty");
	refused("shape = constant\nlow = 5%\n", NULL, "w.profile:3: low has no meaning for shape constant");
	refused("shape = sine\nlow = 120%\n", NULL, "w.profile:3: low = 120%: needs a share");
	refused("shape = sine\nlow = 60%\nhigh = 40%\n", NULL, "low is above high");
	refused("shape = sine\nperiod = 20\n", NULL, "w.profile:3: period = 20: needs a duration");
	refused("shape = sine\nperiod = 1ms\n", NULL, "needs a duration");
	refused("shape = sine\nsteps = 1\n", NULL, "w.profile:3: steps = 1");
	refused("phases = 10%x500ms 80%\n", NULL, "w.profile:2: phases: '80%' is not LOADxDURATION");
	refused("phases = 10%x500ms x1s\n", NULL, "'x1s' is not");
	refused("phases = 110%x1s\n", NULL, "'110%x1s' is not");
	refused("phases =\n", NULL, "needs phases such as");
	refused("phases = 1%x1s\nsteps = 3\n", NULL, "steps has no meaning for phases");
	refused("phases = 1%x1s\njitter = 2s\n", NULL,
		"w.profile:3: jitter = 2s: is longer than the shortest phase");
	refused("phases = 1%x1s\nrepeat = 0\n", NULL, "w.profile:3: repeat = 0");
	refused("phases = 1%x1s\nspread = all\n", NULL, "must be phase, seed or none");
	refused("phases = 1%x1s\nspread = seed\n", NULL, "without jitter a seed changes nothing");
	_cleanup_free_ char *many = xstrdup("phases = 1%x1s 1%x1s 1%x1s 1%x1s 1%x1s 1%x1s 1%x1s\n");
	_cleanup_free_ char *lines = xasprintf("%s%s%s%s", many, many, many, many);
	refused(lines, NULL, "w.profile:5: phases: the guest has room for 27");
}

static void test_bad_traces(void **state)
{
	static const char *const traces[][2] = {
		{ "", "the file is empty" },
		{ "time_s,cpu_pct\n", "needs two lines of values or more, there are 0" },
		{ "time_s\n1\n2\n", "line 1: a trace needs two columns" },
		{ "time_s,cpu_pct\n0,1\n1,101\n", "line 3: the CPU load is not a number from 0 to 100" },
		{ "time_s,cpu_pct\n0,1\nx,2\n", "line 3: the time is not a number" },
		{ "time_s,cpu_pct\n0,1\n1,2\n1,3\n", "line 4: the time is not later" },
		{ "time_s,cpu_pct\n0,1\n1\n", "line 3 has 1 fields" },
		{ "time_s,cpu_pct\n0,1\n1,2", "line 3 is cut off" },
		{ "time_s,cpu_pct\n0,1\n90000,2\n", "the longest is" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(traces); i++)
		refused("trace = t.csv\n", traces[i][0], traces[i][1]);
}

static void test_profile(void **state)
{
	_cleanup_(profile_freep) struct profile *p = NULL, *none = NULL;
	struct guest_image img;
	struct wave_code c;

	(void)state;
	assert_null(profile_parse("[profile]\nguest = wave\nsummary = s\n[wave]\nphases = 5%x3s\n", "p", &p));
	assert_int_equal(p->spread_ms, 3000);
	assert_null(image_from_profile(p, &img));
	assert_true(wave_of_image(&img, &c));
	near(wave_mean(&c), 5, 0.1);
	assert_null(profile_parse(
		"[profile]\nguest = wave\nsummary = s\n[wave]\nphases = 5%x3s\nspread = none\n", "p", &none));
	assert_int_equal(none->spread_ms, 0);
	assert_null(image_from_profile(none, &img));
	assert_int_equal(img.flags, MVM_PARAM_FLAG_TICKS);
	struct profile *bad = NULL;
	_cleanup_err_ error *e =
		profile_parse("[profile]\nguest = sleep\nsummary = s\n[wave]\nphases = 5%x3s\n", "p", &bad);
	assert_non_null(e);
}

static void test_fidelity(void **state)
{
	const double asked[] = { 10, 20 }, got[] = { 13, 21 };
	struct fidelity f = fidelity_of(asked, got, 2);

	(void)state;
	near(f.mean, 2, 1e-9);
	near(f.rms, sqrt(5), 1e-9);
	assert_true(isnan(fidelity_of(asked, got, 0).rms));
	assert_true(vmcpu_ns(getpid()) > 0);
	assert_true(vmcpu_waited_ns(getpid()) >= 0);
}

/* A VM that ran wild for 4 s of 25 s, while nobody looked, stands out in its life. */
static void test_lives(void **state)
{
	struct lives l = { 0 };

	(void)state;
	lives_add(&l, 25e3, 25, 6200000000);
	lives_add(&l, 0, 25, 1);
	assert_int_equal(l.count, 1);
	near(l.over, -0.2, 1e-9);
	lives_add(&l, 25e3, 25, 6200000000 + 3000000000);
	near(l.asked / l.ms, 25, 1e-9);
	near(l.got / l.ms, 30.8, 1e-9);
	near(l.over, 11.8, 1e-9);
}

static void test_curve_text(void **state)
{
	struct curve_text t = { .columns = 4, .rows = 3, .y_max = 100, .y_unit = "%", .x_label = "1 s" };
	const double values[] = { 0, 0, 100, 100, 0, 0, 0, 0 };

	(void)state;
	_cleanup_free_ char *ascii = curve_text(&t, values, 4);
	assert_string_equal(ascii,
			    "   100% |  **\n        |  * \n     0% |*** \n        +----\n         0 1 s\n");
	t.braille = true;
	_cleanup_free_ char *dots = curve_text(&t, values, 8);
	assert_non_null(strstr(dots, "\xE2\xA0\x80"));
	assert_null(strchr(dots, '*'));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_phases),
		cmocka_unit_test(test_every_shape),
		cmocka_unit_test(test_reduced),
		cmocka_unit_test(test_reduce_is_best),
		cmocka_unit_test(test_long_trace),
		cmocka_unit_test(test_spikes_keep_their_width),
		cmocka_unit_test(test_small_loads),
		cmocka_unit_test(test_jitter),
		cmocka_unit_test(test_repeat),
		cmocka_unit_test(test_payload_round_trip),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_bad_traces),
		cmocka_unit_test(test_profile),
		cmocka_unit_test(test_fidelity),
		cmocka_unit_test(test_lives),
		cmocka_unit_test(test_curve_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
