/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_RUN_RUN_H
#define MVM_RUN_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "model/forecast.h"
#include "run/options.h"

enum run_stage {
	STAGE_PREPARE,
	STAGE_BASELINE,
	STAGE_LAUNCH,
	STAGE_SETTLE,
	STAGE_MEASURE,
	STAGE_VERIFY,
	STAGE_STOP
};
extern const char *const run_stage_names[STAGE_STOP + 1];

/* What a progress display shows; refreshed several times a second. */
struct run_status {
	enum run_stage stage;
	unsigned repeat, repeats, interval, intervals;
	uint32_t ready, target, max, predicted_end; /* ready: those that count */
	uint32_t unproven, asked, answered; /* run but do not count; of the latest interval that asked */
	double rate_per_s, cpu_pct, ram_pct, swap_pct, threshold_pct;
	bool has_swap;
	double elapsed_s, eta_s;  /* eta NAN when unknown */
	struct forecast forecast; /* with predict, from a quarter of the ramp on; else not ok */
};

/* How a run tells its caller what it does. Any member may be NULL. */
struct run_observer {
	void *user;
	void (*status)(void *user, const struct run_status *s);
	void (*notice)(void *user, const char *text); /* a line worth reading */
	void (*interval)(void *user, const struct run_status *s, double mem_per_vm_kb, bool settled);
};

enum stop_kind { STOP_NONE, STOP_MAX, STOP_THRESHOLD, STOP_LIMIT, STOP_INTERRUPTED, STOP_FAILED };
extern const char *const stop_kind_names[STOP_FAILED + 1];

/* Why a run ended, attributed. */
struct run_stop {
	enum stop_kind kind;
	const char *metric; /* cpu, ram, swap, or NULL */
	char *limit;	    /* name of the limit, or NULL */
	int sys;	    /* errno behind it, or 0 */
	double value;	    /* of the metric, or of the limit */
	char *evidence;	    /* one sentence */
};

struct run_outcome {
	struct run_stop stop;
	char *dir;
	uint32_t reached; /* VMs alive and proven at the last interval */
	uint32_t died, failed;
	uint32_t asked, answered; /* of the last interval in which VMs were asked */
	uint32_t unproven;	  /* VMs that ran at the end and did not count */
	uint32_t silent;	  /* VMs that did not answer at some time, and how often they came back */
	uint32_t answered_again;
	double longest_silence_s;
	bool replaced; /* the VMs' program became another one on the disk */
};
void run_outcome_clear(struct run_outcome *o);

/* Set by the caller's signal handler: the run stops at the next opportunity and saves its results. */
extern volatile int run_interrupted;

/*
 * Runs a whole ramp and leaves a run folder. On an error the folder keeps the samples
 * taken so far (ret->dir tells it, NULL when there is none), no VM lives, and every
 * setting is restored. An interruption is an outcome, not an error.
 */
error *run_ramp(const struct run_options *o, const struct run_observer *obs,
		struct run_outcome *ret) ERR_MUST_CHECK;

#endif
