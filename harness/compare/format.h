/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_COMPARE_FORMAT_H
#define MVM_COMPARE_FORMAT_H

#include <jansson.h>

#include "compare/compare.h"

/* A comparison in words and for programs. All pure; strings are the caller's to free. */
struct comparison_format {
	const char *name;
	char *(*write)(const struct comparison *c);
};
/* The one table of formats; the last has no name. */
extern const struct comparison_format comparison_formats[];
/* NULL when there is none of that name. */
const struct comparison_format *comparison_format_find(const char *name);

/* The object that the format json prints; a new reference. */
json_t *comparison_json(const struct comparison *c);

/* One sentence: the verdict and what it rests on. */
char *comparison_headline(const struct comparison *c);

#endif
