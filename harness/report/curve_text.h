/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_REPORT_CURVE_TEXT_H
#define MVM_REPORT_CURVE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* A curve drawn with characters. Braille cells have two columns and four rows of dots, plain ones one. */
#define CURVE_DOTS_X 2
#define CURVE_DOTS_Y 4

struct curve_text {
	size_t columns, rows; /* characters, without the axes */
	bool braille;	      /* else ASCII */
	bool colour;
	double y_max;
	const char *y_unit, *x_label; /* below the right end of the axis */
};

/* Values to draw for that width: two per column with braille, else one. */
size_t curve_text_points(const struct curve_text *t);
/* Lines of text, ended by a newline; values[0..n), n as above; neighbours are joined. Pure; the caller
   frees it. */
char *curve_text(const struct curve_text *t, const double *values, size_t n);

/* Does this locale's character set hold braille? For a program that called setlocale(). */
bool curve_text_utf8(void);

#endif
