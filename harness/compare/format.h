/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_COMPARE_FORMAT_H
#define MVM_COMPARE_FORMAT_H

#include <jansson.h>

#include "compare/compare.h"

/* A comparison in words and for programs. All pure; strings are the caller's to free. */
struct format_format {
	const char *name, *what;
	char *(*tell)(const struct comparison *c);
};
/* The one table of formats; the last has no name. */
extern const struct format_format format_formats[];
/* NULL when there is none of that name. */
const struct format_format *format_format_find(const char *name);

char *format_text(const struct comparison *c);
char *format_markdown(const struct comparison *c);
char *format_json(const struct comparison *c);
char *format_junit(const struct comparison *c);
char *format_tap(const struct comparison *c);

/* The object that format_json() prints; a new reference. */
json_t *comparison_json(const struct comparison *c);

/* "-3.1 %" or "+0.4 % of host": a change in the figure's scale. */
char *format_change(enum figure f, double change);
/* One sentence: the verdict and what it rests on. */
char *format_headline(const struct comparison *c);

#endif
