/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The table of a matrix: its rows from run folders, and how they are shown. */
#include "matrix/table.h"

#include <math.h>
#include <string.h>

#include "base/table.h"
#include "base/text.h"
#include "model/stats.h"
#include "record/interval.h"

const struct matrix_column matrix_numbers[NUMBER_COUNT] = {
#define NUMBER_ROW(sym, name, head, spread, meaning) \
	[NUMBER_##sym] = { name, head, meaning, spread, name "_min", name "_max" },
	MATRIX_NUMBERS(NUMBER_ROW)
#undef NUMBER_ROW
};
const struct matrix_column matrix_texts[TEXT_COUNT] = {
#define TEXT_ROW(sym, name, head, meaning) [TEXT_##sym] = { name, head, meaning, false, NULL, NULL },
	MATRIX_TEXTS(TEXT_ROW)
#undef TEXT_ROW
};

size_t matrix_records(const struct matrix *m, size_t cell, struct run_record ***ret, char **ret_note)
{
	struct run_record **records = xcalloc(m->rounds, sizeof(void *));
	size_t n = 0;

	*ret_note = NULL;
	for (unsigned r = 0; r < m->rounds; r++) {
		const struct cell_run *run = matrix_run_at(m, r, cell);

		if (!cell_measured(run->state) || !run->dir)
			continue;
		_cleanup_free_ char *dir = xasprintf("%s/%s", m->dir, run->dir);
		error *e = run_record_load(dir, &records[n]);
		if (!e) {
			n++;
			continue;
		}
		free(*ret_note);
		*ret_note = xstrdup(e->msg);
		err_free(e);
	}
	*ret = records;
	return n;
}

void matrix_records_free(struct run_record **records, size_t n)
{
	for (size_t i = 0; i < n; i++)
		run_record_free(records[i]);
	free(records);
}

static double last_cell(const struct run_record *r, const char *column)
{
	return r->intervals->rows ? csv_cell(r->intervals, r->intervals->rows - 1, column) : (double)NAN;
}

/* The guests whose timer is known to tick or to be stopped; of others nothing is said. */
static double sleeps(const struct run_record *r)
{
	const char *guest = run_str(r, "guest.name");

	if (!guest)
		return (double)NAN;
	return str_eq(guest, "sleep") ? 1 : str_eq(guest, "idle") ? 0 : (double)NAN;
}

static double under_kvm(const struct run_record *r)
{
	const char *accel = run_str(r, "backend.accel");

	if (!accel)
		return (double)NAN;
	return str_eq(accel, "kvm") ? 1 : str_eq(accel, "tcg") ? 0 : (double)NAN;
}

/* By the name of the program; where a matrix asked the program itself, that is put over it. */
static double bits_of(const struct run_record *r)
{
	const char *binary = run_str(r, "backend.binary");
	const char *base = binary && strrchr(binary, '/') ? strrchr(binary, '/') + 1 : binary;

	if (!base)
		return (double)NAN;
	return strstr(base, "x86_64") ? 64 : strstr(base, "i386") ? 32 : (double)NAN;
}

static double launch_rate(const struct run_record *r)
{
	double seconds = 0;

	for (size_t i = 0; i < r->intervals->rows; i++) {
		double s = csv_cell(r->intervals, i, interval_extra_columns[EXTRA_LAUNCH_S]);

		seconds += isfinite(s) && csv_cell(r->intervals, i, "vm_count") > 0 ? s : 0;
	}
	return seconds > 0 ? last_cell(r, "vm_count") / seconds : (double)NAN;
}

static double number_of(const struct run_record *r, enum matrix_number k)
{
	switch (k) {
	case NUMBER_SLEEP:
		return sleeps(r);
	case NUMBER_KVM:
		return under_kvm(r);
	case NUMBER_ARCH:
		return bits_of(r);
	case NUMBER_MVMS:
		return last_cell(r, "vm_count");
	case NUMBER_CPU:
		return last_cell(r, metric_table[METRIC_CPU].mean);
	case NUMBER_RAM:
		return last_cell(r, metric_table[METRIC_RAM].mean);
	case NUMBER_SWAP:
		return last_cell(r, metric_table[METRIC_SWAP].mean);
	case NUMBER_SIZE:
		return last_cell(r, interval_extra_columns[EXTRA_MEM_PER_VM]);
	case NUMBER_MINUTES:
		return run_num(r, "elapsed_s") / 60;
	case NUMBER_BOOT:
		return launch_rate(r);
	case NUMBER_GUESTS:
		return last_cell(r, metric_table[METRIC_CPU_GUESTS].mean);
	case NUMBER_ROUNDS:
	case NUMBER_COUNT:
		break;
	}
	return (double)NAN;
}

/* "threshold: ram", "limit: pid_max", "max" */
static char *stop_of(const struct run_record *r)
{
	const char *kind = run_str(r, "stop.kind"), *limit = run_str(r, "stop.limit");
	const char *what = limit ? limit : run_str(r, "stop.metric");

	if (!kind)
		return NULL;
	return what ? xasprintf("%s: %s", kind, what) : xstrdup(kind);
}

#define BETWEEN " / "

/* Whether a value is one of those in "a / b", whole: "max" is not in "limit: pid_max". */
static bool is_in(const char *text, const char *value)
{
	size_t n = strlen(value), gap = strlen(BETWEEN);

	for (const char *at = text; (at = strstr(at, value)); at++) {
		bool begins =
			at == text || ((size_t)(at - text) >= gap && strncmp(at - gap, BETWEEN, gap) == 0);

		if (begins && (!at[n] || str_starts(at + n, BETWEEN)))
			return true;
	}
	return false;
}

/* Adds a value to "a / b" if it is not yet in it. */
static void add_distinct(char **text, const char *value)
{
	if (!value || !*value || (*text && is_in(*text, value)))
		return;
	char *both = *text ? xasprintf("%s" BETWEEN "%s", *text, value) : xstrdup(value);

	free(*text);
	*text = both;
}

static void empty_row(struct matrix_row *row)
{
	*row = (struct matrix_row){ 0 };
	for (int k = 0; k < NUMBER_COUNT; k++)
		row->median[k] = row->min[k] = row->max[k] = (double)NAN;
}

void matrix_row_of(struct run_record *const *records, size_t n, struct matrix_row *ret)
{
	_cleanup_free_ double *values = xcalloc(n, sizeof(*values));

	empty_row(ret);
	for (int k = 0; k < NUMBER_COUNT; k++) {
		size_t have = 0;

		for (size_t i = 0; i < n; i++) {
			double v = number_of(records[i], (enum matrix_number)k);

			if (isfinite(v))
				values[have++] = v;
		}
		ret->median[k] = quantile(values, have, 0.5);
		ret->min[k] = quantile(values, have, 0);
		ret->max[k] = quantile(values, have, 1);
	}
	ret->median[NUMBER_ROUNDS] = (double)n;
	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *stop = stop_of(records[i]);

		add_distinct(&ret->text[TEXT_PRESET], run_str(records[i], "preset"));
		add_distinct(&ret->text[TEXT_PROFILE], run_str(records[i], "profile"));
		add_distinct(&ret->text[TEXT_LAUNCH], run_str(records[i], "launch.mode"));
		if (run_has_preset(records[i]))
			add_distinct(&ret->text[TEXT_QEMU], run_str(records[i], "backend.version"));
		add_distinct(&ret->text[TEXT_STOP], stop);
	}
}

