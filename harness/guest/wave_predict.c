/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>

#include "guest/wave.h"

double wave_slice_ms(const struct wave_code *c)
{
	return c->slice * 1000.0 / WAVE_PIT_HZ;
}

double wave_phase_load(const struct wave_code *c, size_t i)
{
	return 200.0 * c->phases[i].load * c->step / c->slice;
}

/* The guest adds a whole number of slices from 0 to jitter - 1, each as likely. */
static double mean_slices(const struct wave_code *c, size_t i)
{
	return c->phases[i].slices + (c->jitter ? (c->jitter - 1) / 2.0 : 0);
}

double wave_phase_ms(const struct wave_code *c, size_t i)
{
	return mean_slices(c, i) * wave_slice_ms(c);
}

double wave_period_ms(const struct wave_code *c)
{
	double sum = 0;

	for (size_t i = 0; i < c->count; i++)
		sum += wave_phase_ms(c, i);
	return sum;
}

double wave_mean(const struct wave_code *c)
{
	double sum = 0;

	for (size_t i = 0; i < c->count; i++)
		sum += wave_phase_ms(c, i) * wave_phase_load(c, i);
	return sum / wave_period_ms(c);
}

double wave_peak(const struct wave_code *c)
{
	double most = 0;

	for (size_t i = 0; i < c->count; i++)
		most = fmax(most, c->phases[i].slices || c->jitter > 1 ? wave_phase_load(c, i) : 0);
	return most;
}

double wave_asked_ms(const struct wave *w)
{
	double sum = 0;

	for (size_t i = 0; i < w->count; i++)
		sum += w->steps[i].ms;
	return sum;
}

double wave_asked_mean(const struct wave *w)
{
	double sum = 0;

	for (size_t i = 0; i < w->count; i++)
		sum += w->steps[i].ms * w->steps[i].load_pct;
	return sum / wave_asked_ms(w);
}

/* The guest as it plays, phase by phase: the same generator, the same rounding. */
struct player {
	const struct wave_code *c;
	uint16_t random;
	size_t next;
	uint32_t passes; /* as in the payload: counted down at the start of each pass, 0 ends it */
	double load, ms; /* of the present phase; load 0 and endless after the last pass */
};

static void play_next(struct player *p)
{
	const struct wave_code *c = p->c;

	if (p->next == c->count) {
		p->next = 0;
		if (--p->passes == 0) {
			p->load = 0;
			p->ms = INFINITY;
			return;
		}
	}
	p->random = (uint16_t)(p->random * MVM_WAVE_LCG + 1U);
	unsigned slices = c->phases[p->next].slices + ((uint32_t)p->random * c->jitter >> 16);
	p->load = wave_phase_load(c, p->next++);
	p->ms = slices * wave_slice_ms(c);
}

/* Work done in [0, ms], percent * ms; phase by phase. */
static double played(const struct wave_code *c, uint32_t seed, double ms, double *ret_load)
{
	struct player p = { .c = c, .random = (uint16_t)seed, .next = c->count, .passes = c->passes };
	double sum = 0;

	for (play_next(&p); ms >= p.ms; play_next(&p)) {
		sum += p.load * p.ms;
		ms -= p.ms;
	}
	*ret_load = p.load;
	return sum + p.load * ms;
}

/* Without jitter every period is alike: the same without counting them through. */
static double work(const struct wave_code *c, uint32_t seed, double ms, double *ret_load)
{
	double period = wave_period_ms(c), before = 0;
	struct wave_code once = *c;

	*ret_load = 0;
	if (ms < 0)
		return 0;
	if (c->jitter > 1)
		return played(c, seed, ms, ret_load);
	double periods = floor(ms / period);
	if (c->passes && periods >= c->passes - 1)
		return wave_mean(c) * period * (c->passes - 1);
	before = periods * wave_mean(c) * period;
	once.passes = 0;
	return before + played(&once, seed, ms - periods * period, ret_load);
}

double wave_load_at(const struct wave_code *c, uint32_t seed, double ms)
{
	double load;

	work(c, seed, ms, &load);
	return load;
}

double wave_load_between(const struct wave_code *c, uint32_t seed, double from, double to)
{
	double load;

	if (!(to > from))
		return wave_load_at(c, seed, from);
	return (work(c, seed, to, &load) - work(c, seed, from, &load)) / (to - from);
}

struct wave_error wave_error_of(const struct wave *w, const struct wave_code *c)
{
	double total = wave_asked_ms(w), period = wave_period_ms(c), x = 0, sum = 0, squares = 0;
	struct wave_error r = { 0 };

	/* piece by piece between the ends of steps and of phases, both as shares of their period */
	size_t k = 0;
	double phase_end = wave_phase_ms(c, 0) / period;
	for (size_t i = 0; i < w->count; i++) {
		double end = i + 1 == w->count ? 1 : x + w->steps[i].ms / total, step_sum = 0, begin = x;

		while (x < end) {
			while (phase_end <= x && k + 1 < c->count)
				phase_end += wave_phase_ms(c, ++k) / period;
			double until = k + 1 < c->count ? fmin(end, phase_end) : end;
			double off = wave_phase_load(c, k) - w->steps[i].load_pct;

			step_sum += off * (until - x);
			squares += off * off * (until - x);
			x = until;
		}
		sum += step_sum;
		if (end > begin)
			r.max = fmax(r.max, fabs(step_sum) / (end - begin));
	}
	r.mean = sum;
	r.rms = sqrt(squares);
	return r;
}
