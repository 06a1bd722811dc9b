/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_ADVISE_VERDICT_H
#define MVM_ADVISE_VERDICT_H

#include <jansson.h>
#include <stdbool.h>

#include "advise/host_spec.h"
#include "base/err.h"
#include "base/util.h"
#include "curve/runread.h"

/* An answer may reach this far beyond what was measured. */
#define ADVICE_REACH 2.0
#define ADVICE_HOLDOUT_PCT 20.0
#define ADVICE_INTERVALS 4
#define ADVICE_METRICS 3 /* cpu, ram, swap */

/* What one metric says. Percents are of the host; NAN = not known. */
struct metric_advice {
	const char *name, *label;		      /* "cpu", "CPU" */
	bool present;				      /* has values (swap: and the host has any) */
	bool rises;				      /* the slope is above 0 at 95 % confidence */
	bool measured;				      /* the threshold was crossed inside the data */
	bool bends;				      /* the line would have crossed where the data did not */
	double baseline_pct, per_vm_pct, per_vm_half; /* half: of the 95 % interval of per_vm_pct */
	double vms, lower, upper; /* VM count at the threshold, 95 % prediction interval */
	double holdout_pct;
};

struct advice {
	char *binding, *runner_up; /* cpu, ram, swap, limit:<name>, none */
	double vms, lower, upper;  /* at the threshold; NAN: no number may be given */
	double runner_up_vms;	   /* NAN: not known, or beyond ADVICE_REACH */
	double measured_to, threshold_pct;
	bool ok, measured, extrapolated;
	double ram_kb, cpu_pct, core_pct, swap_kb; /* per VM; core_pct of one core */
	double holdout_pct;			   /* of the binding metric; of a limit, of the runner-up */
	struct metric_advice metrics[ADVICE_METRICS];
	struct strlist reasons; /* why inconclusive, and what to bear in mind */
	bool projected;		/* onto another host */
	bool cloned;
};

/*
 * What binds first on the host of this run, and at how many VMs; pure. threshold in %,
 * 0 = the run's own. A run that ended at its threshold or at a limit has measured its
 * answer; else the fitted lines say where the first one crosses. The caller frees *ret.
 */
error *advise_run(const struct run_record *r, double threshold, struct advice **ret) ERR_MUST_CHECK;
/* The same for another host: what a VM takes is kept, the host's size is replaced. */
error *advise_run_on(const struct run_record *r, double threshold, const struct host_spec *host,
		     struct advice **ret) ERR_MUST_CHECK;
/* The object of advice.json; a new reference. */
json_t *advice_json(const struct advice *a);
/* The answer in words, the first line says it all; the caller frees it. */
char *advice_text(const struct advice *a);
void advice_free(struct advice *a);
static inline void advice_freep(struct advice **a)
{
	advice_free(*a);
}

/* VM count at which a measured curve (in order of x) crosses y and stays there; false when it does not. */
bool curve_crossing(const double *x, const double *y, const double *sd, size_t n, double at, double ret[3]);

#endif
