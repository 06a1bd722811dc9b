/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BACKEND_LIBVIRT_NAME_H
#define MVM_BACKEND_LIBVIRT_NAME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/*
 * Names and UUIDs of our libvirt domains. A name says who made the domain:
 *
 *	mvmscale-<machine, 6 hex><boot, 6 hex>-<pid>-<start time of that process>-<number>
 *
 * and the UUID is computed from the name (RFC 4122 version 5, a fixed namespace of ours).
 * A domain is ours only when both agree: nobody's domain is destroyed for its name alone.
 */

/* Who made a domain, as seen from this process. */
enum lv_owner {
	LV_FOREIGN,   /* not one of ours: name or UUID differ */
	LV_ELSEWHERE, /* ours, but made from another machine or container: it cannot be known whether it lives
		       */
	LV_ALIVE,     /* its harness runs */
	LV_GONE,      /* its harness is gone: a leftover */
};

#define LV_UUID_SIZE 37

/* The part before "-<number>", for domains of this process; the caller frees it. */
char *lv_name_prefix(void);
/* Version 5 UUID of a name, as text. */
void lv_name_uuid(const char *name, char ret[LV_UUID_SIZE]);
/* The number of a domain with that prefix; false when it is another's. */
bool lv_name_number(const char *prefix, const char *name, uint32_t *ret);
enum lv_owner lv_name_owner(const char *name, const char *uuid);

#endif
