/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_ADVISE_TARGET_H
#define MVM_ADVISE_TARGET_H

#include "advise/verdict.h"

/* What host holds a number of VMs at the threshold, by what a VM of the run takes; NAN: not known. */
struct host_need {
	double vms;
	double ram_kb,
		cores; /* upper ends of the 95 % intervals of the slopes, and what the host takes at rest */
	double hosts;  /* such as the measured one, at its safe count; NAN without one */
	struct strlist limits; /* those that would have to be raised, with the value needed */
};

/* Pure; host_need_clear() releases it. */
void host_need_of(const struct run_record *r, const struct advice *a, double vms, struct host_need *ret);
void host_need_clear(struct host_need *n);
json_t *host_need_json(const struct host_need *n);
char *host_need_text(const struct host_need *n, const struct advice *a);

#endif
