/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "record/read.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"
#include "base/util.h"
#include "record/resource.h"
#include "record/write.h"

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

	double n = json_is_number(v) ? json_number_value(v) : (double)NAN;

	return fabs(n) <= RUN_VALUE_MAX ? n : (double)NAN;
}

bool run_is_synthetic(const struct run_record *r)
{
	const char *backend = run_str(r, "backend.name");

	return backend && str_eq(backend, "null");
}

bool run_has_preset(const struct run_record *r)
{
	const char *preset = run_str(r, "preset");

	return preset && *preset && !str_eq(preset, "none");
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
	_cleanup_free_ char *path = xasprintf("%s/run.json", r->dir), *text = NULL;
	size_t len = 0;

	if (access(r->dir, F_OK) != 0)
		return err_new(EXIT_BAD_INPUT, "no folder %s: give a folder that 'mvmscale run' wrote",
			       r->dir);
	if (access(path, F_OK) != 0)
		return err_new(
			EXIT_BAD_INPUT,
			"%s has no run.json, so nothing says what was measured: give a folder that 'mvmscale run' wrote",
			r->dir);
	error *e = fs_read_regular(path, &text, &len);
	return e ? e : run_meta_parse(r, text, len, path);
}

error *run_meta_parse(struct run_record *r, const char *text, size_t len, const char *path)
{
	json_error_t je;

	r->meta = json_loadb(text, len, 0, &je);
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

static error *check_columns(const struct csv *t, const char *what)
{
	for (size_t i = 0; i < ARRAY_LEN(required); i++)
		if (csv_column(t, required[i]) < 0)
			return err_new(
				EXIT_BAD_INPUT,
				"%s: line 1: no column '%s': restore the file from a copy or run again", what,
				required[i]);
	return NULL;
}

/* What no host shows, so that the row it stands in is damaged; NULL when all is possible. */
static char *cell_fault(const char *column, double v, bool share)
{
	if (share && (v < -RUN_SHARE_SLACK || v > 100 + RUN_SHARE_SLACK))
		return xasprintf("has %s %.6g: a share of the host is 0 to 100", column, v);
	return fabs(v) > RUN_VALUE_MAX ? xasprintf("has %s %.3g: no host has that much", column, v) : NULL;
}

/* why[row] becomes what is wrong with the row by itself. */
static void find_faults(const struct csv *t, bool synthetic, char **why)
{
	_cleanup_free_ bool *share = xcalloc(t->columns, sizeof(*share));
	int count = csv_column(t, "vm_count");

	for (size_t c = 0; c < t->columns; c++)
		share[c] = !synthetic && resource_of_column(t->names[c]) != RESOURCE_COUNT;
	for (size_t i = 0; i < t->rows; i++) {
		const double *row = t->cells + i * t->columns;

		if (!(row[count] >= 0))
			why[i] = xstrdup("has a vm_count that is not a number of VMs");
		else if (row[count] > RUN_VMS_MAX)
			why[i] = xasprintf("has a vm_count of %.3g: no host runs so many", row[count]);
		for (size_t c = 0; c < t->columns && !why[i]; c++)
			why[i] = cell_fault(t->names[c], row[c], share[c]);
	}
}

/* The longest series of keys that do not fall: keep[i] says whether key i is in it. NAN is in none. */
static void longest_rise(const double *keys, size_t n, bool *keep)
{
	/* ends[k]: of the series of k + 1 keys the one with the smallest end (C. Schensted, Canad. J. Math.
	 * 13 (1961) 179); before[i]: the key before key i in its series */
	_cleanup_free_ size_t *ends = xcalloc(n, sizeof(*ends)), *before = xcalloc(n, sizeof(*before));
	size_t length = 0;

	for (size_t i = 0; i < n; i++) {
		size_t low = 0, high = length;

		keep[i] = false;
		if (isnan(keys[i]))
			continue;
		while (low < high) {
			size_t mid = (low + high) / 2;

			if (keys[ends[mid]] <= keys[i])
				low = mid + 1;
			else
				high = mid;
		}
		before[i] = low ? ends[low - 1] : n;
		ends[low] = i;
		length = MAX(length, low + 1);
	}
	for (size_t i = length ? ends[length - 1] : n; i < n; i = before[i])
		keep[i] = true;
}

/*
 * A ramp only grows: fewer VMs than in a row before are those that died or did not answer, as `died` and
 * `unproven` say, and the same number once more stands only at its end (the last step found no room). What
 * does not fit is left out, as few rows as can be.
 */
static void find_disorder(const struct csv *t, char **why)
{
	_cleanup_free_ double *keys = xcalloc(t->rows, sizeof(*keys));
	_cleanup_free_ bool *keep = xcalloc(t->rows, sizeof(*keep));
	int count = csv_column(t, "vm_count"), died = csv_column(t, "died");
	int unproven = csv_column(t, "unproven");
	size_t last = SIZE_MAX;

	for (size_t i = 0; i < t->rows; i++) {
		const double *row = t->cells + i * t->columns;
		double lost = died >= 0 ? row[died] : 0;

		double silent = unproven >= 0 ? row[unproven] : 0;

		keys[i] =
			why[i] ? (double)NAN : row[count] + (lost > 0 ? lost : 0) + (silent > 0 ? silent : 0);
	}
	longest_rise(keys, t->rows, keep);
	for (size_t i = 0; i < t->rows; i++) {
		if (why[i])
			continue;
		double vms = t->cells[i * t->columns + (size_t)count];
		if (!keep[i])
			why[i] = xasprintf("has a vm_count of %.0f, out of order", vms);
		else if (last != SIZE_MAX && keys[i] == keys[last] && i + 1 < t->rows &&
			 vms == t->cells[last * t->columns + (size_t)count])
			why[i] = xasprintf("has a vm_count of %.0f, as line %zu has", vms,
					   t->lines ? t->lines[last] : last + 2);
		else
			last = i;
	}
}

/* Whether VMs may have been lost in a run whose intervals do not count them. */
static bool may_shrink(const struct run_record *r)
{
	_cleanup_free_ char *hosts = xasprintf("%s/hosts.csv", r->dir);

	return run_num(r, "vms.died") > 0 || access(hosts, F_OK) == 0;
}

/* Leaves out the rows that cannot be; the note says which. */
static void clean(struct run_record *r, struct csv *t, const char *file)
{
	_cleanup_free_ char **why = xcalloc(t->rows, sizeof(*why));
	bool ordered = str_eq(file, "intervals.csv") && (csv_column(t, "died") >= 0 || !may_shrink(r));
	size_t rows = t->rows;

	find_faults(t, run_is_synthetic(r), why);
	if (ordered)
		find_disorder(t, why);
	csv_drop(t, why);
	for (size_t i = 0; i < rows; i++)
		free(why[i]);
	if (!t->n_dropped)
		return;
	_cleanup_free_ char *list = xstrdup(""), *more = NULL;
	for (size_t i = 0; i < t->dropped.count; i++) {
		char *longer = xasprintf("%s%s%s", list, i ? "; " : "", t->dropped.items[i]);

		free(list);
		list = longer;
	}
	if (t->n_dropped > t->dropped.count)
		more = xasprintf("; and %zu more", t->n_dropped - t->dropped.count);
	_cleanup_free_ char *text = xasprintf("%s: %zu damaged row%s left out: %s%s", file, t->n_dropped,
					      t->n_dropped == 1 ? " is" : "s are", list, more ? more : "");
	add_note(r, text);
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
		return err_new(
			EXIT_INCONCLUSIVE,
			"%s: no sample was taken of a population at rest: the run ended too early; run again",
			what);
	error *e = check_columns(t, what);
	*ret = e ? NULL : STEAL(t);
	return e;
}

/* What is left of a table without what cannot be; none of it where there is no row. */
static error *take_rows(struct run_record *r, struct csv *t, const char *file, const char *path)
{
	if (!t->rows && !t->n_dropped)
		return NULL;
	if (csv_column(t, "vm_count") < 0)
		return err_new(EXIT_BAD_INPUT,
			       "%s: line 1: no column 'vm_count': restore the file from a copy or run again",
			       path);
	clean(r, t, file);
	r->rows_lost |= t->n_dropped || t->truncated;
	if (t->truncated) {
		_cleanup_free_ char *text = xasprintf("the last line of %s was cut and is left out", file);

		add_note(r, text);
	}
	return NULL;
}

error *run_rows_parse(struct run_record *r, const char *text, size_t len, const char *file, struct csv **ret)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", r->dir, file);
	_cleanup_(csv_freep) struct csv *t = NULL;
	error *e = csv_parse_good(text, len, path, &t);

	if (!e)
		e = take_rows(r, t, file, path);
	if (!e && t->rows)
		*ret = STEAL(t);
	return e;
}

