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

static double parse_cell(const char *field)
{
	char *end;
	double v = strtod(field, &end);

	return end == field || *end ? (double)NAN : v;
}

static void take_header(struct csv *t, char *line)
{
	t->columns = count_fields(line);
	t->names = xcalloc(t->columns, sizeof(*t->names));
	for (size_t i = 0; i < t->columns; i++)
		t->names[i] = xstrdup(take_field(&line));
}

static void take_row(struct csv *t, char *line, bool words)
{
	size_t first = t->rows * t->columns;

	t->cells = xrealloc(t->cells, first + t->columns, sizeof(*t->cells));
	if (words)
		t->words = xrealloc(t->words, first + t->columns, sizeof(*t->words));
	for (size_t i = 0; i < t->columns; i++) {
		const char *field = take_field(&line);

		t->cells[first + i] = parse_cell(field);
		if (words)
			t->words[first + i] = xstrdup(field);
	}
	t->rows++;
}

static error *parse(const char *text, const char *what, bool words, struct csv **ret)
{
	_cleanup_free_ char *copy = xstrdup(text);
	_cleanup_(csv_freep) struct csv *t = xcalloc(1, sizeof(*t));
	char *rest = copy + (strncmp(copy, BOM, strlen(BOM)) == 0 ? strlen(BOM) : 0);
	size_t line_no = 0;

	while (*rest) {
		char *end = strchr(rest, '\n');
		char *line = rest;
		bool cut = !end;

		rest = end ? end + 1 : rest + strlen(rest);
		if (end)
			*end = '\0';
		size_t len = strlen(line);
		if (len && line[len - 1] == '\r')
			line[len - 1] = '\0';
		line_no++;
		if (!t->names && cut)
			return err_new(EXIT_BAD_INPUT, "%s: the header line is cut off", what);
		if (cut) {
			t->truncated = true;
			break;
		}
		if (!t->names)
			take_header(t, line);
		else if (count_fields(line) != t->columns)
			return err_new(EXIT_BAD_INPUT, "%s: line %zu has %zu fields, the header has %zu",
				       what, line_no, count_fields(line), t->columns);
		else
			take_row(t, line, words);
	}
	if (!t->names)
		return err_new(EXIT_BAD_INPUT, "%s: the file is empty", what);
	*ret = STEAL(t);
	return NULL;
}

error *csv_parse(const char *text, const char *what, struct csv **ret)
{
	return parse(text, what, false, ret);
}

error *csv_parse_words(const char *text, const char *what, struct csv **ret)
{
	return parse(text, what, true, ret);
}

error *csv_load(const char *path, struct csv **ret)
{
	_cleanup_free_ char *text = NULL;
	error *e = fs_read(path, &text, NULL);

	return e ? e : csv_parse(text, path, ret);
}

error *csv_load_whole(const char *path, struct csv **ret)
{
	_cleanup_free_ char *text = NULL, *ended = NULL;
	size_t len = 0;
	error *e = fs_read(path, &text, &len);

	if (e)
		return e;
	ended = xasprintf("%s%s", text, len && text[len - 1] != '\n' ? "\n" : "");
	return csv_parse(ended, path, ret);
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
	free(t->names);
	free(t->words);
	free(t->cells);
	free(t);
}
