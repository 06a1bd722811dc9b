/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_ADVISE_WHATIF_H
#define MVM_ADVISE_WHATIF_H

#include "advise/verdict.h"
#include "base/ini.h"

/*
 * Fills a->whatif with the (at most three) changes that would gain most VMs at the threshold, best first.
 * Each figure comes from a measurement: another run's cost per VM, this run's own kernel threads or
 * counted limits, or the shipped ablation (NULL: none). What nobody measured is not offered.
 */
error *advice_whatif(const struct run_record *r, struct advice *a, struct run_record *const *others,
		     size_t n_others, const struct ini_file *ablation) ERR_MUST_CHECK;

/* One line of a past run: what a VM took with that configuration on such a host. */
struct past_run {
	char *what;		 /* preset, profile, launch and accelerator in words */
	double ram_kb, core_pct; /* per VM; NAN: not known */
};
/* Offers the change to a past run's configuration, as advice_whatif() does for a run folder. */
void advice_whatif_past(struct advice *a, const struct past_run *p);

#endif
