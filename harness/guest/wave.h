/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_GUEST_WAVE_H
#define MVM_GUEST_WAVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/ini.h"
#include "guest/image.h"

/*
 * CPU load over time, of one vCPU. What a profile asks for (struct wave) may be any curve; what the
 * guest `wave` plays (struct wave_code) is at most MVM_WAVE_PHASES_MAX phases of constant load. All
 * here is arithmetic, but for wave_load(), which may have to read a trace.
 */
struct wave_step {
	double load_pct; /* 0-100 % of a vCPU */
	double ms;
};

/* How the VMs of a population differ. */
enum wave_spread { WAVE_SPREAD_PHASE, WAVE_SPREAD_SEED, WAVE_SPREAD_NONE, WAVE_SPREADS };
extern const char *const wave_spread_names[WAVE_SPREADS];

/* One period of what was asked for. */
struct wave {
	char *shape; /* a preset's name, "phases" or "trace" */
	struct wave_step *steps;
	size_t count;
	uint32_t repeat;  /* 0: without end */
	double jitter_ms; /* a phase lasts at most so much longer or shorter */
	enum wave_spread spread;
};

/* What the payload says, in the order in which it is played. */
struct wave_code {
	unsigned slice; /* PIT clocks: an odd multiple of MVM_WAVE_SLICE_UNIT */
	unsigned step;	/* PIT clocks of work in a slice for half a unit of load */
	unsigned jitter;
	uint32_t passes; /* passes + 1; 0: without end */
	size_t count;
	struct {
		uint8_t load; /* units, 0..127 */
		uint16_t slices;
	} phases[MVM_WAVE_PHASES_MAX];
};

/* How far the code is from what was asked for, points of CPU, at equal shares of the period. */
struct wave_error {
	double mean, rms;
	double max; /* of the mean over any one step of what was asked for */
};

#define WAVE_PIT_HZ 1193182.0
#define WAVE_MAX_MS 86400e3 /* longest period */
#define WAVE_MIN_MS 2.0	    /* shortest phase of what is written as phases */

/* Whether the file has a section [wave]. */
bool wave_given(const struct ini_file *f);
/* Lines of phases add up. */
bool wave_may_repeat(const struct ini_entry *en);
/* The section [wave]; the seed is the profile's. A trace is found relative to the file's folder. */
error *wave_load(const struct ini_file *f, uint32_t seed, struct wave **ret) ERR_MUST_CHECK;
/* The same with the trace's text at hand (NULL: none is wanted). Pure. */
error *wave_parse(const struct ini_file *f, uint32_t seed, const char *trace_text,
		  struct wave **ret) ERR_MUST_CHECK;
void wave_free(struct wave *w);
static inline void wave_freep(struct wave **w)
{
	wave_free(*w);
}

/* Reads "250ms", "2s", "1.5m", "1h" and "12.5%" or "12.5"; false on anything else. */
bool wave_read_duration(const char *text, double *ret_ms);
bool wave_read_load(const char *text, double *ret_pct);

/* wave_shape.c: the presets' curves. NULL: no such shape. */
struct wave_shape_args {
	double low, high, period_ms, duty_pct, width_ms;
	unsigned steps;
	uint32_t seed;
};
struct wave_shape {
	const char *name;
	const char *keys; /* those of struct wave_shape_args that it uses, " period low " */
	struct wave_shape_args fallback;
	void (*make)(const struct wave_shape_args *a, struct wave *w);
};
const struct wave_shape *wave_shape_find(const char *name);
/* NULL past the last. */
const struct wave_shape *wave_shape_at(size_t i);
void wave_add(struct wave *w, double load_pct, double ms);

/* wave_trace.c: a table with a time column (seconds) and a CPU column (percent), squeezed or stretched to
   period_ms unless that is 0. */
error *wave_take_trace(const char *text, const char *what, double period_ms, struct wave *w) ERR_MUST_CHECK;

/* wave_fit.c: the best approximation (least squares over time) by at most `most` steps, by dynamic
   programming (Bellman 1961, CACM 4(6)). The caller frees ret_steps; returns their number. */
size_t wave_reduce(const struct wave_step *steps, size_t count, size_t most, struct wave_step **ret_steps);

/* wave_code.c */
error *wave_encode(const struct wave *w, struct wave_code *ret) ERR_MUST_CHECK;
void wave_code_put(const struct wave_code *c, unsigned char payload[MVM_PARAM_PAYLOAD_SIZE]);
/* Refuses a payload that the guest could not play. */
error *wave_code_get(const unsigned char payload[MVM_PARAM_PAYLOAD_SIZE], const char *what,
		     struct wave_code *ret) ERR_MUST_CHECK;
/* Puts it into an image of the guest `wave`, with what its spread needs. */
error *wave_into_image(const struct wave *w, struct guest_image *img) ERR_MUST_CHECK;
/* False: not such a guest, or no waveform in it. */
bool wave_of_image(const struct guest_image *img, struct wave_code *ret);

/* wave_predict.c */
double wave_slice_ms(const struct wave_code *c);
double wave_phase_load(const struct wave_code *c, size_t i); /* percent */
double wave_phase_ms(const struct wave_code *c, size_t i);   /* mean, with its jitter */
double wave_period_ms(const struct wave_code *c);
double wave_mean(const struct wave_code *c); /* percent, over a period */
double wave_peak(const struct wave_code *c);
double wave_asked_ms(const struct wave *w);
double wave_asked_mean(const struct wave *w);
/* Load `ms` after the start of the waveform, 0 before it and after the last pass. With jitter it is that of
   the guest with this seed. */
double wave_load_at(const struct wave_code *c, uint32_t seed, double ms);
/* Mean load from `from` to `to`, both ms after the start. */
double wave_load_between(const struct wave_code *c, uint32_t seed, double from, double to);
struct wave_error wave_error_of(const struct wave *w, const struct wave_code *c);

#endif
