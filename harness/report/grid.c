/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "report/grid.h"

#include "base/text.h"
#include "base/util.h"

struct grid grid_new(size_t columns, size_t rows)
{
	return (struct grid){ .columns = columns,
			      .rows = rows,
			      .headings = xcalloc(columns, sizeof(char *)),
			      .right = xcalloc(columns, sizeof(bool)),
			      .cells = xcalloc(columns * rows, sizeof(char *)) };
}

void grid_clear(struct grid *g)
{
	for (size_t i = 0; i < g->columns * g->rows; i++)
		free(g->cells[i]);
	free(g->headings);
	free(g->right);
	free(g->cells);
	*g = (struct grid){ 0 };
}

void grid_put(struct grid *g, size_t row, size_t column, char *text)
{
	free(g->cells[row * g->columns + column]);
	g->cells[row * g->columns + column] = text;
}

static const char *cell(const struct grid *g, size_t row, size_t column)
{
	return g->cells[row * g->columns + column];
}

void grid_drop_empty(struct grid *g)
{
	struct grid kept = grid_new(g->columns, g->rows);
	_cleanup_free_ size_t *from = xcalloc(g->columns, sizeof(*from));

	kept.columns = 0;
	for (size_t c = 0; c < g->columns; c++) {
		bool any = false;

		for (size_t r = 0; r < g->rows; r++)
			any |= cell(g, r, c) != NULL;
		if (!any)
			continue;
		kept.headings[kept.columns] = g->headings[c];
		kept.right[kept.columns] = g->right[c];
		from[kept.columns++] = c;
	}
	for (size_t r = 0; r < g->rows; r++)
		for (size_t c = 0; c < kept.columns; c++) {
			kept.cells[r * kept.columns + c] = g->cells[r * g->columns + from[c]];
			g->cells[r * g->columns + from[c]] = NULL;
		}
	grid_clear(g);
	*g = kept;
}

/* Row 0 is that of the headings. */
static const char *shown(const struct grid *g, size_t row, size_t column)
{
	const char *text = row ? cell(g, row - 1, column) : g->headings[column];

	return text ? text : "-";
}

static size_t width_of(const struct grid *g, size_t column)
{
	size_t width = 0;

	for (size_t r = 0; r <= g->rows; r++)
		width = MAX(width, text_width(shown(g, r, column)));
	return width;
}

void grid_text(const struct grid *g, FILE *out)
{
	_cleanup_free_ size_t *width = xcalloc(g->columns, sizeof(*width));

	for (size_t c = 0; c < g->columns; c++)
		width[c] = width_of(g, c);
	for (size_t r = 0; r <= g->rows; r++)
		for (size_t c = 0; c < g->columns; c++) {
			const char *text = shown(g, r, c);
			bool last = c + 1 == g->columns;
			int fill = (int)(width[c] - text_width(text));

			if (g->right[c])
				fprintf(out, "%*s%s", fill, "", text);
			else
				fprintf(out, "%s%*s", text, last ? 0 : fill, "");
			fputs(last ? "\n" : "  ", out);
		}
}

void grid_markdown(const struct grid *g, FILE *out)
{
	for (size_t r = 0; r <= g->rows; r++) {
		fputc('|', out);
		for (size_t c = 0; c < g->columns; c++)
			fprintf(out, " %s |", shown(g, r, c));
		fputs(r ? "\n" : "\n|", out);
		for (size_t c = 0; !r && c < g->columns; c++)
			fputs(g->right[c] ? " ---: |" : " --- |", out);
		if (!r)
			fputc('\n', out);
	}
}
