/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_HOST_REFUSAL_H
#define MVM_HOST_REFUSAL_H

#include "host/limits.h"

/* Which limit made a host refuse a VM: an errno alone does not tell. */
struct refusal {
	const char *limit; /* the <name> of "limit:<name>" */
	char *evidence;	   /* what shows it, in a few words; NULL: the errno alone */
};

/*
 * errno EAGAIN, ENOMEM, EMFILE, ENFILE or ENOSPC of a refusal; the limits as they were before the first VM,
 * and as they are now. What counted a refusal in between is proof; else it is the limit that is nearest to
 * its end, if one nearly is. "fork" and "memory" are left for what none of them explains. The caller frees
 * the evidence. Pure.
 */
void limits_attribute(const struct limit_raw *before, const struct limit_raw *now, int sys,
		      struct refusal *ret);

#endif
