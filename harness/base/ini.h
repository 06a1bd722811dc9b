/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BASE_INI_H
#define MVM_BASE_INI_H

#include <stddef.h>

#include "base/err.h"

/* One "key = value" of a data file, with where it stood. */
struct ini_entry {
	char *section, *key, *value;
	int line;
};

struct ini_file {
	char *path;
	struct ini_entry *entries;
	size_t count;
};

/* Reads "[section]" / "key = value" text (inih's dialect); errors name file and line. */
error *ini_load(const char *path, struct ini_file **ret) ERR_MUST_CHECK;
error *ini_parse_text(const char *text, const char *what, struct ini_file **ret) ERR_MUST_CHECK;
/* The value of the last such entry, or NULL. */
const char *ini_get(const struct ini_file *f, const char *section, const char *key);
/* A whole number in [min, max]; fallback where the key is absent. */
error *ini_get_long(const struct ini_file *f, const char *section, const char *key, long min, long max,
		    long fallback, long *ret) ERR_MUST_CHECK;
/* Refuses any "section.key" that is not in allowed (NULL-terminated; "section.*" allows all keys). */
error *ini_only(const struct ini_file *f, const char *const *allowed) ERR_MUST_CHECK;
void ini_free(struct ini_file *f);
static inline void ini_freep(struct ini_file **f)
{
	ini_free(*f);
}

#endif
