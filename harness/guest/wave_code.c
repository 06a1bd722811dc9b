/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From steps of any length and load to the few bytes that the guest plays. */
#include <math.h>
#include <string.h>

#include "base/util.h"
#include "guest/wave.h"

#define LOAD_MAX 127
#define SLICE_LEAST 5 /* units: below, slices_per_ms would not fit */
#define SLICE_MOST 255
#define COARSE 256 /* slices in a unit of a coarse duration */
/* A slice costs a wake-up: what a shorter one gains in timing is weighed against this share of its rate. */
#define GOOD_TIMING 0.005
#define RATE_PRICE 0.002
/* A long phase may be rounded to coarse units if it changes by no more than this share. */
#define GOOD_COARSE 0.002

static double clocks_of_ms(double ms)
{
	return ms * WAVE_PIT_HZ / 1000;
}

struct timing {
	struct wave_code code;
	size_t owner[MVM_WAVE_PHASES_MAX]; /* step that a phase belongs to */
	double worst;			   /* relative error of a phase's duration, or of the period */
	double score;
};

static bool add_entry(struct timing *t, size_t owner, unsigned slices)
{
	if (t->code.count == MVM_WAVE_PHASES_MAX)
		return false;
	t->owner[t->code.count] = owner;
	t->code.phases[t->code.count++].slices = (uint16_t)slices;
	return true;
}

/* One step of `want` slices into entries, of which each lasts `extra` longer on average; false: no room. */
static bool add_step(struct timing *t, size_t owner, double want, double extra, bool coarse, double *ret_got)
{
	*ret_got = 0;
	do {
		double left = want - *ret_got - extra;
		double units = fmin(round(left / COARSE), 255);
		unsigned n;

		if (left < 255.5)
			n = (unsigned)fmax(round(left), *ret_got > 0 || extra > 0 ? 0 : 1);
		else if (coarse || fabs(left - units * COARSE) <= GOOD_COARSE * want)
			n = (unsigned)units * COARSE;
		else
			n = (unsigned)fmin(floor(left / COARSE), 255) * COARSE;
		if (!add_entry(t, owner, n))
			return false;
		*ret_got += n + extra;
	} while (want - *ret_got > COARSE / 2.0 ||
		 (!coarse && want - *ret_got > fmax(GOOD_COARSE * want, 1 + extra)));
	return true;
}

/* Durations in slices. Rounding is carried on to the next step, so that the period stays right. */
static bool make_timing(const struct wave_step *steps, size_t n, double jitter_ms, unsigned units,
			bool coarse, struct timing *t)
{
	double slice = units * (double)MVM_WAVE_SLICE_UNIT, end = 0, at = 0;

	*t = (struct timing){ .code.slice = units * MVM_WAVE_SLICE_UNIT };
	t->code.jitter =
		jitter_ms > 0 ? (unsigned)fmin(2 * round(clocks_of_ms(jitter_ms) / slice) + 1, 65535) : 0;
	double extra = t->code.jitter ? (t->code.jitter - 1) / 2.0 : 0;
	for (size_t i = 0; i < n; i++) {
		double want, got, len = clocks_of_ms(steps[i].ms) / slice;

		end += len;
		want = end - at;
		if (!add_step(t, i, want, extra, coarse, &got))
			return false;
		at += got;
		t->worst = fmax(t->worst, fabs(got - len) / fmax(len, 1e-9));
	}
	t->worst = fmax(t->worst, fabs(at - end) / end);
	t->score = fmax(t->worst, GOOD_TIMING) + RATE_PRICE * SLICE_MOST / units;
	return true;
}

/* The slice that times the steps best for its price; false: too many phases. */
static bool choose_slice(const struct wave_step *steps, size_t n, double jitter_ms, bool coarse,
			 struct timing *ret)
{
	bool found = false;

	for (unsigned units = SLICE_MOST; units >= SLICE_LEAST; units -= 2) {
		struct timing t;

		if (!make_timing(steps, n, jitter_ms, units, coarse, &t))
			continue;
		if (!found || t.score < ret->score)
			*ret = t;
		found = true;
	}
	return found;
}

static unsigned code_of(const struct wave_code *c, double load_pct, unsigned step)
{
	double clocks = load_pct / 100 * c->slice;
	double code = fmin(round(clocks / (2.0 * step)), LOAD_MAX);

	/* more work than a slice has time for would pile up */
	return (unsigned)(code * 2 * step > c->slice ? code - 1 : code);
}

/* The unit of load that comes nearest to all of them, weighted by duration. */
static void choose_loads(const struct wave_step *steps, struct timing *t)
{
	struct wave_code *c = &t->code;
	double most = 0, best = INFINITY;

	for (size_t i = 0; i < c->count; i++)
		most = fmax(most, steps[t->owner[i]].load_pct / 100 * c->slice);
	unsigned least = (unsigned)fmax(ceil(most / (2.0 * LOAD_MAX)), 1);
	for (unsigned step = least; step <= 2 * least; step++) {
		double sum = 0;

		for (size_t i = 0; i < c->count; i++) {
			double load = steps[t->owner[i]].load_pct;
			double off = 200.0 * code_of(c, load, step) * step / c->slice - load;

			sum += off * off * (c->phases[i].slices + 1.0);
		}
		if (sum < best) {
			best = sum;
			c->step = step;
		}
	}
	for (size_t i = 0; i < c->count; i++)
		c->phases[i].load = (uint8_t)code_of(c, steps[t->owner[i]].load_pct, c->step);
}

