/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>

#include "base/util.h"
#include "guest/wave.h"

void wave_add(struct wave *w, double load_pct, double ms)
{
	w->steps = xgrow(w->steps, w->count, sizeof(*w->steps));
	w->steps[w->count++] = (struct wave_step){ .load_pct = load_pct, .ms = ms };
}

static void constant(const struct wave_shape_args *a, struct wave *w)
{
	wave_add(w, a->high, a->period_ms);
}

static void duty(const struct wave_shape_args *a, struct wave *w)
{
	double on = a->period_ms * a->duty_pct / 100;

	if (on > 0)
		wave_add(w, a->high, on);
	if (on < a->period_ms)
		wave_add(w, a->low, a->period_ms - on);
}

static void spikes(const struct wave_shape_args *a, struct wave *w)
{
	double width = fmin(a->width_ms, a->period_ms);

	if (width < a->period_ms)
		wave_add(w, a->low, a->period_ms - width);
	wave_add(w, a->high, width);
}

/* From low to high and back, beginning low; each step has the curve's mean over it. */
static void sine(const struct wave_shape_args *a, struct wave *w)
{
	double d = 2 * M_PI / a->steps;

	for (unsigned i = 0; i < a->steps; i++) {
		double mean_cos = (sin(d * (i + 1)) - sin(d * i)) / d;

		wave_add(w, (a->low + a->high) / 2 - (a->high - a->low) / 2 * mean_cos,
			 a->period_ms / a->steps);
	}
}

static void ramp(const struct wave_shape_args *a, struct wave *w)
{
	for (unsigned i = 0; i < a->steps; i++)
		wave_add(w, a->low + (a->high - a->low) * (i + 0.5) / a->steps, a->period_ms / a->steps);
}

/* Levels from splitmix64 (Steele, Lea, Flood 2014): the same for the same seed. */
static void random_levels(const struct wave_shape_args *a, struct wave *w)
{
	uint64_t state = a->seed;

	for (unsigned i = 0; i < a->steps; i++) {
		uint64_t x = state += 0x9E3779B97F4A7C15U;

		x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9U;
		x = (x ^ x >> 27) * 0x94D049BB133111EBU;
		x ^= x >> 31;
		wave_add(w, a->low + (a->high - a->low) * (double)(x >> 11) * 0x1p-53,
			 a->period_ms / a->steps);
	}
}

/* The hours of a working day, as a share of the way from low to high. Made up, not measured. */
static void daynight(const struct wave_shape_args *a, struct wave *w)
{
	static const double hours[24] = {
		0.12, 0.06, 0.02, 0, 0,	   0.02, 0.08, 0.25, 0.55, 0.80, 0.95, 1,
		0.90, 0.85, 0.95, 1, 0.95, 0.85, 0.70, 0.60, 0.50, 0.40, 0.30, 0.20
	};

	for (size_t i = 0; i < ARRAY_LEN(hours); i++)
		wave_add(w, a->low + (a->high - a->low) * hours[i], a->period_ms / 24);
}

static const struct wave_shape shapes[] = {
	{ "constant", " high ", { .high = 50, .period_ms = 1000 }, constant },
	{ "duty", " low high period duty ", { .high = 100, .period_ms = 1000, .duty_pct = 50 }, duty },
	{ "square", " low high period ", { .high = 100, .period_ms = 2000, .duty_pct = 50 }, duty },
	{ "sine", " low high period steps ", { .high = 100, .period_ms = 20e3, .steps = 24 }, sine },
	{ "ramp", " low high period steps ", { .high = 100, .period_ms = 20e3, .steps = 20 }, ramp },
	{ "thin-spikes",
	  " low high period width ",
	  { .low = 2, .high = 100, .period_ms = 2000, .width_ms = 100 },
	  spikes },
	{ "rare-spikes",
	  " low high period width ",
	  { .high = 100, .period_ms = 60e3, .width_ms = 1000 },
	  spikes },
	{ "random",
	  " low high period steps ",
	  { .high = 100, .period_ms = 12e3, .steps = 24 },
	  random_levels },
	{ "daynight", " low high period ", { .low = 2, .high = 60, .period_ms = 24e3 }, daynight },
};

const struct wave_shape *wave_shape_at(size_t i)
{
	return i < ARRAY_LEN(shapes) ? &shapes[i] : NULL;
}

const struct wave_shape *wave_shape_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(shapes); i++)
		if (str_eq(shapes[i].name, name))
			return &shapes[i];
	return NULL;
}
