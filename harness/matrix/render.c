/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The table as text, CSV, JSON, Markdown and LaTeX. */
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "matrix/table.h"
#include "report/grid.h"

const struct table_column table_numbers[NUMBER_COUNT] = {
#define NUMBER_ROW(sym, name, head, spread, meaning) [NUMBER_##sym] = { name, head, meaning, spread },
	TABLE_NUMBERS(NUMBER_ROW)
#undef NUMBER_ROW
};
const struct table_column table_texts[TEXT_COUNT] = {
#define TEXT_ROW(sym, name, head, meaning) [TEXT_##sym] = { name, head, meaning, false },
	TABLE_TEXTS(TEXT_ROW)
#undef TEXT_ROW
};

const char *const table_format_names[FORMAT_COUNT] = { "text", "csv", "json", "md", "tex" };
const char *const table_format_endings[FORMAT_COUNT] = { "txt", "csv", "json", "md", "tex" };

/* A column of either kind. */
struct shown {
	bool text;
	int k; /* enum table_text or enum table_number */
};

/* What people read: these columns, in this order; one that is empty in all rows is left out. */
static const struct shown shown[] = {
	{ true, TEXT_CELL },	  { false, NUMBER_SLEEP },   { false, NUMBER_KVM },  { false, NUMBER_ARCH },
	{ false, NUMBER_MVMS },	  { false, NUMBER_CPU },     { false, NUMBER_RAM },  { false, NUMBER_SWAP },
	{ false, NUMBER_SIZE },	  { false, NUMBER_MINUTES }, { false, NUMBER_BOOT }, { false, NUMBER_GUESTS },
	{ false, NUMBER_ROUNDS }, { true, TEXT_PRESET },     { true, TEXT_LAUNCH },  { true, TEXT_QEMU },
	{ true, TEXT_GOVERNOR },  { true, TEXT_STOP },	     { true, TEXT_STATE },
};

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

static void put_escaped(FILE *out, char c, enum table_format f)
{
	static const char *const backslash[FORMAT_COUNT] = { [FORMAT_LATEX] = "&%$#_{}" };
	const char *word = f == FORMAT_LATEX ? latex_of(c) : NULL;

	if (word) {
		fputs(word, out);
		return;
	}
	if (backslash[f] && strchr(backslash[f], c))
		fputc('\\', out);
	if (c == '\n' || c == '\r' || c == '\t')
		c = ' ';
	/* as all CSV of this program: no quotes, so no commas within */
	if (f == FORMAT_CSV && c == ',')
		c = ';';
	if (f == FORMAT_CSV && c == '"')
		c = '\'';
	fputc(c, out);
}

char *table_escape(const char *text, enum table_format f)
{
	_cleanup_free_ char *got = NULL;
	size_t size;

	if (f == FORMAT_MARKDOWN)
		return text_markdown(text);
	FILE *out = open_memstream(&got, &size);
	if (!out)
		return xstrdup("");
	for (; *text; text++)
		put_escaped(out, *text, f);
	fclose(out);
	return STEAL(got);
}

/* Three significant digits are what a measurement carries; counts are whole. */
static int decimals_of(double v, enum table_number k)
{
	double size = fabs(v);

	if (k == NUMBER_MVMS || k == NUMBER_ROUNDS || k == NUMBER_ARCH || size == floor(size) || size >= 100)
		return 0;
	if (size < 0.01)
		return MIN((int)ceil(-log10(size)), 9);
	return size >= 10 ? 1 : 2;
}

static char *number_text(double v, enum table_number k)
{
	if (!isfinite(v))
		return xstrdup("-");
	if (k == NUMBER_SLEEP || k == NUMBER_KVM)
		return xstrdup(v != 0 ? "on" : "off");
	return xasprintf("%.*f", decimals_of(v, k), v);
}

/* A cell of the table for people; with rounds, half the distance between the least and the greatest, to as
   many places. */
static char *shown_text(const struct table_row *row, struct shown column, enum table_format f)
{
	if (column.text) {
		const char *text = row->text[column.k];

		return table_escape(text ? text : "-", f);
	}
	enum table_number k = (enum table_number)column.k;
	char *text = number_text(row->median[k], k);
	if (!table_numbers[k].spread || !(row->median[NUMBER_ROUNDS] > 1) || !(row->max[k] > row->min[k]))
		return text;
	_cleanup_free_ char *median = text;
	double half = (row->max[k] - row->min[k]) / 2;
	int places = decimals_of(row->median[k], k);
	places = places || half >= 1 ? places : 1;
	return xasprintf(f == FORMAT_LATEX ? "%s $\\pm$ %.*f" : "%s ±%.*f", median, places, half);
}

