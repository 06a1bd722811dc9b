/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/csv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/util.h"

/* Spreadsheets put it before UTF-8. */
#define BOM "\xef\xbb\xbf"

/* The comma or the end behind a field. What stands in quotes is one field (RFC 4180). */
static char *field_end(char *s)
{
	bool quoted = *s == '"';

	for (s += quoted; quoted && *s; s++) {
		if (*s != '"')
			continue;
		if (s[1] != '"')
			break;
		s++;
	}
	return s + strcspn(s, ",");
}

static size_t count_fields(char *line)
{
	size_t n = 1;

	for (line = field_end(line); *line; line = field_end(line + 1))
		n++;
	return n;
}

/* Takes the next field off the line: without the quotes around it, or without the blanks. */
static char *take_field(char **line)
{
	char *field = *line, *end = field_end(field), *to = field;

	*line = *end ? end + 1 : end;
	*end = '\0';
	if (*field != '"') {
		field += strspn(field, " \t");
		for (end = field + strlen(field); end > field && strchr(" \t", end[-1]);)
			*--end = '\0';
		return field;
	}
	for (const char *from = field + 1; *from && (*from != '"' || from[1] == '"');) {
		from += *from == '"';
		*to++ = *from++;
	}
	*to = '\0';
	return field;
}

/*
 * "-12.345": most cells. Digits and power of ten are exact in a double, so their quotient is the double that
 * strtod() gives (W. D. Clinger, PLDI 1990), in a tenth of the time. False for all else.
 */
static bool parse_plain(const char *s, double *ret)
{
	static const double tens[] = { 1,   1e1, 1e2,  1e3,  1e4,  1e5,	 1e6,  1e7,
				       1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15 };
	bool minus = *s == '-', point = false;
	unsigned long long digits = 0;
	unsigned n = 0, behind = 0;

	for (s += minus; *s; s++) {
		if (*s == '.' && !point) {
			point = true;
			continue;
		}
		if (*s < '0' || *s > '9' || ++n > 15)
			return false;
		digits = digits * 10 + (unsigned)(*s - '0');
		behind += point;
	}
	*ret = (double)digits / tens[behind];
	*ret = minus ? -*ret : *ret;
	return n > 0;
}

static double parse_cell(const char *field)
{
	char *end;
	double v;

	if (parse_plain(field, &v))
		return v;
	v = strtod(field, &end);

	return end == field || *end || !isfinite(v) ? (double)NAN : v;
}

static void take_header(struct csv *t, char *line)
{
	t->columns = count_fields(line);
	t->names = xcalloc(t->columns, sizeof(*t->names));
	for (size_t i = 0; i < t->columns; i++)
		t->names[i] = xstrdup(take_field(&line));
}

/* A table while it is read. */
struct reading {
	struct csv *t;
	const char *what;
	bool words, keep_good;
	size_t room; /* rows that fit */
};

static void take_row(struct reading *r, char *line, size_t line_no)
{
	struct csv *t = r->t;
	size_t first = t->rows * t->columns;

	if (t->rows == r->room) {
		r->room = r->room ? 2 * r->room : 16;
		t->cells = xrealloc(t->cells, r->room * t->columns, sizeof(*t->cells));
		t->lines = xrealloc(t->lines, r->room, sizeof(*t->lines));
		if (r->words)
			t->words = xrealloc(t->words, r->room * t->columns, sizeof(*t->words));
	}
	t->lines[t->rows] = line_no;
	for (size_t i = 0; i < t->columns; i++) {
		const char *field = take_field(&line);

		t->cells[first + i] = parse_cell(field);
		if (r->words)
			t->words[first + i] = xstrdup(field);
	}
	t->rows++;
}

static void note_dropped(struct csv *t, size_t line_no, const char *why)
{
	if (t->n_dropped++ < CSV_DROPPED_TOLD)
		strlist_addf(&t->dropped, "line %zu %s", line_no, why);
}

/* What is wrong with a line as such; NULL when nothing is. */
static char *line_fault(const char *line, size_t len)
{
	if (len > CSV_LINE_MAX)
		return xasprintf("is longer than %lu KiB", CSV_LINE_MAX >> 10);
	return strlen(line) < len ? xstrdup("holds a zero byte, so it is no text") : NULL;
}

