/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From run folders to the rows of the table. */
#include <math.h>
#include <string.h>

#include "matrix/table.h"
#include "record/interval.h"

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

static double number_of(const struct run_record *r, enum table_number k)
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
		return last_cell(r, "cpu_pct_mean");
	case NUMBER_RAM:
		return last_cell(r, "ram_pct_mean");
	case NUMBER_SWAP:
		return last_cell(r, "swap_pct_mean");
	case NUMBER_SIZE:
		return last_cell(r, interval_extra_columns[EXTRA_MEM_PER_VM]);
	case NUMBER_MINUTES:
		return run_num(r, "elapsed_s") / 60;
	case NUMBER_BOOT:
		return launch_rate(r);
	case NUMBER_GUESTS:
		return last_cell(r, "cpu_guests_pct_mean");
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

static void empty_row(struct table_row *row)
{
	*row = (struct table_row){ 0 };
	for (int k = 0; k < NUMBER_COUNT; k++)
		row->median[k] = row->min[k] = row->max[k] = (double)NAN;
}

void table_row_of(struct run_record *const *records, size_t n, struct table_row *ret)
{
	_cleanup_free_ double *values = xcalloc(n, sizeof(*values));

	empty_row(ret);
	for (int k = 0; k < NUMBER_COUNT; k++) {
		size_t have = 0;

		for (size_t i = 0; i < n; i++) {
			double v = number_of(records[i], (enum table_number)k);

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
		const char *backend = run_str(records[i], "backend.name");

		add_distinct(&ret->text[TEXT_PRESET], run_str(records[i], "preset"));
		add_distinct(&ret->text[TEXT_PROFILE], run_str(records[i], "profile"));
		add_distinct(&ret->text[TEXT_LAUNCH], run_str(records[i], "launch.mode"));
		if (str_eq(backend ? backend : "", "qemu"))
			add_distinct(&ret->text[TEXT_QEMU], run_str(records[i], "backend.version"));
		add_distinct(&ret->text[TEXT_STOP], stop);
	}
}

/* Where nothing was measured the wish stands in the row, so that one sees what is missing. */
static void fill_wishes(const struct matrix *m, size_t cell, struct table_row *row)
{
	const struct matrix_cell *c = &m->cells.items[cell];
	static const struct {
		enum table_text text;
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
static void fill_state(const struct matrix *m, size_t cell, struct table_row *row, char *note)
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

void table_of_matrix(const struct matrix *m, struct table *ret)
{
	const char *summary = m->spec->value[KEY_SUMMARY];

	*ret = (struct table){ .name = xstrdup(m->spec->name), .title = xstrdup(summary ? summary : "") };
	ret->host = host_line(m->host);
	ret->rows = xcalloc(m->cells.count, sizeof(*ret->rows));
	for (size_t i = 0; i < m->cells.count; i++) {
		struct table_row *row = &ret->rows[ret->count++];
		struct run_record **records;
		char *note;
		size_t n = matrix_records(m, i, &records, &note);

		table_row_of(records, n, row);
		matrix_records_free(records, n);
		row->text[TEXT_CELL] = xstrdup(m->cells.items[i].label);
		row->text[TEXT_SOURCE] = xstrdup("here");
		fill_wishes(m, i, row);
		fill_state(m, i, row, note);
	}
}

error *table_add_beside(struct table *t, const struct csv *csv, const char *label)
{
	if (csv_column(csv, table_numbers[NUMBER_MVMS].name) < 0)
		return err_new(
			EXIT_BAD_INPUT,
			"%s: line 1: no column '%s': the columns of such a table are sleep, kvm, arch_bits, mvms, cpu_pct, ram_pct, swap_pct, size_kb, minutes",
			label, table_numbers[NUMBER_MVMS].name);
	t->rows = xrealloc(t->rows, t->count + csv->rows, sizeof(*t->rows));
	for (size_t i = 0; i < csv->rows; i++) {
		struct table_row *row = &t->rows[t->count++];

		empty_row(row);
		for (int k = 0; k < NUMBER_COUNT; k++)
			row->median[k] = csv_cell(csv, i, table_numbers[k].name);
		row->text[TEXT_CELL] = xasprintf("%s row %zu", label, i + 1);
		row->text[TEXT_SOURCE] = xstrdup(label);
	}
	return NULL;
}

void table_clear(struct table *t)
{
	for (size_t i = 0; i < t->count; i++)
		for (int k = 0; k < TEXT_COUNT; k++)
			free(t->rows[i].text[k]);
	free(t->rows);
	free(t->name);
	free(t->title);
	free(t->host);
	*t = (struct table){ 0 };
}
