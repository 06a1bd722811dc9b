/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/util.h"

/* Enough for every number that was given with fewer. */
#define JSON_DIGITS 15

const char *const table_format_endings[TABLE_FORMAT_COUNT] = { "txt", "csv", "json", "md", "tex" };

struct table table_new(const struct table_column *columns, size_t n)
{
	struct table t = { .columns = xcalloc(n, sizeof(*columns)), .width = n };

	memcpy(t.columns, columns, n * sizeof(*columns));
	return t;
}

void table_clear(struct table *t)
{
	for (size_t i = 0; i < t->width * t->rows; i++)
		free(t->cells[i]);
	free(t->cells);
	free(t->columns);
	*t = (struct table){ 0 };
}

void table_add(struct table *t)
{
	t->cells = xrealloc(t->cells, (t->rows + 1) * t->width, sizeof(*t->cells));
	memset(t->cells + t->rows++ * t->width, 0, t->width * sizeof(*t->cells));
}

void table_row(struct table *t, char *const *texts)
{
	table_add(t);
	for (size_t c = 0; c < t->width; c++)
		table_set_text(t, c, texts[c]);
}

static char **cell(const struct table *t, size_t row, size_t column)
{
	return &t->cells[row * t->width + column];
}

void table_set_text(struct table *t, size_t column, char *text)
{
	char **c = cell(t, t->rows - 1, column);

	free(*c);
	*c = text;
}

void table_set_number(struct table *t, size_t column, double v)
{
	int digits = t->columns[column].digits;

	table_set_text(t, column,
		       !isfinite(v) ? NULL
		       : digits < 0 ? xasprintf("%.8g", v)
				    : xasprintf("%.*f", digits, v));
}

void table_drop_empty(struct table *t)
{
	size_t kept = 0, to = 0;
	_cleanup_free_ bool *any = xcalloc(t->width, sizeof(*any));

	for (size_t i = 0; i < t->width * t->rows; i++)
		any[i % t->width] |= t->cells[i] != NULL;
	for (size_t i = 0; i < t->width * t->rows; i++)
		if (any[i % t->width])
			t->cells[to++] = t->cells[i];
	for (size_t c = 0; c < t->width; c++)
		if (any[c])
			t->columns[kept++] = t->columns[c];
	t->width = kept;
}

static const char *latex_of(char c)
{
	switch (c) {
	case '\\':
		return "\\textbackslash{}";
	case '~':
		return "\\textasciitilde{}";
	case '^':
		return "\\textasciicircum{}";
	case '<':
		return "\\textless{}";
	case '>':
		return "\\textgreater{}";
	case '|':
		return "\\textbar{}";
	default:
		return NULL;
	}
}

static void put_latex(FILE *out, const char *s)
{
	static const char plus_minus[] = "±";

	for (; *s; s++) {
		const char *word = latex_of(*s);

		if (str_starts(s, plus_minus)) {
			fputs("$\\pm$ ", out);
			s += sizeof(plus_minus) - 2;
		} else if (word) {
			fputs(word, out);
		} else {
			if (strchr("&%$#_{}", *s))
				fputc('\\', out);
			fputc(*s, out);
		}
	}
}

/* RFC 4180: quoted where it must be. */
static void put_csv(FILE *out, const char *s)
{
	bool quote = strpbrk(s, ",\"\r\n");

	if (quote)
		fputc('"', out);
	for (; *s; s++) {
		if (*s == '"')
			fputc('"', out);
		fputc(*s, out);
	}
	if (quote)
		fputc('"', out);
}

/* On one line, whatever is in it. */
static char *one_line(const char *text)
{
	char *line = xstrdup(text);

	for (char *c = line; (c = strpbrk(c, "\n\r\t"));)
		*c = ' ';
	return line;
}

char *table_escape(const char *text, enum table_format f)
{
	_cleanup_free_ char *line = f == TABLE_CSV ? xstrdup(text) : one_line(text);
	struct textbuf buf;

	if (f == TABLE_MARKDOWN)
		return text_markdown(line);
	if (f == TABLE_TEXT || f == TABLE_JSON)
		return STEAL(line);
	(f == TABLE_CSV ? put_csv : put_latex)(textbuf_open(&buf), line);
	return textbuf_close(&buf);
}

/* Row 0 is that of the headings, or of the names for programs. */
static char *shown(const struct table *t, size_t row, size_t column, enum table_format f)
{
	const char *unknown = f == TABLE_CSV ? "" : "-";
	const char *text = row		    ? *cell(t, row - 1, column)
			   : f == TABLE_CSV ? t->columns[column].name
					    : t->columns[column].heading;
	_cleanup_free_ char *safe = table_escape(text ? text : unknown, f);

	return f == TABLE_MARKDOWN && row && t->columns[column].strong ? xasprintf("**%s**", safe)
								       : STEAL(safe);
}

