/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_COMPARE_SLO_H
#define MVM_COMPARE_SLO_H

#include <jansson.h>

#include "base/err.h"
#include "compare/compare.h"

/* A file of limits: what figures must keep, by themselves ([limits]) or against a base ([changes]). */
struct slo {
	char *name, *summary;
	double min[FIGURE_COUNT], max[FIGURE_COUNT]; /* NAN: none */
	double change[FIGURE_COUNT]; /* gate of compare, in the figure's scale; NAN: the table's */
};

/*
 * By name from profiles/slo, or a file. Unknown keys and figures, and values that are no limits, are
 * EXIT_BAD_INPUT with file and line, and so is a file that limits nothing. The caller frees *ret.
 */
error *slo_load(const char *name_or_path, struct slo **ret) ERR_MUST_CHECK;
error *slo_parse(const char *text, const char *what, struct slo **ret) ERR_MUST_CHECK;
void slo_free(struct slo *s);
static inline void slo_freep(struct slo **s)
{
	slo_free(*s);
}

/* Whether it limits a side by itself: one of [changes] alone needs a base. */
bool slo_has_limits(const struct slo *s);

/* A gate such as "3 %" (ratios) or "0.5" (differences, in the figure's unit); NULL, or what is wrong with it.
 */
const char *slo_parse_gate(enum figure f, const char *text, double *ret);

/* The gates of [changes] become those of a comparison. */
void slo_gates(const struct slo *s, struct compare_options *o);

struct slo_result {
	struct strlist broken;	  /* a sentence for each limit that is not kept */
	struct strlist unchecked; /* and for each that has no figure to check */
};
/* Checks [limits] against figures; pure. */
void slo_check(const struct slo *s, const double figures[FIGURE_COUNT], struct slo_result *ret);
/* Checks the medians of the new side; a broken limit makes the verdict regressed, unless it is invalid. */
void slo_check_comparison(const struct slo *s, const struct side *new_side, struct comparison *c);
void slo_result_clear(struct slo_result *r);
/* EXIT_REGRESSION when one is broken, else EXIT_INCONCLUSIVE when one is unchecked. */
enum exit_code slo_status(const struct slo_result *r);

#endif