static bool is_empty(const struct table *t, struct shown column)
{
	for (size_t i = 0; i < t->count; i++)
		if (column.text ? t->rows[i].text[column.k] != NULL : isfinite(t->rows[i].median[column.k]))
			return false;
	return true;
}

/* One round, done everywhere, needs no column to say so. */
static bool says_nothing(const struct table *t, struct shown column)
{
	bool rounds = !column.text && column.k == NUMBER_ROUNDS,
	     states = column.text && column.k == TEXT_STATE;

	for (size_t i = 0; i < t->count; i++) {
		const char *state = t->rows[i].text[TEXT_STATE];
		bool odd = state && !str_eq(state, "done");

		if ((rounds && t->rows[i].median[NUMBER_ROUNDS] > 1) || (states && odd))
			return false;
	}
	return rounds || states;
}

static size_t choose_columns(const struct table *t, struct shown *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(shown); i++)
		if (!is_empty(t, shown[i]) && !says_nothing(t, shown[i]))
			ret[n++] = shown[i];
	return n;
}

static const char *head_of(struct shown column)
{
	return column.text ? table_texts[column.k].head : table_numbers[column.k].head;
}

/* The rows as people read them. */
static struct grid grid_of(const struct table *t, enum table_format f)
{
	struct shown columns[ARRAY_LEN(shown)];
	size_t n = choose_columns(t, columns);
	struct grid g = grid_new(n, t->count);

	for (size_t c = 0; c < n; c++) {
		g.headings[c] = head_of(columns[c]);
		g.right[c] = !columns[c].text;
		for (size_t i = 0; i < t->count; i++)
			grid_put(&g, i, c, shown_text(&t->rows[i], columns[c], f));
	}
	return g;
}

/* Returns how many there are. */
static size_t put_notes(FILE *out, const struct table *t, enum table_format f, const char *before,
			const char *after)
{
	size_t n = 0;

	for (size_t i = 0; i < t->count; i++) {
		const struct table_row *row = &t->rows[i];

		if (!row->text[TEXT_NOTE])
			continue;
		n++;
		_cleanup_free_ char *cell = table_escape(row->text[TEXT_CELL], f);
		_cleanup_free_ char *note = table_escape(row->text[TEXT_NOTE], f);
		fprintf(out, "%s%s: %s: %s%s", before, cell, row->text[TEXT_STATE], note, after);
	}
	return n;
}

/* What the columns mean, in lines that a terminal holds. */
static void put_legend(FILE *out, const char *before)
{
	static const char *const lines[] = {
		"CPU, RAM and swap: of the whole host at the last step. size: drop of MemAvailable per VM.",
		"guests: CPU of the VMs themselves. With several rounds: median, and ± half the range.",
	};

	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		fprintf(out, "%s%s\n", before, lines[i]);
}

static void put_text(FILE *out, const struct table *t)
{
	struct grid g = grid_of(t, FORMAT_TEXT);

	fprintf(out, "%s%s%s\n%s\n\n", t->name, *t->title ? ": " : "", t->title, t->host);
	grid_text(&g, out);
	grid_clear(&g);
	fputc('\n', out);
	put_notes(out, t, FORMAT_TEXT, "", "\n");
	put_legend(out, "");
}

static void put_csv(FILE *out, const struct table *t)
{
	for (int k = 0; k < NUMBER_COUNT; k++)
		fprintf(out, "%s%s", k ? "," : "", table_numbers[k].name);
	for (int k = 0; k < TEXT_COUNT; k++)
		fprintf(out, ",%s", table_texts[k].name);
	for (int k = 0; k < NUMBER_COUNT; k++)
		if (table_numbers[k].spread)
			fprintf(out, ",%s_min,%s_max", table_numbers[k].name, table_numbers[k].name);
	fputc('\n', out);
	for (size_t i = 0; i < t->count; i++) {
		const struct table_row *row = &t->rows[i];

		for (int k = 0; k < NUMBER_COUNT; k++) {
			if (k)
				fputc(',', out);
			if (isfinite(row->median[k]))
				fprintf(out, "%.8g", row->median[k]);
		}
		for (int k = 0; k < TEXT_COUNT; k++) {
			_cleanup_free_ char *text =
				table_escape(row->text[k] ? row->text[k] : "", FORMAT_CSV);

			fprintf(out, ",%s", text);
		}
		for (int k = 0; k < NUMBER_COUNT; k++) {
			if (table_numbers[k].spread && isfinite(row->min[k]))
				fprintf(out, ",%.8g,%.8g", row->min[k], row->max[k]);
			else if (table_numbers[k].spread)
				fputs(",,", out);
		}
		fputc('\n', out);
	}
}

