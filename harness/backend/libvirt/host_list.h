/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BACKEND_LIBVIRT_HOST_LIST_H
#define MVM_BACKEND_LIBVIRT_HOST_LIST_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* A libvirt host that a ramp is spread over. */
struct fleet_host {
	char *name; /* section of the hosts file, or derived from the URI; unique in the list */
	char *uri;
	uint32_t max;	      /* VMs it may hold; UINT32_MAX: as many as it can */
	double threshold_pct; /* of CPU or RAM, where it takes no more; 0: the run's */
};

struct host_list {
	struct fleet_host *items;
	size_t count;
};

/* How VMs are spread: to the emptiest host; by memory; one host after another. */
enum spread_policy { SPREAD_EVEN, SPREAD_CAPACITY, SPREAD_FILL, SPREAD_COUNT };
extern const char *const spread_names[SPREAD_COUNT];

/* Adds one URI; the name is its server, else the driver. EXIT_BAD_INPUT when it is no libvirt URI. */
error *host_list_add(struct host_list *l, const char *uri) ERR_MUST_CHECK;
/* Adds the hosts of an INI file: a section per host with uri and, if wanted, max and threshold. Errors name
 * file and host.
 */
error *host_list_load(struct host_list *l, const char *path) ERR_MUST_CHECK;
error *host_list_parse(struct host_list *l, const char *text, const char *what) ERR_MUST_CHECK;
void host_list_clear(struct host_list *l);

/* What placing looks at. */
struct spread_host {
	uint32_t vms, max;
	double weight; /* memory, in any unit */
	int open;      /* neither lost nor full */
};
/* The host that the next VM goes to, or -1 when none is open. */
int spread_next(enum spread_policy policy, const struct spread_host *hosts, size_t n);

#endif