/* Where nothing was measured the wish stands in the row, so that one sees what is missing. */
static void fill_wishes(const struct matrix *m, size_t cell, struct matrix_row *row)
{
	const struct matrix_cell *c = &m->cells.items[cell];
	static const struct {
		enum matrix_text text;
		enum matrix_key key;
	} wishes[] = { { TEXT_PRESET, KEY_PRESET }, { TEXT_PROFILE, KEY_PROFILE } };
	const char *target = m->plans[cell].target;

	for (size_t i = 0; i < ARRAY_LEN(wishes); i++)
		if (!row->text[wishes[i].text] && c->value[wishes[i].key])
			row->text[wishes[i].text] = xstrdup(c->value[wishes[i].key]);
	if (c->value[KEY_GOVERNOR])
		row->text[TEXT_GOVERNOR] = xstrdup(c->value[KEY_GOVERNOR]);
	if (!target)
		target = c->value[KEY_ARCH];
	if (target && (str_eq(target, "i386") || str_eq(target, "x86_64")))
		row->median[NUMBER_ARCH] = str_eq(target, "i386") ? 32 : 64;
	if (isnan(row->median[NUMBER_KVM]) && c->value[KEY_ACCEL] && !str_eq(c->value[KEY_ACCEL], "auto"))
		row->median[NUMBER_KVM] = str_eq(c->value[KEY_ACCEL], "kvm");
	if (isnan(row->median[NUMBER_SLEEP]) && c->value[KEY_PROFILE]) {
		const char *p = c->value[KEY_PROFILE];

		row->median[NUMBER_SLEEP] = str_eq(p, "sleep") ? 1 : str_eq(p, "idle") ? 0 : (double)NAN;
	}
}

