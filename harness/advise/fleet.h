/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_ADVISE_FLEET_H
#define MVM_ADVISE_FLEET_H

#include <jansson.h>
#include <stddef.h>

#include "advise/verdict.h"
#include "base/err.h"
#include "base/ini.h"

/* The two things that hosts have and VMs take: % of a core, and kB of RAM. */
enum fleet_axis { FLEET_CPU = RESOURCE_CPU, FLEET_RAM = RESOURCE_RAM, FLEET_AXES };
_Static_assert(FLEET_AXES == 2, "hosts are packed by all that lies between them");

/* A kind of host that may be bought. */
struct fleet_kind {
	char *name;
	double room[FLEET_AXES]; /* what VMs may take of one, threshold and use at rest left out */
	double price;		 /* of one; 1 where the file has none, so that hosts are counted */
	double most;		 /* how many there are; INFINITY: any number */
};

/* VMs of one profile, all alike. */
struct fleet_demand {
	char *name, *run; /* run: the folder that measured what one takes */
	double vms;
	double takes[FLEET_AXES];
};

struct fleet {
	struct fleet_kind *hosts;
	size_t n_hosts;
	struct fleet_demand *demands;
	size_t n_demands;
	double threshold_pct; /* less the reserve */
};

/* A way to place all of it. */
struct fleet_plan {
	double *used; /* hosts of each kind */
	double left;  /* VMs that found no place */
	double price;
	double bound;		 /* no plan can be cheaper; in the unit of price */
	double fill[FLEET_AXES]; /* share of the room used, 0 to 1 */
};

/*
 * Reads "[fleet] threshold", "[host NAME] cores, ram, swap, price, most" and "[demand NAME] run, vms". Run
 * folders stand relative to the file; what a VM takes and what a host needs at rest come from them. Of o the
 * threshold (0: the file's), the reserve and the overcommitment count. Errors name file and line. The caller
 * frees *ret.
 */
error *fleet_load(const char *path, const struct advise_options *o, struct fleet **ret) ERR_MUST_CHECK;
void fleet_free(struct fleet *f);
static inline void fleet_freep(struct fleet **f)
{
	fleet_free(*f);
}

/*
 * Vector bin packing by best-fit decreasing: largest VMs first, each into the fullest host that still has
 * room; a new host is of the kind that carries what is left at the lowest price. Pure.
 */
void fleet_pack(const struct fleet *f, struct fleet_plan *ret);
void fleet_plan_clear(struct fleet_plan *p);
json_t *fleet_json(const struct fleet *f, const struct fleet_plan *p);
char *fleet_text(const struct fleet *f, const struct fleet_plan *p);

#endif
