/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "curve/runread.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"
#include "base/util.h"
#include "curve/runwrite.h"
#include "sample/metric.h"

/* What every reader of a run folder may rely on. */
static const char *const required[] = {
	"vm_count",	 "cpu_pct_mean", "cpu_pct_sd", "ram_pct_mean", "ram_pct_sd",
	"swap_pct_mean", "swap_pct_sd",	 "samples",    "settled",
};

static void add_note(struct run_record *r, const char *text)
{
	char *both = r->note ? xasprintf("%s; %s", r->note, text) : xstrdup(text);

	free(r->note);
	r->note = both;
	r->partial = true;
}

static const json_t *lookup(const struct run_record *r, const char *path)
{
	_cleanup_free_ char *copy = xstrdup(path);
	const json_t *v = r->meta;
	char *rest = copy, *key;

	while (v && (key = strsep(&rest, ".")))
		v = json_object_get(v, key);
	return v;
}

const char *run_str(const struct run_record *r, const char *path)
{
	return json_string_value(lookup(r, path));
}

double run_num(const struct run_record *r, const char *path)
{
	const json_t *v = lookup(r, path);

	return json_is_number(v) ? json_number_value(v) : (double)NAN;
}

char *run_label(const struct run_record *r)
{
	const char *name = run_str(r, "name");
	const char *const parts[] = { run_str(r, "backend.name"), run_str(r, "preset"),
				      run_str(r, "profile") };
	_cleanup_(strlist_clear) struct strlist words = { 0 };

	if (name && *name)
		return text_line(name);
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (parts[i] && *parts[i])
			strlist_add(&words, parts[i]);
	_cleanup_free_ char *label = words.count ? strlist_join(&words) : xstrdup(r->dir);
	return text_line(label);
}

double run_measured_to(const struct run_record *r)
{
	double top = 0;

	for (size_t i = 0; i < r->intervals->rows; i++)
		top = fmax(top, csv_cell(r->intervals, i, "vm_count"));
	return top;
}

static error *load_meta(struct run_record *r)
{
	_cleanup_free_ char *path = xasprintf("%s/run.json", r->dir);
	json_error_t je;

	if (access(r->dir, F_OK) != 0)
		return err_new(EXIT_BAD_INPUT, "no folder %s: give a folder that 'mvmscale run' wrote",
			       r->dir);
	if (access(path, F_OK) != 0)
		return err_new(EXIT_BAD_INPUT,
			       "%s has no run.json, so nothing says what was measured: give a folder "
			       "that 'mvmscale run' wrote",
			       r->dir);
	r->meta = json_load_file(path, 0, &je);
	if (!r->meta)
		return err_new(EXIT_BAD_INPUT,
			       "%s: line %d: %s: the file is damaged; restore it from a copy or run again",
			       path, je.line, je.text);
	if (!json_is_object(r->meta))
		return err_new(EXIT_BAD_INPUT, "%s: line 1: not a JSON object: this is no run folder", path);
	double format = run_num(r, "format");
	if (isnan(format))
		return err_new(EXIT_BAD_INPUT,
			       "%s: the key \"format\" is missing: not written by 'mvmscale run'", path);
	if (format != RUN_FORMAT)
		return err_new(EXIT_BAD_INPUT,
			       "%s: format %g, this mvmscale reads format %d: use the version that wrote it",
			       path, format, RUN_FORMAT);
	const char *state = run_str(r, "state");
	if (!state)
		return err_new(EXIT_BAD_INPUT,
			       "%s: the key \"state\" is missing: restore the file from a copy or run again",
			       path);
	if (str_eq(state, "running"))
		add_note(r, "the run has not ended (it is still running or was killed)");
	else if (!str_eq(state, "complete"))
		r->partial = true;
	return NULL;
}

static error *check_intervals(const struct csv *t, const char *what)
{
	for (size_t i = 0; i < ARRAY_LEN(required); i++)
		if (csv_column(t, required[i]) < 0)
			return err_new(
				EXIT_BAD_INPUT,
				"%s: line 1: no column '%s': restore the file from a copy or run again", what,
				required[i]);
	for (size_t i = 0; i < t->rows; i++) {
		double n = csv_cell(t, i, "vm_count");

		if (!isfinite(n) || n < 0)
			return err_new(EXIT_BAD_INPUT,
				       "%s: line %zu: vm_count is not a number of VMs: correct or remove "
				       "the line",
				       what, i + 2);
	}
	return NULL;
}

struct group {
	double vm_count;
	size_t row;
};

static int by_count(const void *a, const void *b)
{
	const struct group *x = a, *y = b;

	if (x->vm_count != y->vm_count)
		return x->vm_count < y->vm_count ? -1 : 1;
	return x->row < y->row ? -1 : x->row > y->row;
}

static bool is_measured(const char *column)
{
	size_t n = strlen(column);

	return metric_by_name(column) >= 0 || (n > 4 && strcmp(column + n - 4, "_pct") == 0) ||
	       (n > 3 && strcmp(column + n - 3, "_kb") == 0);
}

static void mean_sd(const struct csv *t, const struct group *g, size_t n, size_t column, double ret[2])
{
	double sum = 0, squares = 0;
	size_t used = 0;

	for (size_t i = 0; i < n; i++) {
		double v = t->cells[g[i].row * t->columns + column];

		if (!isfinite(v))
			continue;
		sum += v;
		used++;
	}
	ret[0] = used ? sum / (double)used : (double)NAN;
	for (size_t i = 0; i < n && used > 1; i++) {
		double v = t->cells[g[i].row * t->columns + column];

		if (isfinite(v))
			squares += (v - ret[0]) * (v - ret[0]);
	}
	ret[1] = used > 1 ? sqrt(squares / (double)(used - 1)) : (double)NAN;
}