/* The state of a cell is that of its worst round. */
static void fill_state(const struct matrix *m, size_t cell, struct matrix_row *row, char *note)
{
	static const int badness[] = {
		[CELL_DONE] = 0,	[CELL_UNTRUSTED] = 1, [CELL_PENDING] = 2, [CELL_RUNNING] = 3,
		[CELL_INTERRUPTED] = 4, [CELL_CANNOT] = 5,    [CELL_FAILED] = 6,
	};
	enum cell_state state = CELL_DONE;

	for (unsigned r = 0; r < m->rounds; r++) {
		const struct cell_run *run = matrix_run_at(m, r, cell);

		if (badness[run->state] > badness[state])
			state = run->state;
		add_distinct(&row->text[TEXT_NOTE], run->error);
	}
	row->text[TEXT_STATE] = xstrdup(cell_state_names[state]);
	add_distinct(&row->text[TEXT_NOTE], note);
	free(note);
}

static char *host_line(const json_t *h)
{
	const char *cpu = json_string_value(json_object_get(h, "cpu"));
	const char *kernel = json_string_value(json_object_get(h, "kernel"));
	double cores = json_number_value(json_object_get(h, "cores"));
	double ram = json_number_value(json_object_get(h, "ram_kb")) / 1048576;
	double swap = json_number_value(json_object_get(h, "swap_kb")) / 1048576;
	_cleanup_free_ char *swapped = swap > 0 ? xasprintf("%.1f GiB swap", swap) : xstrdup("no swap");

	return xasprintf("%s, %.0f %s, %.1f GiB RAM, %s, Linux %s", cpu && *cpu ? cpu : "unknown CPU", cores,
			 cores == 1 ? "core" : "cores", ram, swapped, kernel ? kernel : "?");
}

void matrix_table_read(const struct matrix *m, struct matrix_table *ret)
{
	const char *summary = m->spec->value[KEY_SUMMARY];

	*ret = (struct matrix_table){ .name = xstrdup(m->spec->name),
				      .title = xstrdup(summary ? summary : "") };
	ret->host = host_line(m->host);
	ret->rows = xcalloc(m->cells.count, sizeof(*ret->rows));
	for (size_t i = 0; i < m->cells.count; i++) {
		struct matrix_row *row = &ret->rows[ret->count++];
		struct run_record **records;
		char *note;
		size_t n = matrix_records(m, i, &records, &note);

		matrix_row_of(records, n, row);
		matrix_records_free(records, n);
		row->text[TEXT_CELL] = xstrdup(m->cells.items[i].label);
		row->text[TEXT_SOURCE] = xstrdup("here");
		fill_wishes(m, i, row);
		fill_state(m, i, row, note);
	}
}

error *matrix_table_add_beside(struct matrix_table *t, const struct csv *csv, const char *label)
{
	if (csv_column(csv, matrix_numbers[NUMBER_MVMS].name) < 0)
		return err_new(
			EXIT_BAD_INPUT,
			"%s: line 1: no column '%s': the columns of such a table are sleep, kvm, arch_bits, mvms, cpu_pct, ram_pct, swap_pct, size_kb, minutes",
			label, matrix_numbers[NUMBER_MVMS].name);
	t->rows = xrealloc(t->rows, t->count + csv->rows, sizeof(*t->rows));
	for (size_t i = 0; i < csv->rows; i++) {
		struct matrix_row *row = &t->rows[t->count++];

		empty_row(row);
		for (int k = 0; k < NUMBER_COUNT; k++)
			row->median[k] = csv_cell(csv, i, matrix_numbers[k].name);
		row->text[TEXT_CELL] = xasprintf("%s row %zu", label, i + 1);
		row->text[TEXT_SOURCE] = xstrdup(label);
	}
	return NULL;
}

void matrix_table_clear(struct matrix_table *t)
{
	for (size_t i = 0; i < t->count; i++)
		for (int k = 0; k < TEXT_COUNT; k++)
			free(t->rows[i].text[k]);
	free(t->rows);
	free(t->name);
	free(t->title);
	free(t->host);
	*t = (struct matrix_table){ 0 };
}

/* A column of either kind. */
struct shown {
	bool text;
	int k; /* enum matrix_text or enum matrix_number */
};

