/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_GUEST_VARY_H
#define MVM_GUEST_VARY_H

#include <stdbool.h>
#include <stdint.h>

#include "guest/image.h"

/*
 * What differs between the VMs of one population: the seed and the phase of each, both by arithmetic
 * from the run's seed and the VM's number, so that a run can be repeated. A backend that launches a
 * VM puts them into the VM's own image; one that copies a running VM puts them into the copy's memory.
 */
struct vary {
	bool seed;	    /* the guest has a use for it: each VM gets one of its own */
	bool phase;	    /* likewise, and the profile spreads phases */
	uint64_t run_seed;  /* of the run and of the profile, mixed */
	uint32_t base_seed; /* as the image has it: for guests that need none of their own */
	uint32_t base_phase_ms;
	uint32_t spread_ms; /* phases lie in [base_phase_ms, base_phase_ms + spread_ms) */
};

struct vary_values {
	uint32_t seed, phase_ms;
};

/* From the image's flags and values; spread_ms is the profile's. */
struct vary vary_of(const struct guest_image *img, uint32_t spread_ms, uint32_t run_seed);
/* Is there anything to put into a VM? */
static inline bool vary_needed(const struct vary *v)
{
	return v && (v->seed || v->phase);
}
/* The values of VM number `vm`. Pure. */
struct vary_values vary_values_of(const struct vary *v, uint32_t vm);
/* Both into an image. */
void vary_image(const struct vary *v, uint32_t vm, struct guest_image *img);

#endif
