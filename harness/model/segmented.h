/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_MODEL_SEGMENTED_H
#define MVM_MODEL_SEGMENTED_H

#include <stdbool.h>
#include <stddef.h>

#include "model/fit.h"

/* What a curve over the VM count looks like. */
enum shape {
	SHAPE_UNKNOWN,	  /* too few points to tell */
	SHAPE_FLAT,	  /* does not change with the VM count */
	SHAPE_LINEAR,	  /* one straight line */
	SHAPE_KNEE,	  /* two straight lines that meet */
	SHAPE_SATURATING, /* a line that ends in a level */
	SHAPE_NOISY,	  /* the scatter hides what it does */
	SHAPE_COUNT
};
extern const char *const shape_names[SHAPE_COUNT];

/* Points from which a curve has a name. */
#define SHAPE_POINTS 4
/* Points from which two-part models are tried. */
#define SHAPE_KNEE_POINTS 6

struct segmented_fit {
	enum shape shape;
	double probability;	 /* weight of its model among all that were tried, 0 to 1 */
	size_t n, outliers;	 /* points used; points left out as outliers */
	struct line_fit line;	 /* through all points */
	struct line_fit tail;	 /* through what lies behind the knee; the same as line without one */
	bool has_line, has_tail; /* whether they could be fitted */
	double knee, knee_lower, knee_upper; /* VM count, with a 95 % bootstrap interval; NAN without */
	double slope_before;		     /* up to the knee; NAN without one */
	double level;			     /* of a flat or saturating curve; NAN of others */
	double scatter;			     /* standard deviation around the model */
};

/*
 * Chooses between a level, a line, a line that ends in a level and two lines by the
 * Bayesian information criterion (G. Schwarz, Annals of Statistics 6 (1978)), after
 * outliers were set aside; a bend must win by a margin, so that straight lines do not get
 * knees. tolerated: the scatter that still counts as flat, in the unit of y. Points
 * need no order; those that are not finite are left out. Pure, and the same data give the same answer.
 */
void segmented_fit(const double *x, const double *y, size_t n, double tolerated, struct segmented_fit *ret);
/* The model's value at x; NAN when it has none. */
double segmented_at(const struct segmented_fit *f, double x);

#endif
