/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_ADVISE_VERDICT_H
#define MVM_ADVISE_VERDICT_H

#include <jansson.h>
#include <stdbool.h>

#include "advise/cost.h"
#include "advise/host_spec.h"
#include "base/err.h"
#include "base/util.h"
#include "model/trend.h"
#include "record/read.h"
#include "record/resource.h"

/* An answer may reach this far beyond what was measured. */
#define ADVICE_REACH 2.0
#define ADVICE_HOLDOUT_PCT 20.0
#define ADVICE_INTERVALS 4
/* A class that is less probable than this is not named. */
#define ADVICE_PROBABILITY 0.8

/* What one metric says. Percents are of the host; NAN = not known. */
struct metric_advice {
	const char *name, *label; /* "cpu", "CPU" */
	bool present;		  /* has values (swap: and the host has any) */
	size_t values;		  /* intervals with VMs that have one */
	bool rises;		  /* the slope is above 0 at 95 % confidence */
	bool measured;		  /* the threshold was crossed inside the data */
	bool overflows; /* swap that is not in use yet: vms is where RAM overflows into it and fills it */
	bool bends;	/* the line would have crossed where the data did not */
	double baseline_pct, per_vm_pct, per_vm_half; /* half: of the 95 % interval of per_vm_pct */
	double vms, lower, upper; /* VM count at the threshold, 95 % prediction interval */
	double holdout_pct;
	double last_pct;    /* of the last interval */
	double scale;	    /* % of the measured host -> % of the one asked for */
	struct trend trend; /* of swap: from where it begins */
};

/* What the run as a whole is. */
enum run_class {
	CLASS_INCONCLUSIVE,
	CLASS_CPU,
	CLASS_RAM,
	CLASS_SWAP,
	CLASS_LIMIT,
	CLASS_LAUNCH,
	CLASS_UNBOUNDED
};

/* Where a resource binds. */
_Static_assert(CLASS_SWAP - CLASS_CPU == RESOURCE_SWAP - RESOURCE_CPU,
	       "classes stand in the order of resources");
static inline enum run_class class_of(enum resource r)
{
	return (enum run_class)(CLASS_CPU + r);
}

struct advise_options {
	double threshold;		       /* in %; 0: the run's own */
	const struct host_spec *host;	       /* project onto this one; NULL: as measured */
	bool force;			       /* give numbers beyond ADVICE_REACH, too */
	double reserve_pct;		       /* of every resource, left free below the threshold */
	double overcommit_cpu, overcommit_ram; /* count the host so many times as large; 0 = 1 */
	double model_error; /* what past forecasts say of such hosts (forecast_model_error()); 0: what is
			       usual */
};

/* Something that was so while the run was made, and that the answer rests on. */
struct assumption {
	const char *name; /* guest, profile, ksm, ... */
	char *value, *effect;
};

/* A change that gains VMs, with where its figure comes from. */
struct whatif {
	char *change, *source;
	double vms, pct; /* more VMs at the threshold */
};

struct advice {
	char *binding, *runner_up; /* cpu, ram, swap, limit:<name>, none */
	double vms, lower, upper;  /* at the threshold; NAN: no number may be given */
	double safe;		   /* VMs to plan with: the lower end of the interval */
	double runner_up_vms;	   /* NAN: not known, or beyond ADVICE_REACH */
	double next_vms;	   /* the same however far it lies; a bound, never an answer */
	double headroom_pct; /* VMs that the runner-up leaves beyond the answer, in % of it; NAN: not known */
	double measured_to, threshold_pct, reserve_pct;
	bool ok, measured, extrapolated, forced;
	double ram_kb, cpu_pct, core_pct, swap_kb; /* per VM; core_pct of one core */
	double holdout_pct;			   /* of the binding metric; of a limit, of the runner-up */
	struct metric_advice metrics[RESOURCE_COUNT];
	struct measured_cost cost;
	enum run_class class;
	char *class_name;	  /* cpu-bound, limit-bound (pid_max), ... */
	double class_probability; /* 0 to 1 */
	struct assumption *assumptions;
	size_t n_assumptions;
	struct whatif whatif[3];
	size_t n_whatif;
	char *falsify;		/* a command whose result could refute the answer; NULL without one */
	struct strlist reasons; /* why inconclusive, and what to bear in mind */
	bool projected;		/* onto another host */
	bool cloned;
	double nodes; /* NUMA nodes of the host asked for; NAN: as measured */
	/* Past forecasts on such hosts, filled in by whoever has a ledger. */
	struct {
		size_t runs, all_runs;
		double median_pct, p90_pct, all_median_pct, all_p90_pct;
	} record;
};

/*
 * What binds first on the host of this run, and at how many VMs; pure. A run that ended
 * at its threshold or at a limit has measured its answer; else the fitted lines say where the
 * first one crosses. The caller frees *ret.
 */
error *advise_run_with(const struct run_record *r, const struct advise_options *o,
		       struct advice **ret) ERR_MUST_CHECK;
/* With threshold in %, 0 = the run's own, and nothing else. */
error *advise_run(const struct run_record *r, double threshold, struct advice **ret) ERR_MUST_CHECK;
/* The object of advice.json; a new reference. */
json_t *advice_json(const struct advice *a);
/* The answer in words, the first line says it all; the caller frees it. */
char *advice_text(const struct advice *a);
void advice_free(struct advice *a);
static inline void advice_freep(struct advice **a)
{
	advice_free(*a);
}

/* The shapes of a run's curves and what it is bound by, as JSON and as text (the caller frees both). */
json_t *classify_json(const struct run_record *r, const struct advice *a);
char *classify_text(const struct run_record *r, const struct advice *a);

#endif
