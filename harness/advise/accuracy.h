/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_ADVISE_ACCURACY_H
#define MVM_ADVISE_ACCURACY_H

#include "advise/whatif.h"

/* The ledger of forecasts: what was forecast, what came, over runs and hosts (SQLite). */

/* $MVMSCALE_LEDGER, else $XDG_STATE_HOME/mvmscale/ledger.db, else ~/.local/state/mvmscale/ledger.db;
   NULL when none of them can be told. The caller frees it. */
char *ledger_path(void);

/* The forecast that a run kept, and what came of it. */
struct forecast_check {
	double forecast, lower, upper; /* VMs, made at `at` VMs */
	double at, truth;
	char *resource, *stop; /* as forecast; the kind of stop that came */
	double error_pct;      /* of the truth, absolute */
	bool counts; /* it ended at a threshold or a limit: a run that reaches --max proves nothing */
};
/* False when the run made no forecast or has no end to compare with. Pure. */
bool forecast_check(const struct run_record *r, const struct advice *a, struct forecast_check *ret);
void forecast_check_clear(struct forecast_check *c);

/* Adds the run, once: the same run again changes nothing. Creates file and folder. */
error *ledger_add(const char *path, const struct run_record *r, const struct advice *a,
		  const struct forecast_check *c) ERR_MUST_CHECK;
/* Fills a->record, and offers configurations of past runs on such hosts as gains. No file: nothing happens.
 */
error *ledger_quote(const char *path, const struct run_record *r, struct advice *a) ERR_MUST_CHECK;

/*
 * What an advice has beyond its own run: gains by other runs and by the shipped ablation, and what the ledger
 * (path NULL: none) tells. On an error the advice is as good as before.
 */
error *advice_complete(const struct run_record *r, struct advice *a, struct run_record *const *others,
		       size_t n_others, const char *ledger) ERR_MUST_CHECK;

/* "AMD EPYC, 2 cores, 24 GiB": hosts that are told apart by it; the caller frees it. */
char *ledger_host(const struct run_record *r);
char *ledger_host_name(const char *cpu, double cores, double ram_kb);

/*
 * How far growth strays from what fits say of it (see struct trend_input), by n past forecasts:
 * strays[i] = (forecast - truth) / (truth - VMs it was made at), which it sorts. A standard deviation, from
 * the 68 % quantile; what is usual (TREND_WANDER) weighs as much as WANDER_RUNS runs. Pure.
 */
#define WANDER_RUNS 8.0
double forecast_model_error(double *strays, size_t n);
/* The same by the ledger's runs on such a host. No file: what is usual. */
error *ledger_wander(const char *path, const char *host, double *ret) ERR_MUST_CHECK;

#endif
