/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_RECORD_HOSTS_H
#define MVM_RECORD_HOSTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* One row of hosts.csv; NAN where the host told nothing. */
struct host_point {
	double repeat, vms, cpu, cpu_sd, ram, ram_sd; /* cpu and ram in % of that host */
};

/* What was measured on one host, interval by interval. */
struct host_curve {
	char *name;
	struct host_point *points;
	size_t count;
	bool full, lost;      /* at the end of the last ramp */
	double threshold_pct; /* NAN where the record does not have it */
};

struct host_curves {
	struct host_curve *items; /* in the order in which they stand in the file */
	size_t count;
};

/* Parses hosts.csv; `what` names it in errors. Its last line may be cut. Pure. */
error *host_curves_parse(const char *text, const char *what, struct host_curves *ret) ERR_MUST_CHECK;
/* Reads it from a run folder; without such a file there are none, and that is no error. */
error *host_curves_load(const char *dir, struct host_curves *ret) ERR_MUST_CHECK;
void host_curves_clear(struct host_curves *h);

#endif