/* What people read: these columns, in this order; one that is empty in all rows is left out. */
static const struct shown shown[] = {
	{ true, TEXT_CELL },	  { false, NUMBER_SLEEP },   { false, NUMBER_KVM },  { false, NUMBER_ARCH },
	{ false, NUMBER_MVMS },	  { false, NUMBER_CPU },     { false, NUMBER_RAM },  { false, NUMBER_SWAP },
	{ false, NUMBER_SIZE },	  { false, NUMBER_MINUTES }, { false, NUMBER_BOOT }, { false, NUMBER_GUESTS },
	{ false, NUMBER_ROUNDS }, { true, TEXT_PRESET },     { true, TEXT_LAUNCH },  { true, TEXT_QEMU },
	{ true, TEXT_GOVERNOR },  { true, TEXT_STOP },	     { true, TEXT_STATE },
};

/* Three significant digits are what a measurement carries; counts are whole. */
static int decimals_of(double v, enum matrix_number k)
{
	double size = fabs(v);

	if (k == NUMBER_MVMS || k == NUMBER_ROUNDS || k == NUMBER_ARCH || size == floor(size) || size >= 100)
		return 0;
	if (size < 0.01)
		return MIN((int)ceil(-log10(size)), 9);
	return size >= 10 ? 1 : 2;
}

static char *number_text(double v, enum matrix_number k)
{
	if (!isfinite(v))
		return NULL;
	if (k == NUMBER_SLEEP || k == NUMBER_KVM)
		return xstrdup(v != 0 ? "on" : "off");
	return xasprintf("%.*f", decimals_of(v, k), v);
}

/* A cell of the table for people; with rounds, half the distance between the least and the greatest, to as
   many places. */
static char *shown_text(const struct matrix_row *row, struct shown column)
{
	if (column.text)
		return row->text[column.k] ? xstrdup(row->text[column.k]) : NULL;
	enum matrix_number k = (enum matrix_number)column.k;
	char *text = number_text(row->median[k], k);
	if (!matrix_numbers[k].spread || !(row->median[NUMBER_ROUNDS] > 1) || !(row->max[k] > row->min[k]))
		return text;
	_cleanup_free_ char *median = text;
	double half = (row->max[k] - row->min[k]) / 2;
	int places = decimals_of(row->median[k], k);
	places = places || half >= 1 ? places : 1;
	return xasprintf("%s ±%.*f", median, places, half);
}

static bool is_empty(const struct matrix_table *t, struct shown column)
{
	for (size_t i = 0; i < t->count; i++)
		if (column.text ? t->rows[i].text[column.k] != NULL : isfinite(t->rows[i].median[column.k]))
			return false;
	return true;
}

/* One round, done everywhere, needs no column to say so. */
static bool says_nothing(const struct matrix_table *t, struct shown column)
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

static size_t choose_columns(const struct matrix_table *t, struct shown *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(shown); i++)
		if (!is_empty(t, shown[i]) && !says_nothing(t, shown[i]))
			ret[n++] = shown[i];
	return n;
}

static const char *head_of(struct shown column)
{
	return column.text ? matrix_texts[column.k].head : matrix_numbers[column.k].head;
}

/* The rows as people read them. */
static struct table shown_table(const struct matrix_table *t)
{
	struct table_column columns[ARRAY_LEN(shown)];
	struct shown chosen[ARRAY_LEN(shown)];
	size_t n = choose_columns(t, chosen);

	for (size_t c = 0; c < n; c++)
		columns[c] = (struct table_column){ .heading = head_of(chosen[c]),
						    .align = chosen[c].text ? TABLE_LEFT : TABLE_RIGHT };
	struct table g = table_new(columns, n);
	for (size_t i = 0; i < t->count; i++) {
		table_add(&g);
		for (size_t c = 0; c < n; c++)
			table_set_text(&g, c, shown_text(&t->rows[i], chosen[c]));
	}
	return g;
}

/* As all CSV of this program: no quotes, so no commas within. */
static char *unquoted(const char *text)
{
	char *plain = table_escape(text, TABLE_TEXT);

	for (char *c = plain; *c; c++)
		*c = *c == ',' ? ';' : *c == '"' ? '\'' : *c;
	return plain;
}

/* The rows as programs read them: all columns, and the spreads behind them. */
static struct table whole_table(const struct matrix_table *t, enum table_format f)
{
	struct table_column columns[3 * NUMBER_COUNT + TEXT_COUNT];
	size_t n = 0;