/* A guest whose phases all last no slice would never find one to play. */
static bool playable(const struct wave_code *c)
{
	unsigned most = 0;

	for (size_t i = 0; i < c->count; i++)
		most = MAX(most, (unsigned)c->phases[i].slices);
	return most > 0;
}

error *wave_encode(const struct wave *w, struct wave_code *ret)
{
	for (size_t most = MVM_WAVE_PHASES_MAX; most > 0; most--) {
		for (int coarse = 0; coarse < 2; coarse++) {
			_cleanup_free_ struct wave_step *steps = NULL;
			size_t n = wave_reduce(w->steps, w->count, most, &steps);
			struct timing t;

			if (!choose_slice(steps, n, w->jitter_ms, coarse, &t) || !playable(&t.code))
				continue;
			choose_loads(steps, &t);
			*ret = t.code;
			ret->passes = w->repeat ? w->repeat + 1 : 0;
			return NULL;
		}
	}
	return err_new(EXIT_BAD_INPUT,
		       "a period of %.0f s does not fit into the guest's %d phases: make it shorter",
		       wave_asked_ms(w) / 1000, MVM_WAVE_PHASES_MAX);
}

static void put(unsigned char *p, uint32_t v, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		p[i] = (unsigned char)(v >> 8 * i & 0xFF);
}

static uint32_t get(const unsigned char *p, size_t bytes)
{
	uint32_t v = 0;

	for (size_t i = bytes; i-- > 0;)
		v = v << 8 | p[i];
	return v;
}

void wave_code_put(const struct wave_code *c, unsigned char payload[MVM_PARAM_PAYLOAD_SIZE])
{
	double per_ms = clocks_of_ms(1) / c->slice;

	memset(payload, 0, MVM_PARAM_PAYLOAD_SIZE);
	put(payload + MVM_WAVE_OFF_PASSES, c->passes, 4);
	put(payload + MVM_WAVE_OFF_SLICES_PER_MS, (uint32_t)llround(per_ms * 0x1p32), 4);
	put(payload + MVM_WAVE_OFF_SLICE, c->slice, 2);
	put(payload + MVM_WAVE_OFF_STEP, c->step, 2);
	put(payload + MVM_WAVE_OFF_JITTER, c->jitter, 2);
	put(payload + MVM_WAVE_OFF_LAST, (uint32_t)c->count - 1, 1);
	for (size_t i = 0; i < c->count; i++) {
		unsigned char *p = payload + MVM_WAVE_OFF_PHASES + 2 * (c->count - 1 - i);
		unsigned slices = c->phases[i].slices;
		bool coarse = slices >= COARSE;

		p[0] = (unsigned char)(c->phases[i].load | (coarse ? 0x80 : 0));
		p[1] = (unsigned char)(coarse ? slices / COARSE : slices);
	}
}

static error *damaged(const char *what, const char *why)
{
	return err_new(EXIT_BAD_INPUT,
		       "%s: holds no waveform that the guest could play: %s: rebuild it with 'mvm build'",
		       what, why);
}

error *wave_code_get(const unsigned char payload[MVM_PARAM_PAYLOAD_SIZE], const char *what,
		     struct wave_code *ret)
{
	struct wave_code c = { 0 };

	c.passes = get(payload + MVM_WAVE_OFF_PASSES, 4);
	c.slice = get(payload + MVM_WAVE_OFF_SLICE, 2);
	c.step = get(payload + MVM_WAVE_OFF_STEP, 2);
	c.jitter = get(payload + MVM_WAVE_OFF_JITTER, 2);
	c.count = get(payload + MVM_WAVE_OFF_LAST, 1) + 1;
	if (c.slice % (2 * MVM_WAVE_SLICE_UNIT) != MVM_WAVE_SLICE_UNIT ||
	    c.slice < SLICE_LEAST * MVM_WAVE_SLICE_UNIT)
		return damaged(what, "the slice is no odd multiple of 256 PIT clocks");
	if (c.count > MVM_WAVE_PHASES_MAX)
		return damaged(what, "it has more phases than there is room for");
	for (size_t i = 0; i < c.count; i++) {
		const unsigned char *p = payload + MVM_WAVE_OFF_PHASES + 2 * (c.count - 1 - i);

		c.phases[i].load = p[0] & LOAD_MAX;
		c.phases[i].slices = (uint16_t)(p[0] & 0x80 ? p[1] * COARSE : p[1]);
		if (2.0 * c.phases[i].load * c.step > c.slice)
			return damaged(what, "a load is above 100 %");
	}
	if (!playable(&c))
		return damaged(what, "every phase lasts 0 slices");
	*ret = c;
	return NULL;
}

error *wave_into_image(const struct wave *w, struct guest_image *img)
{
	unsigned char *block = img->bytes + MVM_PARAM_OFFSET;
	struct wave_code c;
	error *e = wave_encode(w, &c);

	if (e)
		return e;
	if (w->spread == WAVE_SPREAD_NONE)
		img->flags &= ~(unsigned)(MVM_PARAM_FLAG_SEED | MVM_PARAM_FLAG_PHASE);
	put(block + MVM_PARAM_OFF_FLAGS, img->flags, 2);
	wave_code_put(&c, block + MVM_PARAM_OFF_PAYLOAD);
	return NULL;
}

bool wave_of_image(const struct guest_image *img, struct wave_code *ret)
{
	if (!img->has_params || !str_eq(img->guest, "wave"))
		return false;
	error *e = wave_code_get(img->bytes + MVM_PARAM_OFFSET + MVM_PARAM_OFF_PAYLOAD, img->guest, ret);

	err_free(e);
	return !e;
}
