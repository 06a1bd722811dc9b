/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_RUN_SESSION_H
#define MVM_RUN_SESSION_H

/*
 * Private to the run stage: what one run holds, in four parts, and the steps it is made of. A step takes the
 * parts that it uses; those that start, watch and measure VMs use all of them, and take the session.
 */

#include <gsl/gsl_rng.h>
#include <sys/stat.h>

#include "guest/profile.h"
#include "host/affinity.h"
#include "host/cgroup.h"
#include "host/facts.h"
#include "host/janitor.h"
#include "host/limits.h"
#include "host/settings.h"
#include "record/write.h"
#include "run/admission.h"
#include "run/answers.h"
#include "run/ramp.h"
#include "run/run.h"
#include "run/source.h"

/* Room in the VM table for VMs that failed or died and were replaced. */
#define SPARE_VMS 256

struct life {
	uint64_t begun_ns;
	int64_t cpu_ns; /* used before; -1: not known */
};

/* What was asked, and what was decided before the first VM. */
struct plan {
	const struct run_options *o;
	struct host host;
	struct profile *profile;
	struct guest_image image;
	struct vary vary;
	unsigned devices; /* 1 << enum device: what each VM has */
	struct preset *preset;
	struct affinity_map affinity_map;
	struct placement place;
	uint32_t preflight_end; /* where limits and declared memory expect the stop */
};

/* What the run has on the host for as long as it lasts. */
struct enclosure {
	struct settings *settings;
	struct cgroup cgroup;
	char *runtime_dir;
	int janitor_fd; /* the janitor cleans up when this closes */
	pid_t janitor;
};

/* The VMs, and what the host lets there be of them. */
struct population {
	struct backend *backend;
	bool cloned; /* the VMs are copies of a booted one */
	struct vm *vms;
	struct life *lives;	    /* wave_load.c: of each VM; NULL of guests without a waveform */
	uint32_t vm_slots, next_id; /* ids are given once */
	uint32_t ready, lost, failures_in_row; /* lost: failed or died in this ramp */
	struct answers answers;		       /* which of them run, and do not answer */
	uint32_t limit_vms;		       /* no more VMs than this: a limit of the host ends there */
	char *limit_name, *limit_evidence;
	double limit_value;
	struct limit_raw limits_before; /* before the first VM */
};

/* What is known of it so far, and told: on the disk, on the display, to the caller. */
struct record {
	struct run_folder folder;
	struct interval *rows; /* [0] is the baseline */
	size_t row_count;
	uint32_t *targets;   /* of the first ramp, for the repeats */
	unsigned repeat;     /* from 0 */
	struct stat program; /* of the backend's binary when it was recorded; st_ino 0: not known */
	struct run_outcome *out;
	const struct run_observer *obs;
	struct run_status status;
	uint64_t last_status_ns, start_ns;
};

struct session {
	struct plan plan;
	struct enclosure enclosure;
	struct population pop;
	struct source source;
	struct record record;
	bool ksm; /* technique ksm is in force */
	gsl_rng *rng;
};

