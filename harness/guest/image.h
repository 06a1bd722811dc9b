/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_GUEST_IMAGE_H
#define MVM_GUEST_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/util.h"
#include "mvm_contract.h"

/* A boot sector, and what its parameter block says (mvm/contract.inc has the layout). */
struct guest_image {
	unsigned char bytes[MVM_IMAGE_SIZE];
	bool has_params; /* false: a boot sector of somebody else's; the fields below are 0 */
	unsigned int version;
	unsigned int flags;
	uint32_t seed;
	uint32_t phase_ms;
	char guest[MVM_PARAM_GUEST_SIZE + 1];
};

/*
 * Takes len bytes as an image; `what` names them in errors. Refuses another size, a missing boot
 * signature, and a parameter block that this version cannot read. No block at all is allowed.
 */
error *image_parse(const void *data, size_t len, const char *what, struct guest_image *ret) ERR_MUST_CHECK;
error *image_load(const char *path, struct guest_image *ret) ERR_MUST_CHECK;
/* Loads the guest of that name as built ("sleep"); an unknown name is an error listing the known. */
error *image_load_guest(const char *guest, struct guest_image *ret) ERR_MUST_CHECK;

/* Change a parameter in the bytes and the field. Only for images with has_params. */
void image_set_seed(struct guest_image *img, uint32_t seed);
void image_set_phase(struct guest_image *img, uint32_t phase_ms);

/* Bytes before the parameter block that are in use: up to the last one that is not 0. Without a block:
   before the signature. */
size_t image_code_size(const struct guest_image *img);
/* Where the code has to end: the parameter block, or the signature where there is none. */
size_t image_code_limit(const struct guest_image *img);

error *image_write(const struct guest_image *img, const char *path) ERR_MUST_CHECK;
/* Writes the toolkit's firmware with the image in its slot: a ROM for QEMU's -bios. */
error *firmware_write(const struct guest_image *img, const char *template_path,
		      const char *path) ERR_MUST_CHECK;
/* The image into a ROM of len bytes; `what` names it in errors. */
error *firmware_fill(const struct guest_image *img, const char *what, char *rom, size_t len) ERR_MUST_CHECK;
/* Where the built firmware lies; an error says what to do when it is missing. The caller frees *ret. */
error *firmware_find_template(char **ret) ERR_MUST_CHECK;

/* Names of the built guests, sorted; empty where none is built. Clear it with strlist_clear(). */
void guest_names(struct strlist *ret);

/* Names of the files in a data folder that end in suffix, without it, sorted. For this stage's use. */
void guest_data_names(const char *kind, const char *suffix, struct strlist *ret);
/* The path of what is named so: a file by its own path or ending, else one in the data folder. NULL when
   there is none: *ret_known then has the names that there are, NULL for none. The caller frees both. */
char *guest_data_find(const char *kind, const char *suffix, const char *name, char **ret_known);
/* What most kinds say then: the kind, the name, the known names. */
#define GUEST_DATA_UNKNOWN "unknown %s '%s': known are %s; a file of your own is given by its path"

#endif