static bool has_headings(const struct table *t)
{
	bool any = false;

	for (size_t c = 0; c < t->width; c++)
		any |= t->columns[c].heading != NULL;
	return any;
}

void table_write_text(const struct table *t, const char *indent, FILE *out)
{
	_cleanup_free_ size_t *width = xcalloc(t->width, sizeof(*width));
	size_t first = !has_headings(t);

	for (size_t c = 0; c < t->width; c++) {
		width[c] = t->columns[c].width;
		for (size_t r = first; r <= t->rows; r++) {
			_cleanup_free_ char *text = shown(t, r, c, TABLE_TEXT);

			width[c] = MAX(width[c], text_width(text));
		}
	}
	for (size_t r = first; r <= t->rows; r++) {
		fputs(indent, out);
		for (size_t c = 0; c < t->width; c++) {
			_cleanup_free_ char *text = shown(t, r, c, TABLE_TEXT);
			bool last = c + 1 == t->width;
			int fill = (int)(width[c] - text_width(text));

			if (t->columns[c].align != TABLE_LEFT)
				fprintf(out, "%*s%s", fill, "", text);
			else
				fprintf(out, "%s%*s", text, last ? 0 : fill, "");
			fputs(last ? "\n" : t->columns[c + 1].close ? " " : "  ", out);
		}
	}
}

static void write_csv(const struct table *t, FILE *out)
{
	for (size_t r = 0; r <= t->rows; r++)
		for (size_t c = 0; c < t->width; c++) {
			_cleanup_free_ char *text = shown(t, r, c, TABLE_CSV);

			fprintf(out, "%s%c", text, c + 1 == t->width ? '\n' : ',');
		}
}

static void write_markdown(const struct table *t, FILE *out)
{
	static const char *const rules[] = {
		[TABLE_LEFT] = "---", [TABLE_RIGHT] = "---:", [TABLE_CENTRE] = ":---:"
	};

	for (size_t r = 0; r <= t->rows; r++) {
		fputc('|', out);
		for (size_t c = 0; c < t->width; c++) {
			_cleanup_free_ char *text = shown(t, r, c, TABLE_MARKDOWN);

			fprintf(out, " %s |", text);
		}
		fputs(r ? "\n" : "\n|", out);
		for (size_t c = 0; !r && c < t->width; c++)
			fprintf(out, " %s |", rules[t->columns[c].align]);
		if (!r)
			fputc('\n', out);
	}
}

/* A plain tabular, so that it needs no package. */
static void write_latex(const struct table *t, FILE *out)
{
	fputs("\\begin{tabular}{", out);
	for (size_t c = 0; c < t->width; c++)
		fputc("lrc"[t->columns[c].align], out);
	fputs("}\n\\hline\n", out);
	for (size_t r = 0; r <= t->rows; r++) {
		for (size_t c = 0; c < t->width; c++) {
			_cleanup_free_ char *text = shown(t, r, c, TABLE_LATEX);

			fprintf(out, "%s%s", c ? " & " : "", text);
		}
		fprintf(out, " \\\\\n%s", r ? "" : "\\hline\n");
	}
	fputs("\\hline\n\\end{tabular}\n", out);
}

json_t *table_json(const struct table *t)
{
	json_t *all = json_array();

	for (size_t r = 0; r < t->rows; r++) {
		json_t *o = json_object();

		for (size_t c = 0; c < t->width; c++) {
			const char *s = *cell(t, r, c);
			bool number = t->columns[c].number;
			json_t *v = !s ? json_null() : number ? json_real(strtod(s, NULL)) : json_string(s);

			json_object_set_new(o, t->columns[c].name, v);
		}
		json_array_append_new(all, o);
	}
	return all;
}

static void write_json(const struct table *t, FILE *out)
{
	json_t *all = table_json(t);

	json_dumpf(all, out, JSON_INDENT(2) | JSON_REAL_PRECISION(JSON_DIGITS));
	fputc('\n', out);
	json_decref(all);
}

void table_write(const struct table *t, enum table_format f, FILE *out)
{
	switch (f) {
	case TABLE_TEXT:
		table_write_text(t, "", out);
		break;
	case TABLE_CSV:
		write_csv(t, out);
		break;
	case TABLE_JSON:
		write_json(t, out);
		break;
	case TABLE_MARKDOWN:
		write_markdown(t, out);
		break;
	case TABLE_LATEX:
		write_latex(t, out);
		break;
	case TABLE_FORMAT_COUNT:
		break;
	}
}
