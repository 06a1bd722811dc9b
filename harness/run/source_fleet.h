/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_RUN_SOURCE_FLEET_H
#define MVM_RUN_SOURCE_FLEET_H

/*
 * Private to the run stage: VMs that run on other hosts than this one. CPU and memory are
 * those of the hosts, added up; each host stops taking VMs at its own threshold; hosts.csv
 * has a row for each host and interval. s->fleet is NULL where the VMs run here.
 */

#include "run/session.h"

/* After the backend is open: finds out whether there is a fleet, and begins hosts.csv. */
error *fleet_open(struct session *s) ERR_MUST_CHECK;
void fleet_close(struct session *s);

/* Replaces the readings of this machine by those of the hosts. */
void fleet_sample(struct session *s, struct sample *ret);
/* RAM in use of all hosts together, not older than a moment. */
double fleet_ram_pct(struct session *s);

/* Per-host means of an interval: begins anew, takes in the latest reading, writes the rows. */
void fleet_interval_begin(struct session *s);
void fleet_interval_add(struct session *s);
error *fleet_interval_end(struct session *s, unsigned interval) ERR_MUST_CHECK;

/* While launching: closes hosts whose RAM reached the threshold; the run's stop is set when no host
   takes more and none is `starting`. */
error *fleet_guard(struct session *s, bool starting) ERR_MUST_CHECK;
/* The same by the means of the interval just measured, CPU included. */
error *fleet_check(struct session *s) ERR_MUST_CHECK;
/* A host disappeared with its VMs. */
error *fleet_host_lost(struct session *s, const struct backend_event *ev) ERR_MUST_CHECK;

#endif