/* session.c: prepares and dismantles; session_close() also after a failed session_open(). */
error *session_open(struct session *s) ERR_MUST_CHECK;
void session_close(struct session *s);
/* Records how the run stands ("running", "complete", ...) with its stop. */
error *session_save(struct session *s, const char *state) ERR_MUST_CHECK;
/* Refreshes the display, at most ten times a second unless forced. */
void session_status(struct session *s, enum run_stage stage, bool force);
/* What the source reads, and what the guests' waveforms say that it should. */
void session_sample(struct session *s, struct sample *ret);
/* Whether a limit of the population's cgroup was met; the run's stop then says so. */
bool session_limit_met(struct session *s);
/* Whether that resource's threshold ends the run. */
bool plan_stops_on(const struct plan *p, enum resource r);
void record_notice(struct record *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The first reason to stop is the reason; only an interruption comes before it. */
void record_stop(struct record *r, enum stop_kind kind, const char *metric, const char *limit, int sys,
		 double value, const char *fmt, ...) __attribute__((format(printf, 7, 8)));

/* describe.c: the run folder, --out or one of a name of its own; then the members of run.json. */
error *describe_begin(struct session *s) ERR_MUST_CHECK;
void describe_environment(struct session *s);
/* The techniques as they are now; where the backend has such. */
void describe_tuning(const struct population *pop, struct record *rec);
/* Tells the user how VMs are launched and which techniques are in force. */
void describe_announce(const struct population *pop, struct record *rec);
void describe_stop(struct record *rec);
/* Whether the program that VMs are started from is still the one that was recorded; tells it once if not. */
error *describe_check_program(const struct population *pop, struct record *rec) ERR_MUST_CHECK;

/* wave_load.c: percent of the host that the guests' waveforms ask for, over the last window; NAN of guests
 * without.
 */
double wave_load_pct(const struct plan *plan, const struct population *pop, uint64_t at_ns, double window_s);
/* What they used since they were ready against what was asked of them: to be told of each VM that gets ready,
   then for the life_* columns. */
void wave_load_prepare(const struct plan *plan, struct population *pop);
void wave_load_begin(struct population *pop, uint32_t id);
void wave_load_row(const struct plan *plan, const struct population *pop, struct interval *row);
/* For run.json; NULL of guests without a waveform. */
json_t *wave_load_json(const struct plan *plan, const struct population *pop);

/* launch.c: starts VMs until `target` are ready, or the stop is set. Fills the launch columns of *row. */
error *launch_to(struct session *s, uint32_t target, struct interval *row) ERR_MUST_CHECK;
/* Takes in deaths without starting anything; waits up to timeout_ms. */
error *launch_watch(struct session *s, int timeout_ms) ERR_MUST_CHECK;

/* confine.c: placement and cgroup limits. Settles where VMs go; an error is one of the options. */
error *confine_place(struct plan *plan) ERR_MUST_CHECK;
/* Makes the population's cgroup where --cgroup says, else where it can be; that it cannot is then no error.
 */
error *confine_create(const struct plan *plan, struct enclosure *en, struct record *rec) ERR_MUST_CHECK;
/* The user counts on it: all that VMs use has to be in it. */
bool confine_wanted(const struct run_options *o);
/* Sets its limits, and has it count what was asked for. */
error *confine_begin(const struct plan *plan, struct enclosure *en, struct record *rec) ERR_MUST_CHECK;
/* Puts a limit in front of an error that it brought about. */
error *confine_explain(const struct plan *plan, const struct enclosure *en, error *e) ERR_MUST_CHECK;
/* Lets the run end before the cgroup's limit of tasks. */
void confine_preflight(struct plan *plan, const struct enclosure *en, struct population *pop,
		       double tasks_per_vm);
/* What was set and how far it was met, for run.json. */
void confine_record(const struct plan *plan, const struct enclosure *en, struct record *rec);
bool confine_met(const struct plan *plan, const struct enclosure *en, const struct population *pop,
		 struct record *rec);

/* interval.c: settles, samples, verifies at the present population; *row gets it all. */
error *measure_interval(struct session *s, unsigned interval, struct interval *row) ERR_MUST_CHECK;

/* verify.c: VMs that run, less those that did not answer: what counts. */
uint32_t population_counted(const struct population *p);
/* A random share of the population, or each of it, must answer; so must those that did not before. */
error *verify_population(struct session *s, struct interval *row) ERR_MUST_CHECK;
/* Before the population is stopped: what is silent by then stays so. */
void verify_end(struct population *pop, struct run_outcome *out);
/* Adds to the stop's evidence what did not answer in the run. */
void verify_conclude(struct record *rec);

/* teardown.c: kills the population and records how it went. */
error *teardown(struct session *s) ERR_MUST_CHECK;

/* predict.c: with --predict, says where the ramp will end, into the status, the events and run.json. Without
   guests nothing strays. */
error *predict_stop(const struct plan *plan, const struct population *pop, bool guests, struct record *rec,
		    size_t index) ERR_MUST_CHECK;

/* ksm.c: starts it if the techniques ask for it, scans hard while launching, waits until merging converged.
   ksm_hurry() and ksm_merged_mb() only where it was started. */
error *ksm_begin(struct settings *settings, const struct population *pop, struct record *rec,
		 bool *ret) ERR_MUST_CHECK;
error *ksm_hurry(struct settings *settings) ERR_MUST_CHECK;
error *ksm_converge(struct session *s) ERR_MUST_CHECK;
/* Memory that merging saves now, in MB. */
double ksm_merged_mb(void);

#endif
