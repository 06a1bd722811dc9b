/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_TESTS_RAMPS_H
#define MVM_TESTS_RAMPS_H

/* Ramps whose truth is known: what a null backend would record, with more ways to behave. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/util.h"
#include "record/read.h"

#define RAMP_RAM_KB 10000000

enum ramp_kind {
	RAMP_RAM,      /* RAM ends it, one line */
	RAMP_CPU,      /* CPU ends it, one line */
	RAMP_RAM_KNEE, /* the first VMs cost more or less than the others */
	RAMP_CPU_KNEE,
	RAMP_SWAP,     /* RAM fills, then swap; only swap and CPU stop the run */
	RAMP_LIMIT,    /* a limit that the preflight knew */
	RAMP_LEVEL,    /* CPU rises to a level and stays there; RAM ends it */
	RAMP_OUTLIERS, /* RAM, with single intervals that are far off */
	RAMP_MISSING,  /* RAM, with intervals that have no value */
	RAMP_DRIFT,    /* RAM; the CPU of others creeps up and down */
	RAMP_BOTH,     /* CPU 20 % behind RAM */
	RAMP_WOKEN,    /* RAM, bent by VMs that grow when they are pinged */
	RAMP_KINDS
};
static const char *const ramp_names[RAMP_KINDS] = { "ram",     "cpu",	"ram knee", "cpu knee",
						    "swap",    "limit", "level",    "outliers",
						    "missing", "drift", "both",	    "woken" };

struct ramp_made {
	enum ramp_kind kind;
	uint32_t seed;
	size_t n;	     /* intervals, the baseline among them, up to the true end */
	double end;	     /* true VM count at 90 % */
	double noise;	     /* standard deviation of an interval's mean, points of the host */
	const char *binding; /* what truly ends it */
};

static inline double ramp_uniform(uint32_t *s)
{
	*s = *s * 1664525 + 1013904223;
	return (double)(*s >> 8) / (1 << 24);
}

/* Close to normal: the sum of twelve. */
static inline double ramp_noise(uint32_t *s)
{
	double sum = -6;

	for (int i = 0; i < 12; i++)
		sum += ramp_uniform(s);
	return sum;
}

/* 0 at 0, 1 at 1, and the slope changes by `ratio` at k. */
static inline double ramp_bend(double x, double k, double ratio)
{
	double whole = k + ratio * (1 - k);

	return (fmin(x, k) + ratio * fmax(x - k, 0)) / whole;
}

/* A hundredth of the VMs is pinged after each interval; how many were woken before interval i. */
static inline double ramp_woken(const struct ramp_made *m, size_t i)
{
	double woken = 0;

	for (size_t k = 1; k < i; k++)
		woken += 0.01 * (m->end * (double)k / (double)(m->n - 1) - woken);
	return woken;
}

/* Points of RAM that woken VMs take at the end of such a ramp. */
#define RAMP_WOKEN_PCT 20.0

/* CPU, RAM and swap in % at x = VMs / end, without noise; 90 at 1 for what binds. */
static inline void ramp_truth(const struct ramp_made *m, double x, double pct[3])
{
	double k = 0.08 + 0.01 * (m->seed % 5), ratio = m->seed % 2 ? 0.7 : 1.4;

	pct[0] = 1 + 4 * x;
	pct[1] = 5 + 85 * x;
	pct[2] = 0;
	switch (m->kind) {
	case RAMP_CPU:
		pct[0] = 2 + 88 * x;
		pct[1] = 5 + 30 * x;
		break;
	case RAMP_RAM_KNEE:
		pct[1] = 5 + 85 * ramp_bend(x, k, ratio);
		break;
	case RAMP_CPU_KNEE:
		pct[0] = 2 + 88 * ramp_bend(x, k, ratio);
		pct[1] = 5 + 30 * x;
		break;
	case RAMP_SWAP: /* swap is half as large as RAM */
		pct[1] = 5 + (92 + 45) * x;
		pct[2] = 2 * fmax(pct[1] - 97, 0);
		pct[1] = fmin(pct[1], 97);
		break;
	case RAMP_LIMIT:
		pct[1] = 5 + 50 * x;
		break;
	case RAMP_LEVEL:
		pct[0] = fmin(2 + 400 * x, 45);
		break;
	case RAMP_DRIFT:
		pct[0] = 8 + 4 * sin(5 * x + m->seed);
		break;
	case RAMP_WOKEN:
		pct[1] = 5 + (85 - RAMP_WOKEN_PCT) * x +
			 RAMP_WOKEN_PCT * ramp_woken(m, (size_t)lround(x * (double)(m->n - 1))) /
				 ramp_woken(m, m->n - 1);
		break;
	case RAMP_BOTH:
		pct[0] = 2 + 73 * x;
		break;
	default:
		break;
	}
}