/* vm_count, samples, settled, then mean and sd of every measured column. */
static struct csv *derived_table(const struct csv *samples, size_t **ret_source)
{
	struct csv *t = xcalloc(1, sizeof(*t));
	struct strlist names = { 0 };
	size_t *source = xcalloc(samples->columns, sizeof(*source)), n = 0;

	strlist_add(&names, "vm_count");
	strlist_add(&names, "samples");
	strlist_add(&names, "settled");
	for (size_t c = 0; c < samples->columns; c++) {
		if (!is_measured(samples->names[c]))
			continue;
		strlist_addf(&names, "%s_mean", samples->names[c]);
		strlist_addf(&names, "%s_sd", samples->names[c]);
		source[n++] = c;
	}
	t->names = names.items;
	t->columns = names.count;
	*ret_source = source;
	return t;
}

static void derive_row(struct csv *t, const struct csv *samples, const struct group *g, size_t n,
		       const size_t *source)
{
	t->cells = xrealloc(t->cells, (t->rows + 1) * t->columns, sizeof(*t->cells));
	double *row = t->cells + t->rows * t->columns;

	row[0] = g[0].vm_count;
	row[1] = (double)n;
	row[2] = (double)NAN;
	for (size_t c = 3; c < t->columns; c += 2)
		mean_sd(samples, g, n, source[(c - 3) / 2], row + c);
	t->rows++;
}

error *run_intervals_from_samples(const struct csv *samples, const char *what, struct csv **ret)
{
	_cleanup_free_ struct group *g = xcalloc(samples->rows, sizeof(*g));
	_cleanup_free_ size_t *source = NULL;
	size_t rows = 0;

	if (csv_column(samples, "vm_count") < 0)
		return err_new(EXIT_BAD_INPUT,
			       "%s: line 1: no column 'vm_count': restore the file or run again", what);
	int phase = csv_column(samples, "phase");
	for (size_t i = 0; i < samples->rows; i++) {
		double n = csv_cell(samples, i, "vm_count");

		/* While VMs start or stop a sample says nothing of a population at rest. */
		if (phase >= 0 && samples->cells[i * samples->columns + (size_t)phase] != PHASE_MEASURE)
			continue;
		if (isfinite(n) && n >= 0)
			g[rows++] = (struct group){ n, i };
	}
	qsort(g, rows, sizeof(*g), by_count);
	_cleanup_(csv_freep) struct csv *t = derived_table(samples, &source);
	for (size_t i = 0, n; i < rows; i += n) {
		for (n = 1; i + n < rows && g[i + n].vm_count == g[i].vm_count;)
			n++;
		derive_row(t, samples, g + i, n, source);
	}
	if (!t->rows)
		return err_new(EXIT_BAD_INPUT,
			       "%s: no sample was taken of a population at rest: the run ended too early; "
			       "run again",
			       what);
	error *e = check_intervals(t, what);
	if (!e)
		*ret = STEAL(t);
	return e;
}

/* Whether a file holds nothing beyond a header: a harness killed early leaves it so. */
static bool holds_rows(const char *path)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_err_ error *e = fs_read(path, &text, NULL);

	if (e)
		return access(path, F_OK) == 0; /* there but unreadable: let the reader say why */
	const char *end = strchr(text, '\n');
	return end && strchr(end + 1, '\n');
}

static error *bad_table(error *e)
{
	error *told = err_new(EXIT_BAD_INPUT, "%s: restore the file from a copy or remove that line", e->msg);

	err_free(e);
	return told;
}

static error *load_intervals(struct run_record *r)
{
	_cleanup_free_ char *intervals = xasprintf("%s/intervals.csv", r->dir);
	_cleanup_free_ char *samples = xasprintf("%s/samples.csv", r->dir);
	_cleanup_(csv_freep) struct csv *t = NULL;
	error *e;

	if (holds_rows(intervals)) {
		e = csv_load(intervals, &r->intervals);
		if (e)
			return bad_table(e);
		if (r->intervals->truncated)
			add_note(r, "the last line of intervals.csv was cut and is left out");
		return check_intervals(r->intervals, intervals);
	}
	if (!holds_rows(samples))
		return err_new(EXIT_BAD_INPUT,
			       "%s: neither intervals.csv nor samples.csv holds a row: the run ended before "
			       "its first measurement; run again",
			       r->dir);
	e = csv_load(samples, &t);
	if (e)
		return bad_table(e);
	add_note(r, "intervals.csv holds no row: intervals were derived from samples.csv, one per VM count");
	if (t->truncated)
		add_note(r, "the last line of samples.csv was cut and is left out");
	return run_intervals_from_samples(t, samples, &r->intervals);
}

error *run_record_load(const char *dir, struct run_record **ret)
{
	_cleanup_(run_record_freep) struct run_record *r = xcalloc(1, sizeof(*r));

	r->dir = xstrdup(dir);
	for (size_t n = strlen(r->dir); n > 1 && r->dir[n - 1] == '/'; n--)
		r->dir[n - 1] = '\0';
	error *e = load_meta(r);
	if (!e)
		e = load_intervals(r);
	if (!e)
		*ret = STEAL(r);
	return e;
}

void run_record_free(struct run_record *r)
{
	if (!r)
		return;
	free(r->dir);
	json_decref(r->meta);
	csv_free(r->intervals);
	free(r->note);
	free(r);
}