static error *take_line(struct reading *r, char *line, size_t len, size_t line_no)
{
	struct csv *t = r->t;
	_cleanup_free_ char *fault = line_fault(line, len);

	if (!fault && t->names && count_fields(line) != t->columns)
		fault = xasprintf("has %zu fields, the header has %zu", count_fields(line), t->columns);
	if (!fault && !t->names && count_fields(line) > CSV_COLUMNS_MAX)
		fault = xasprintf("has more than %d columns", CSV_COLUMNS_MAX);
	if (!fault && !t->names)
		take_header(t, line);
	else if (!fault)
		take_row(r, line, line_no);
	else if (!t->names || !r->keep_good)
		return err_new(EXIT_BAD_INPUT, "%s: line %zu %s", r->what, line_no, fault);
	else if (len)
		note_dropped(t, line_no, fault);
	return NULL;
}

static error *parse(const char *text, size_t size, struct reading r, struct csv **ret)
{
	_cleanup_free_ char *copy = xcalloc(size + 1, 1);
	_cleanup_(csv_freep) struct csv *t = r.t = xcalloc(1, sizeof(*t));
	size_t line_no = 0;

	memcpy(copy, text, size);
	char *rest = copy + (strncmp(copy, BOM, strlen(BOM)) == 0 ? strlen(BOM) : 0);
	while (rest < copy + size) {
		char *line = rest, *end = memchr(rest, '\n', (size_t)(copy + size - rest));

		line_no++;
		if (!end) {
			t->truncated = true;
			break;
		}
		*end = '\0';
		rest = end + 1;
		if (end > line && end[-1] == '\r')
			*--end = '\0';
		error *e = take_line(&r, line, (size_t)(end - line), line_no);
		if (e)
			return e;
	}
	if (!t->names && !r.keep_good)
		return t->truncated ? err_new(EXIT_BAD_INPUT, "%s: the header line is cut off", r.what)
				    : err_new(EXIT_BAD_INPUT, "%s: the file is empty", r.what);
	*ret = STEAL(t);
	return NULL;
}

error *csv_parse(const char *text, const char *what, struct csv **ret)
{
	return parse(text, strlen(text), (struct reading){ .what = what }, ret);
}

error *csv_parse_words(const char *text, const char *what, struct csv **ret)
{
	return parse(text, strlen(text), (struct reading){ .what = what, .words = true }, ret);
}

error *csv_parse_good(const char *text, size_t len, const char *what, struct csv **ret)
{
	return parse(text, len, (struct reading){ .what = what, .keep_good = true }, ret);
}

error *csv_load(const char *path, struct csv **ret)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	error *e = fs_read_regular(path, &text, &len);

	return e ? e : csv_parse_good(text, len, path, ret);
}

void csv_drop(struct csv *t, char *const *why)
{
	size_t kept = 0, n = t->columns;

	for (size_t i = 0; i < t->rows; i++) {
		if (why[i]) {
			note_dropped(t, t->lines ? t->lines[i] : i + 2, why[i]);
			for (size_t c = 0; t->words && c < n; c++)
				free(t->words[i * n + c]);
			continue;
		}
		memmove(t->cells + kept * n, t->cells + i * n, n * sizeof(*t->cells));
		if (t->words)
			memmove(t->words + kept * n, t->words + i * n, n * sizeof(*t->words));
		if (t->lines)
			t->lines[kept] = t->lines[i];
		kept++;
	}
	t->rows = kept;
}

error *csv_load_whole(const char *path, struct csv **ret)
{
	_cleanup_free_ char *text = NULL, *ended = NULL;
	size_t len = 0;
	error *e = fs_read(path, &text, &len);

	if (e)
		return e;
	bool open = len && text[len - 1] != '\n';
	ended = xcalloc(len + 2, 1);
	memcpy(ended, text, len);
	ended[len] = '\n';
	return parse(ended, len + open, (struct reading){ .what = path }, ret);
}

int csv_column(const struct csv *t, const char *name)
{
	for (size_t i = 0; i < t->columns; i++)
		if (strcmp(t->names[i], name) == 0)
			return (int)i;
	return -1;
}

double csv_cell(const struct csv *t, size_t row, const char *name)
{
	int c = csv_column(t, name);

	return c < 0 || row >= t->rows ? (double)NAN : t->cells[row * t->columns + (size_t)c];
}

const char *csv_word(const struct csv *t, size_t row, const char *name)
{
	int c = csv_column(t, name);

	return c < 0 || row >= t->rows || !t->words ? "" : t->words[row * t->columns + (size_t)c];
}

void csv_free(struct csv *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->columns && t->names; i++)
		free(t->names[i]);
	for (size_t i = 0; i < t->rows * t->columns && t->words; i++)
		free(t->words[i]);
	strlist_clear(&t->dropped);
	free(t->names);
	free(t->words);
	free(t->lines);
	free(t->cells);
	free(t);
}