static inline struct ramp_made ramp_case(enum ramp_kind kind, uint32_t seed)
{
	static const double noises[] = { 0.05, 0.1, 0.2, 0.4 };
	static const size_t counts[] = { 21, 31, 41, 81 };
	struct ramp_made m = { .kind = kind, .seed = seed, .noise = noises[seed % 4] };
	bool cpu = kind == RAMP_CPU || kind == RAMP_CPU_KNEE;

	/* a bend can be seen early only where the steps are fine */
	m.n = kind == RAMP_RAM_KNEE || kind == RAMP_CPU_KNEE ? 81 : counts[seed / 4 % 4];
	m.end = 500 * pow(10, seed % 7 / 3.0);
	m.binding = cpu ? "cpu" : kind == RAMP_SWAP ? "swap" : kind == RAMP_LIMIT ? "limit:pid_max" : "ram";
	return m;
}

/* The record of its first `share`; the caller frees it. */
static inline struct run_record *ramp_record(const struct ramp_made *m, double share)
{
	static const char *const names[] = { "vm_count",
					     "cpu_pct_mean",
					     "cpu_pct_sd",
					     "ram_pct_mean",
					     "ram_pct_sd",
					     "swap_pct_mean",
					     "swap_pct_sd",
					     "samples",
					     "settled",
					     "ping_asked",
					     "ledger_anon_kb",
					     "ledger_page_tables_kb",
					     "ledger_kernel_stack_kb" };
	struct run_record *r = xcalloc(1, sizeof(*r));
	struct csv *t = xcalloc(1, sizeof(*t));
	uint32_t s = m->seed * 2654435761U + (uint32_t)m->kind;
	_cleanup_free_ char *json = xasprintf(
		"{\"format\":1,\"state\":\"complete\",\"threshold_pct\":90,\"host\":{\"cores\":4,\"ram_kb\":%d,\"swap_kb\":%d},\"options\":{\"stop_on\":[\"cpu\",%s\"swap\"]},\"limits\":[{\"name\":"
		"\"pid_max\",\"vms_now\":%.0f}],\"stop\":{\"kind\":\"max\"}}",
		RAMP_RAM_KB, m->kind == RAMP_SWAP ? RAMP_RAM_KB / 2 : 0,
		m->kind == RAMP_SWAP ? "" : "\"ram\",", m->kind == RAMP_LIMIT ? m->end : 50 * m->end);

	r->dir = xstrdup(ramp_names[m->kind]);
	r->meta = json_loads(json, 0, NULL);
	t->columns = ARRAY_LEN(names);
	t->names = xcalloc(t->columns, sizeof(*t->names));
	for (size_t c = 0; c < t->columns; c++)
		t->names[c] = xstrdup(names[c]);
	t->rows = MAX((size_t)ceil(share * (double)(m->n - 1)) + 1, (size_t)1);
	t->cells = xcalloc(t->rows * t->columns, sizeof(*t->cells));
	for (size_t i = 0; i < t->rows; i++) {
		double x = (double)i / (double)(m->n - 1), *c = t->cells + i * t->columns, pct[3];
		double spoiled = m->kind == RAMP_OUTLIERS && i % 9 == 4 ? 15 : 0;

		ramp_truth(m, x, pct);
		c[0] = round(x * m->end);
		for (int k = 0; k < 3; k++) {
			double sd = k == 2 && pct[2] <= 0 ? 0 : k == 0 ? 1.5 * m->noise : m->noise;

			/* readings are also a little wrong in proportion */
			c[1 + 2 * k] = pct[k] + sd * ramp_noise(&s) + 0.002 * pct[k] * ramp_noise(&s) +
				       (k == 1 ? spoiled : 0);
			c[2 + 2 * k] = sd * sqrt(8);
		}
		if (m->kind == RAMP_MISSING && i % 5 == 2)
			c[1] = c[3] = (double)NAN;
		c[7] = 8;
		c[8] = 1;
		c[9] = c[10] = c[11] = c[12] = (double)NAN;
		if (m->kind == RAMP_WOKEN) {
			c[9] = ceil(0.01 * c[0]);
			c[10] = RAMP_WOKEN_PCT / 100 * RAMP_RAM_KB * ramp_woken(m, i) /
					ramp_woken(m, m->n - 1) +
				0.0002 * RAMP_RAM_KB * ramp_noise(&s) + 15 * c[0];
			c[11] = 96 * c[0];
			c[12] = 16 * c[0];
		}
	}
	r->intervals = t;
	return r;
}

#endif
