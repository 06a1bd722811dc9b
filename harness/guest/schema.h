/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_GUEST_SCHEMA_H
#define MVM_GUEST_SCHEMA_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/util.h"
#include "guest/image.h"

/*
 * What a guest declares of itself in its source: a summary, the devices that it needs, and the
 * parameters in its payload. The build writes it to guests/NAME.params beside the image; nothing
 * about a single guest stands in the programs.
 */
enum field_type { FIELD_U8, FIELD_U16, FIELD_U32, FIELD_TEXT, FIELD_BYTES, FIELD_TYPES };
extern const char *const field_type_names[FIELD_TYPES];

struct schema_field {
	char *name, *help, *unit; /* unit "" for texts, bytes and bare numbers */
	char *fallback;		  /* the default, as it is written in a profile */
	enum field_type type;
	size_t offset, size; /* in the payload, bytes; a text's size counts its NUL */
	uint32_t min, max;   /* of numbers */
};

struct guest_schema {
	char *guest, *summary;
	struct strlist needs; /* devices: disk, net */
	struct schema_field *fields;
	size_t count;
};

/* Of the guest of that name. A guest without such a file (somebody else's) has an empty one. */
error *schema_load(const char *guest, struct guest_schema **ret) ERR_MUST_CHECK;
error *schema_parse(const char *text, const char *what, const char *guest,
		    struct guest_schema **ret) ERR_MUST_CHECK;
void schema_free(struct guest_schema *s);
static inline void schema_freep(struct guest_schema **s)
{
	schema_free(*s);
}

/* NULL when there is none of that name. */
const struct schema_field *schema_find(const struct guest_schema *s, const char *name);
/* Puts a value, as a profile has it, into the image; the error says why it cannot be. The image must be of
   that guest and have a parameter block. */
error *schema_set(const struct guest_schema *s, struct guest_image *img, const char *name,
		  const char *value) ERR_MUST_CHECK;
/* The value in the image, as a profile would have it; bytes as hexadecimal digits. The caller frees it. */
char *schema_get(const struct schema_field *f, const struct guest_image *img);
/* "0 to 4294967295 iterations", "up to 69 characters": what may be set. The caller frees it. */
char *schema_range(const struct schema_field *f);
/* Name of the field that a byte of the payload belongs to, or NULL. */
const char *schema_field_at(const struct guest_schema *s, size_t offset);

#endif