static void set_number(json_t *o, const char *name, const char *ending, double v)
{
	_cleanup_free_ char *key = xasprintf("%s%s", name, ending);

	json_object_set_new(o, key, isfinite(v) ? json_real(v) : json_null());
}

static void put_json(FILE *out, const struct table *t)
{
	json_t *rows = json_array();

	for (size_t i = 0; i < t->count; i++) {
		const struct table_row *row = &t->rows[i];
		json_t *o = json_object();

		for (int k = 0; k < NUMBER_COUNT; k++) {
			set_number(o, table_numbers[k].name, "", row->median[k]);
			if (!table_numbers[k].spread)
				continue;
			set_number(o, table_numbers[k].name, "_min", row->min[k]);
			set_number(o, table_numbers[k].name, "_max", row->max[k]);
		}
		for (int k = 0; k < TEXT_COUNT; k++)
			json_object_set_new(o, table_texts[k].name,
					    row->text[k] ? json_string(row->text[k]) : json_null());
		json_array_append_new(rows, o);
	}
	json_t *j = json_pack("{s:i,s:s,s:s,s:s,s:o}", "format", MATRIX_FORMAT, "matrix", t->name, "title",
			      t->title, "host", t->host, "rows", rows);
	json_dumpf(j, out, JSON_INDENT(2) | JSON_REAL_PRECISION(8));
	fputc('\n', out);
	json_decref(j);
}

static void put_markdown(FILE *out, const struct table *t)
{
	struct grid g = grid_of(t, FORMAT_MARKDOWN);
	_cleanup_free_ char *name = text_markdown(t->name), *title = text_markdown(t->title);
	_cleanup_free_ char *host = text_markdown(t->host);

	fprintf(out, "**%s**%s%s\n%s\n\n", name, *title ? ": " : "", title, host);
	grid_markdown(&g, out);
	grid_clear(&g);
	fputc('\n', out);
	if (put_notes(out, t, FORMAT_MARKDOWN, "- ", "\n"))
		fputc('\n', out);
	put_legend(out, "");
}

/* A plain tabular, so that it needs no package; what is no part of the table stands in comments. */
static void put_latex(FILE *out, const struct table *t)
{
	struct shown columns[ARRAY_LEN(shown)];
	size_t n = choose_columns(t, columns);

	fprintf(out, "%% %s%s%s\n%% %s\n", t->name, *t->title ? ": " : "", t->title, t->host);
	put_notes(out, t, FORMAT_TEXT, "% ", "\n");
	put_legend(out, "% ");
	fputs("\\begin{tabular}{", out);
	for (size_t c = 0; c < n; c++)
		fputc(columns[c].text ? 'l' : 'r', out);
	fputs("}\n\\hline\n", out);
	for (size_t i = 0; i <= t->count; i++) {
		for (size_t c = 0; c < n; c++) {
			_cleanup_free_ char *text = i ? shown_text(&t->rows[i - 1], columns[c], FORMAT_LATEX)
						      : table_escape(head_of(columns[c]), FORMAT_LATEX);

			fprintf(out, "%s%s", c ? " & " : "", text);
		}
		fprintf(out, " \\\\\n%s", i ? "" : "\\hline\n");
	}
	fputs("\\hline\n\\end{tabular}\n", out);
}

char *table_render(const struct table *t, enum table_format f)
{
	static void (*const put[FORMAT_COUNT])(FILE * out, const struct table *t) = {
		[FORMAT_TEXT] = put_text,	  [FORMAT_CSV] = put_csv,     [FORMAT_JSON] = put_json,
		[FORMAT_MARKDOWN] = put_markdown, [FORMAT_LATEX] = put_latex,
	};
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return xstrdup("");
	put[f](out, t);
	fclose(out);
	return STEAL(text);
}
