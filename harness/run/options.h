/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_RUN_OPTIONS_H
#define MVM_RUN_OPTIONS_H

/*
 * The options of `mvmscale run`: its own rows and those that each backend brings, as one list, and what they
 * fill. All that says something about such an option reads it here. Not for printing: the command does that.
 */

#include <stdbool.h>
#include <stdint.h>

#include "backend/backend.h"
#include "base/option.h"
#include "host/cgroup.h"
#include "record/resource.h"

/* Tables of rows: that of run, and those of backends. Not more options than that in all. */
#define RUN_TABLES 8
#define RUN_OPTIONS_MAX 96

/* What `mvmscale run` was asked to do. All strings are borrowed. */
struct run_options {
	unsigned max;
	unsigned intervals, repeat, jobs; /* jobs 0: by cores */
	double threshold_pct;
	unsigned stop_on; /* 1 << enum resource: those whose threshold ends the run */
	const char *swap; /* swap to add, as swap_parse() takes it, or NULL */
	const struct backend_ops *backend;
	const char *profile, *image, *out, *name;
	const char *pin, *numa; /* as placement_make() takes them, or NULL */
	const char *cgroup;	/* none, auto, a folder to make it in; NULL: auto, for CPU time only */
	const char *cgroup_cpu, *cgroup_mem, *cgroup_pids; /* become limits */
	struct cgroup_limits limits;			   /* of the population together */
	double verify_pct; /* share of the population asked at every interval */
	double settle_s;   /* fixed waiting time; < 0: until quiet */
	double rate;	   /* VMs per second; 0: as fast as it goes */
	double ready_timeout_s;
	double disk_mb_s, net_mb_s; /* capacities that are 100 %; 0: not known */
	double sample_s;	    /* time between measuring samples */
	unsigned samples;	    /* measuring samples per interval */
	unsigned seed;
	bool no_raise;	    /* leave the host's limits as they are */
	bool predict;	    /* forecast the stop while the ramp goes on */
	bool fast;	    /* null backend in tests: settle at once */
	double model_error; /* of past forecasts on such hosts, see trend.h; 0: what is usual */
	bool json, quiet;   /* how the command tells the outcome */
	const char *slo;    /* file of limits that the command checks, or NULL */
	void *own;	    /* configuration of the backend's own options */

	void *configs[RUN_TABLES]; /* one for each table: which counts is known when the backend is */
	bool given[RUN_OPTIONS_MAX];
	struct strlist kept; /* strings that others here borrow */
};

/* All rows, each name once, those of a group together; ends with NULL. */
const struct option_row *const *run_option_rows(void);
/* *o as it is without any option; clear it with run_options_clear(). */
void run_options_init(struct run_options *o);
/* Takes the option at that place in run_option_rows(). */
error *run_options_take(struct run_options *o, size_t at, const char *arg) ERR_MUST_CHECK;
/* After the last: refuses what excludes each other and what the chosen backend would ignore; the rest of the
 * defaults. */
error *run_options_finish(struct run_options *o) ERR_MUST_CHECK;
/* The text of one of the backend's own options; NULL without one, or when the backend has no such option. */
const char *run_options_text(const struct run_options *o, const char *name);
void run_options_clear(struct run_options *o);

#endif
