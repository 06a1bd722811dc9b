/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "report/curve_text.h"

#include <langinfo.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/util.h"

#define COLOUR "\033[36m"
#define NORMAL "\033[0m"

bool curve_text_utf8(void)
{
	return str_eq(nl_langinfo(CODESET), "UTF-8");
}

size_t curve_text_points(const struct curve_text *t)
{
	return t->columns * (t->braille ? CURVE_DOTS_X : 1);
}

/* A grid of dots, row 0 at the top. */
struct grid {
	size_t width, height;
	bool *dots;
};

static void draw(const struct curve_text *t, const double *values, size_t n, struct grid *g)
{
	long last = -1;

	for (size_t x = 0; x < n && x < g->width; x++) {
		if (!isfinite(values[x])) {
			last = -1;
			continue;
		}
		double share = fmin(fmax(values[x] / t->y_max, 0), 1);
		long y = lround((1 - share) * (double)(g->height - 1)), from = last < 0 ? y : last;

		/* a jump is a line from where the curve was */
		for (long k = MIN(from, y); k <= MAX(from, y); k++)
			g->dots[(size_t)k * g->width + x] = true;
		last = y;
	}
}

static void put_braille(FILE *out, const struct grid *g, size_t row, size_t column)
{
	static const unsigned char bits[CURVE_DOTS_Y][CURVE_DOTS_X] = {
		{ 0x01, 0x08 }, { 0x02, 0x10 }, { 0x04, 0x20 }, { 0x40, 0x80 }
	};
	unsigned cell = 0;

	for (size_t y = 0; y < CURVE_DOTS_Y; y++)
		for (size_t x = 0; x < CURVE_DOTS_X; x++)
			if (g->dots[(row * CURVE_DOTS_Y + y) * g->width + column * CURVE_DOTS_X + x])
				cell |= bits[y][x];
	/* U+2800 and above, in UTF-8 */
	fprintf(out, "\xE2%c%c", (int)(0xA0 | cell >> 6), (int)(0x80 | (cell & 0x3F)));
}

static void put_row(FILE *out, const struct curve_text *t, const struct grid *g, size_t row)
{
	if (row % 4 == 0 || row + 1 == t->rows)
		fprintf(out, "%6.4g%s %s", t->y_max * (double)(t->rows - 1 - row) / (double)(t->rows - 1),
			t->y_unit, t->braille ? "┤" : "|");
	else
		fprintf(out, "%*s %s", 6 + (int)strlen(t->y_unit), "", t->braille ? "│" : "|");
	if (t->colour)
		fputs(COLOUR, out);
	for (size_t c = 0; c < t->columns; c++) {
		if (t->braille)
			put_braille(out, g, row, c);
		else
			fputc(g->dots[row * g->width + c] ? '*' : ' ', out);
	}
	fputs(t->colour ? NORMAL "\n" : "\n", out);
}

char *curve_text(const struct curve_text *t, const double *values, size_t n)
{
	struct grid g = { .width = curve_text_points(t),
			  .height = t->rows * (t->braille ? CURVE_DOTS_Y : 1) };
	struct textbuf buf;
	FILE *out = textbuf_open(&buf);

	g.dots = xcalloc(g.width * g.height, sizeof(*g.dots));
	draw(t, values, n, &g);
	for (size_t r = 0; r < t->rows; r++)
		put_row(out, t, &g, r);
	int margin = 7 + (int)strlen(t->y_unit);
	fprintf(out, "%*s%s", margin, "", t->braille ? "└" : "+");
	for (size_t c = 0; c < t->columns; c++)
		fputs(t->braille ? "─" : "-", out);
	int gap = (int)t->columns - 1 - (int)strlen(t->x_label);
	fprintf(out, "\n%*s0%*s%s\n", margin + 1, "", gap > 0 ? gap : 1, "", t->x_label);
	free(g.dots);
	return textbuf_close(&buf);
}