/* *ret stays NULL where the file is missing or holds no row: a harness killed early leaves it so. */
static error *load_rows(struct run_record *r, const char *file, struct csv **ret)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", r->dir, file);
	_cleanup_(csv_freep) struct csv *t = NULL;

	if (access(path, F_OK) != 0)
		return NULL;
	error *e = csv_load(path, &t);
	if (e)
		return err_wrap(e, "damaged: restore the file from a copy or run again");
	if ((e = take_rows(r, t, file, path)))
		return e;
	if (t->rows)
		*ret = STEAL(t);
	return NULL;
}

static error *load_intervals(struct run_record *r)
{
	_cleanup_free_ char *samples = xasprintf("%s/samples.csv", r->dir);
	_cleanup_free_ char *intervals = xasprintf("%s/intervals.csv", r->dir);
	_cleanup_(csv_freep) struct csv *t = NULL;
	error *e = load_rows(r, "intervals.csv", &r->intervals);

	if (e)
		return e;
	if (r->intervals)
		return check_columns(r->intervals, intervals);
	if ((e = load_rows(r, "samples.csv", &t)))
		return e;
	if (!t)
		return err_new(
			EXIT_INCONCLUSIVE,
			"%s: neither intervals.csv nor samples.csv holds a usable row%s%s: run again, and let it get past its first measurement",
			r->dir, r->note ? ": " : "", r->note ? r->note : "");
	add_note(
		r,
		"intervals.csv holds no usable row: intervals were derived from samples.csv, one per VM count");
	return run_intervals_from_samples(t, samples, &r->intervals);
}

error *run_record_load(const char *dir, struct run_record **ret)
{
	_cleanup_(run_record_freep) struct run_record *r = xcalloc(1, sizeof(*r));

	r->dir = xstrdup(dir);
	for (size_t n = strlen(r->dir); n > 1 && r->dir[n - 1] == '/'; n--)
		r->dir[n - 1] = '\0';
	error *e = load_meta(r);
	if (e || (e = load_intervals(r)))
		return e;
	*ret = STEAL(r);
	return NULL;
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