	for (int k = 0; k < NUMBER_COUNT; k++)
		columns[n++] =
			(struct table_column){ .name = matrix_numbers[k].name, .number = true, .digits = -1 };
	for (int k = 0; k < TEXT_COUNT; k++)
		columns[n++] = (struct table_column){ .name = matrix_texts[k].name };
	for (int k = 0; k < NUMBER_COUNT; k++)
		if (matrix_numbers[k].spread) {
			columns[n++] = (struct table_column){ .name = matrix_numbers[k].min,
							      .number = true,
							      .digits = -1 };
			columns[n++] = (struct table_column){ .name = matrix_numbers[k].max,
							      .number = true,
							      .digits = -1 };
		}
	struct table g = table_new(columns, n);
	for (size_t i = 0; i < t->count; i++) {
		const struct matrix_row *row = &t->rows[i];
		size_t c = 0;

		table_add(&g);
		for (int k = 0; k < NUMBER_COUNT; k++)
			table_set_number(&g, c++, row->median[k]);
		for (int k = 0; k < TEXT_COUNT; k++, c++)
			if (row->text[k])
				table_set_text(&g, c,
					       f == TABLE_CSV ? unquoted(row->text[k])
							      : xstrdup(row->text[k]));
		for (int k = 0; k < NUMBER_COUNT; k++)
			if (matrix_numbers[k].spread) {
				table_set_number(&g, c++, row->min[k]);
				table_set_number(&g, c++, row->max[k]);
			}
	}
	return g;
}

/* Returns how many there are. */
static size_t put_notes(FILE *out, const struct matrix_table *t, enum table_format f, const char *before)
{
	size_t n = 0;

	for (size_t i = 0; i < t->count; i++) {
		const struct matrix_row *row = &t->rows[i];

		if (!row->text[TEXT_NOTE])
			continue;
		n++;
		_cleanup_free_ char *cell = table_escape(row->text[TEXT_CELL], f);
		_cleanup_free_ char *note = table_escape(row->text[TEXT_NOTE], f);
		fprintf(out, "%s%s: %s: %s\n", before, cell, row->text[TEXT_STATE], note);
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

static void put_json(FILE *out, const struct matrix_table *t, const struct table *rows)
{
	json_t *j = json_pack("{s:i,s:s,s:s,s:s,s:o}", "format", MATRIX_FORMAT, "matrix", t->name, "title",
			      t->title, "host", t->host, "rows", table_json(rows));

	json_dumpf(j, out, JSON_INDENT(2) | JSON_REAL_PRECISION(8));
	fputc('\n', out);
	json_decref(j);
}

/* For people: the name and the host above, notes and the meaning of the columns below. */
static void put_shown(FILE *out, const struct matrix_table *t, const struct table *rows, enum table_format f)
{
	_cleanup_free_ char *name = table_escape(t->name, f), *title = table_escape(t->title, f);
	_cleanup_free_ char *host = table_escape(t->host, f);
	const char *strong = f == TABLE_MARKDOWN ? "**" : "";

	fprintf(out, "%s%s%s%s%s\n%s\n\n", strong, name, strong, *title ? ": " : "", title, host);
	table_write(rows, f, out);
	fputc('\n', out);
	if (put_notes(out, t, f, f == TABLE_MARKDOWN ? "- " : "") && f == TABLE_MARKDOWN)
		fputc('\n', out);
	put_legend(out, "");
}

/* What is no part of the table stands in comments. */
static void put_latex(FILE *out, const struct matrix_table *t, const struct table *rows)
{
	fprintf(out, "%% %s%s%s\n%% %s\n", t->name, *t->title ? ": " : "", t->title, t->host);
	put_notes(out, t, TABLE_TEXT, "% ");
	put_legend(out, "% ");
	table_write(rows, TABLE_LATEX, out);
}

char *matrix_table_render(const struct matrix_table *t, enum table_format f)
{
	struct textbuf buf;
	FILE *out = textbuf_open(&buf);

	struct table rows = f == TABLE_CSV || f == TABLE_JSON ? whole_table(t, f) : shown_table(t);
	if (f == TABLE_CSV)
		table_write(&rows, f, out);
	else if (f == TABLE_JSON)
		put_json(out, t, &rows);
	else if (f == TABLE_LATEX)
		put_latex(out, t, &rows);
	else
		put_shown(out, t, &rows, f);
	table_clear(&rows);
	return textbuf_close(&buf);
}
