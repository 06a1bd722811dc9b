/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_GUEST_PROFILE_H
#define MVM_GUEST_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "guest/image.h"
#include "guest/wave.h"

/*
 * A profile says which guest to run and with which parameters. It is a file:
 *	[profile]
 *	guest = sleep		which guest (mvm/<guest>.asm)
 *	summary = ...		one line for lists
 *	seed = 0		optional, 0..4294967295
 *	phase_ms = 0		optional, 0..4294967295 milliseconds
 *	spread_ms = 0		optional: each VM's phase is phase_ms plus a random share of this
 *	memory_mb = 1		optional: memory of a VM, instead of the preset's
 *	disk_mb = 1		optional: size of a VM's disk, where it has one
 *	devices = disk net	optional: devices besides those that the guest itself needs
 *	[parameters]		the guest's own, as its source declares them
 *	NAME = VALUE
 *	[wave]			of the guest wave: see docs/profiles.md
 */
struct profile_value {
	char *name, *value;
	int line;
};

struct profile {
	char *name; /* file name without ".profile" */
	char *path;
	char *summary;
	char *guest;
	bool has_seed, has_phase; /* given in the file; otherwise the value is 0 */
	uint32_t seed;
	uint32_t phase_ms, spread_ms;
	uint32_t memory_mb; /* 0: the preset's */
	uint32_t disk_mb;
	struct strlist devices;
	struct profile_value *values;
	size_t value_count;
	struct wave *wave; /* NULL without a section [wave] */
};

/* Reads profile text; `what` names it in errors and gives the profile its name. */
error *profile_parse(const char *text, const char *what, struct profile **ret) ERR_MUST_CHECK;
/* By path (anything with a '/' or ending in ".profile"), else by name among the shipped profiles; an
   unknown name is an error that lists the known. Free *ret with profile_free(). */
error *profile_load(const char *name_or_path, struct profile **ret) ERR_MUST_CHECK;
void profile_free(struct profile *p);
static inline void profile_freep(struct profile **p)
{
	profile_free(*p);
}

struct profile_list {
	struct profile **items; /* sorted by name */
	size_t count;
};
/* All shipped profiles; one that does not parse is an error. Clear *ret with profile_list_clear(). */
error *profile_list(struct profile_list *ret) ERR_MUST_CHECK;
void profile_list_clear(struct profile_list *l);

/* What each VM needs: the guest's own needs and the profile's, each once. p may be NULL. */
error *profile_devices(const struct profile *p, const struct guest_image *img,
		       struct strlist *ret) ERR_MUST_CHECK;

/* The profile's guest as built, with the profile's parameters patched in. */
error *image_from_profile(const struct profile *p, struct guest_image *ret) ERR_MUST_CHECK;

#endif
