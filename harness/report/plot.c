/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "report/plot.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/fs.h"
#include "base/util.h"
#include "record/interval.h"
#include "record/nodes.h"
#include "record/resource.h"
#include "report/gnuplot.h"
#include "report/plot_text.h"

/*
 * The figure is one column of a paper wide (3.5 in) and all sizes are points of that
 * size: 8 pt text, 7 pt small text. Screen formats are the same figure enlarged.
 */
#define WIDTH_PT 252.0
#define BODY_PT 150.0
#define TITLE_PT 15.0
#define SMALL_PT 9.5
#define AXIS_PT 31.0
/* Left of the axis: room for the axis' name, and for the numbers at 8 pt; this holds five characters. */
#define LEFT_PT 36.0
#define LEFT_NAME_PT 19.0
#define DIGIT_PT 4.9
#define LINE_CHARS 62
#define NAME_CHARS 32
#define TITLE_CHARS 44
#define AXIS_CHARS 26
#define X_TICKS 5
#define Y_TICKS 6
#define MAX_SERIES 4
#define LABEL_STEPS 16 /* points looked at between two intervals */

struct series {
	char *column, *label; /* intervals.csv column without _mean, and its name in the legend */
};

struct figure {
	struct run_record *const *runs;
	size_t n;
	struct series series[MAX_SERIES];
	size_t n_series;
	const char *what; /* several series of one kind: what they are */
	const char *unit;
	const char *meaning; /* of a column that has no label, or NULL */
	double divide;	     /* values are divided by this to be in unit */
	bool percent;	     /* the standard figure: 0-100 % with the threshold */
	double x_max, y_min, y_max;
};

static double value(const struct figure *f, size_t run, size_t row, size_t s, bool sd)
{
	const struct csv *t = f->runs[run]->intervals;
	_cleanup_free_ char *mean = xasprintf("%s_%s", f->series[s].column, sd ? "sd" : "mean");

	/* Columns such as boot_p50_ms stand for themselves. */
	if (csv_column(t, mean) < 0)
		return sd ? 0 : csv_cell(t, row, f->series[s].column) / f->divide;
	double v = csv_cell(t, row, mean) / f->divide;
	return sd && !isfinite(v) ? 0 : v;
}

/* Swap of a host without any is always 0 and would only hide in the axis. */
static bool shown(const struct figure *f, size_t run, size_t s)
{
	return !f->percent || strcmp(f->series[s].column, resource_column(RESOURCE_SWAP)) != 0 ||
	       run_num(f->runs[run], resources[RESOURCE_SWAP].size) != 0;
}

static bool has_values(const struct figure *f, size_t run, size_t s)
{
	for (size_t i = 0; i < f->runs[run]->intervals->rows; i++)
		if (isfinite(value(f, run, i, s, false)))
			return true;
	return false;
}

static void add_series(struct figure *f, const char *column, const char *label)
{
	f->series[f->n_series++] = (struct series){ xstrdup(column), xstrdup(label) };
}

static void find_ranges(struct figure *f)
{
	double lowest = INFINITY, highest = -INFINITY;

	for (size_t r = 0; r < f->n; r++) {
		f->x_max = fmax(f->x_max, run_measured_to(f->runs[r]));
		for (size_t i = 0; i < f->runs[r]->intervals->rows; i++) {
			for (size_t s = 0; s < f->n_series; s++) {
				double v = value(f, r, i, s, false), sd = value(f, r, i, s, true);

				if (!isfinite(v))
					continue;
				lowest = fmin(lowest, v - sd);
				highest = fmax(highest, v + sd);
			}
		}
	}
	f->x_max = f->x_max > 0 ? f->x_max : 1;
	if (f->percent) {
		f->y_max = 100;
		return;
	}
	double step = plot_tick_step(highest - lowest, Y_TICKS);
	f->y_min = lowest >= 0 && lowest < highest / 2 ? 0 : floor(lowest / step) * step;
	step = plot_tick_step(highest - f->y_min, Y_TICKS);
	f->y_max = ceil(highest / step) * step;
	if (!(f->y_max > f->y_min))
		f->y_max = f->y_min + step;
}

/* Units by the ending of a column, for those that the metric table does not know. */
static const char *unit_of_column(const char *name)
{
	static const char *const endings[][2] = {
		{ "_ms", "ms" },
		{ "_us", "us" },
		{ "_kb", "kB" },
		{ "_pct", "%" },
		{ "_s", "s" },
		{ "_per_s", "1/s" },
		{ "_ms_per_vm", "ms per VM" },
	};
	const char *unit = "";
	size_t best = 0;

	for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
		size_t n = strlen(endings[i][0]), len = strlen(name);

		if (n > best && len > n && strcmp(name + len - n, endings[i][0]) == 0) {
			unit = endings[i][1];
			best = n;
		}
	}
	return unit;
}

static void scale_unit(struct figure *f)
{
	find_ranges(f);
	if (strcmp(f->unit, "kB") == 0 && f->y_max >= 4 * 1048576.0) {
		f->unit = "GiB";
		f->divide = 1048576;
	} else if (strcmp(f->unit, "kB") == 0 && f->y_max >= 4 * 1024.0) {
		f->unit = "MiB";
		f->divide = 1024;
	}
	find_ranges(f);
}

static error *choose_metric(struct figure *f, const char *metric)
{
	int m = metric_by_name(metric);

	if (m < 0 && csv_column(f->runs[0]->intervals, metric) < 0)
		return err_new(EXIT_BAD_INPUT, "no metric '%s': 'mvmscale list metrics' names them all",
			       metric);
	f->unit = m >= 0 ? metric_table[m].unit : unit_of_column(metric);
	for (int k = 0; k < EXTRA_COUNT; k++)
		if (str_eq(metric, interval_extra_columns[k]))
			f->meaning = interval_extra_meanings[k];
	add_series(f, metric, m >= 0 ? metric_table[m].label : metric);
	for (size_t r = 0; r < f->n; r++)
		if (!has_values(f, r, 0))
			return err_new(
				EXIT_BAD_INPUT,
				"%s: no interval has a value of '%s': leave this run out or plot another metric",
				f->runs[r]->dir, metric);
	scale_unit(f);
	return NULL;
}

static void drop_last_series(struct figure *f)
{
	f->n_series--;
	free(f->series[f->n_series].column);
	free(f->series[f->n_series].label);
}

static error *choose_nodes(struct figure *f)
{
	for (int node = 0;; node++) {
		_cleanup_free_ char *column = xasprintf("node%d_%s", node, node_column_names[NODE_USED]);
		_cleanup_free_ char *label = xasprintf("node %d", node);

		if (csv_column(f->runs[0]->intervals, column) < 0)
			break;
		if (f->n_series == MAX_SERIES)
			return err_new(EXIT_BAD_INPUT,
				       "a figure shows at most %d memory nodes: plot one with --metric %s",
				       MAX_SERIES, column);
		add_series(f, column, label);
	}
	for (size_t r = 0; r < f->n; r++)
		if (!f->n_series || !has_values(f, r, 0))
			return err_new(
				EXIT_BAD_INPUT,
				"%s: it has no memory of nodes: the kernel did not tell, or an older mvmscale made the run",
				f->runs[r]->dir);
	f->what = f->n_series > 1 ? "memory used per node" : "memory used on node 0";
	f->unit = "kB";
	scale_unit(f);
	return NULL;
}

static error *choose_standard(struct figure *f)
{
	bool swap = f->n == 1;

	f->percent = true;
	f->unit = "%";
	for (int i = 0; i < RESOURCE_COUNT; i++)
		add_series(f, resource_column(i), resource_label(i));
	for (size_t r = 0; r < f->n; r++) {
		bool any = false;

		for (size_t s = 0; s < f->n_series; s++)
			any |= has_values(f, r, s);
		if (!any)
			return err_new(
				EXIT_INCONCLUSIVE,
				"%s: no interval has a value of CPU, RAM or swap: there is nothing to draw; leave this run out",
				f->runs[r]->dir);
		swap |= shown(f, r, f->n_series - 1);
	}
	if (!swap)
		drop_last_series(f); /* the subtitle says that there was none */
	/* of guests with a waveform; several runs have no room for it */
	if (f->n == 1) {
		add_series(f, metric_table[METRIC_CPU_PREDICTED].column, "predicted");
		if (!has_values(f, 0, f->n_series - 1))
			drop_last_series(f);
	}
	find_ranges(f);
	return NULL;
}

/* x, then mean and sd of each series; an empty line where the ramp starts again (a repeat). */
static error *write_data(const struct figure *f, size_t run, const char *dir)
{
	_cleanup_free_ char *path = xasprintf("%s/run%zu.dat", dir, run + 1);
	_cleanup_fclose_ FILE *out = fopen(path, "we");
	double last = -1;

	if (!out)
		return err_sys(EXIT_CANNOT, errno, "cannot write %s", path);
	for (size_t i = 0; i < f->runs[run]->intervals->rows; i++) {
		double x = csv_cell(f->runs[run]->intervals, i, "vm_count");

		fprintf(out, "%s%.10g", x < last ? "\n" : "", x);
		last = x;
		for (size_t s = 0; s < f->n_series; s++) {
			double v = shown(f, run, s) ? value(f, run, i, s, false) : (double)NAN;

			if (isfinite(v))
				fprintf(out, " %.10g %.10g", v, value(f, run, i, s, true));
			else
				fputs(" NaN NaN", out);
		}
		fputc('\n', out);
	}
	return ferror(out) ? err_new(EXIT_CANNOT, "cannot write %s: is there space?", path) : NULL;
}

/* Whether a curve passes the box from x0 to x1 (shares of the axis) just above a threshold. */
static bool crosses_label(const struct figure *f, double x0, double x1, double threshold)
{
	for (size_t r = 0; r < f->n; r++) {
		const struct csv *t = f->runs[r]->intervals;

		for (size_t k = 0; k + 1 < t->rows * LABEL_STEPS; k++) {
			size_t i = k / LABEL_STEPS, next = MIN(i + 1, t->rows - 1);
			double part = (double)(k % LABEL_STEPS) / LABEL_STEPS;
			double x = csv_cell(t, i, "vm_count") * (1 - part) +
				   csv_cell(t, next, "vm_count") * part;

			if (x < x0 * f->x_max || x > x1 * f->x_max)
				continue;
			for (size_t s = 0; s < f->n_series; s++) {
				double y = value(f, r, i, s, false) * (1 - part) +
					   value(f, r, next, s, false) * part;

				if (shown(f, r, s) && y > threshold - 1 && y < threshold + 9)
					return true;
			}
		}
	}
	return false;
}

/* The left end of a threshold's label, where no curve runs through it if there is such a place. */
static double label_place(const struct figure *f, double threshold)
{
	static const double places[] = { 0.02, 0.36, 0.68, 0.2, 0.5 };

	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		if (!crosses_label(f, places[i] - 0.02, places[i] + 0.32, threshold))
			return places[i];
	return places[0];
}

static void put_thresholds(const struct figure *f, FILE *out)
{
	size_t count = 0;

	for (size_t r = 0; r < f->n && f->percent; r++) {
		double t = run_num(f->runs[r], "threshold_pct");
		bool seen = !(t > 0);

		for (size_t i = 0; i < r; i++)
			seen |= run_num(f->runs[i], "threshold_pct") == t;
		if (seen)
			continue;
		count++;
		fprintf(out, "threshold%zu = %.10g\nlabel_at%zu = %g\n", count, t, count, label_place(f, t));
	}
	fprintf(out, "n_thresholds = %zu\n", count);
}

static void put_names(const struct figure *f, FILE *out)
{
	fprintf(out, "n_runs = %zu\nn_series = %zu\n", f->n, f->n_series);
	fprintf(out, "array run_name[%zu]\narray series_name[%zu]\narray shown[%zu]\n", f->n, f->n_series,
		f->n * f->n_series);
	for (size_t r = 0; r < f->n; r++) {
		_cleanup_free_ char *label = plot_run_name(f->runs, f->n, r),
				    *cut = plot_cut(label, NAME_CHARS);
		_cleanup_free_ char *name = xasprintf("run_name[%zu]", r + 1);

		gnuplot_string(out, name, cut);
		for (size_t s = 0; s < f->n_series; s++)
			fprintf(out, "shown[%zu] = %d\n", r * f->n_series + s + 1, shown(f, r, s));
	}
	for (size_t s = 0; s < f->n_series; s++) {
		_cleanup_free_ char *name = xasprintf("series_name[%zu]", s + 1);

		gnuplot_string(out, name, f->series[s].label);
	}
}

/* The words above the figure; returns the height of the whole figure in points. */
static double put_words(const struct figure *f, const char *title, FILE *out)
{
	struct strlist parts = { 0 }, lines = { 0 };
	_cleanup_free_ char *own = plot_title(f->runs, f->n,
					      f->what	   ? f->what
					      : f->percent ? NULL
							   : f->series[0].label);
	_cleanup_free_ char *cut = plot_cut(title ? title : own, TITLE_CHARS);

	gnuplot_string(out, "figure_title", cut);
	if (f->meaning)
		strlist_add(&lines, f->meaning);
	plot_subtitle(f->runs, f->n, &parts);
	plot_wrap(&parts, LINE_CHARS, &lines);
	fprintf(out, "n_lines = %zu\narray line[%zu]\n", lines.count, lines.count ? lines.count : 1);
	for (size_t i = 0; i < lines.count; i++) {
		_cleanup_free_ char *name = xasprintf("line[%zu]", i + 1);

		gnuplot_string(out, name, lines.items[i]);
	}
	size_t rows = f->n > 1 ? f->n + (f->n_series > 1) : f->n_series > 1 ? 1 : 0;
	double above = TITLE_PT + SMALL_PT * (double)lines.count + 13;
	double below = AXIS_PT + SMALL_PT * (double)rows + 3;
	double height = above + BODY_PT + below;
	fprintf(out, "width_pt = %g\nheight_pt = %g\nabove_pt = %g\nbelow_pt = %g\naxis_pt = %g\n", WIDTH_PT,
		height, above, below, AXIS_PT);
	fprintf(out, "title_pt = %g\nsmall_pt = %g\n", TITLE_PT, SMALL_PT);
	strlist_clear(&parts);
	strlist_clear(&lines);
	return height;
}

static void put_axes(const struct figure *f, FILE *out)
{
	_cleanup_free_ char *x = plot_ticks(0, f->x_max, X_TICKS), *y = NULL, *label = NULL;

	y = plot_ticks(f->y_min, f->y_max, f->percent ? 5 : Y_TICKS);
	fprintf(out, "x_max = %.10g\ny_min = %.10g\ny_max = %.10g\n", f->x_max, f->y_min, f->y_max);
	fprintf(out, "left_pt = %g\n", fmax(LEFT_PT, LEFT_NAME_PT + DIGIT_PT * (double)plot_ticks_width(y)));
	fprintf(out, "set xtics (%s)\nset ytics (%s)\n", x, y);
	_cleanup_free_ char *name = plot_cut(f->what ? f->what : f->series[0].label, AXIS_CHARS);
	label = f->percent ? xstrdup("share of the host (%)")
		: *f->unit ? xasprintf("%s (%s)", name, f->unit)
			   : xstrdup(name);
	gnuplot_string(out, "y_label", label);
}

static error *write_script(const struct figure *f, const char *title, const char *ending, const char *dir)
{
	_cleanup_free_ char *path = xasprintf("%s/figure.gp", dir);
	_cleanup_free_ char *style = NULL, *layout = NULL;
	error *e = gnuplot_script("style.gp", &style);

	if (e || (e = gnuplot_script("scalability.gp", &layout)))
		return e;
	_cleanup_fclose_ FILE *out = fopen(path, "we");
	if (!out)
		return err_sys(EXIT_CANNOT, errno, "cannot write %s", path);
	double height = put_words(f, title, out);
	gnuplot_terminal(out, ending, WIDTH_PT, height);
	put_names(f, out);
	put_thresholds(f, out);
	put_axes(f, out);
	gnuplot_load(out, style);
	gnuplot_load(out, layout);
	return ferror(out) ? err_new(EXIT_CANNOT, "cannot write %s: is there space?", path) : NULL;
}

/* A figure and the title it was given, if any. */
struct drawing {
	const struct figure *f;
	const char *title;
};

static error *write_drawing(const void *user, const char *ending, const char *dir)
{
	const struct drawing *d = user;
	error *e = NULL;

	for (size_t r = 0; r < d->f->n && !e; r++)
		e = write_data(d->f, r, dir);
	return e ? e : write_script(d->f, d->title, ending, dir);
}

error *plot_runs(struct run_record *const *runs, size_t n, const char *metric, const char *title,
		 const char *out_path)
{
	struct figure f = { .runs = runs, .n = n, .divide = 1 };
	error *e = NULL;

	if ((e = gnuplot_check_path(out_path)))
		return e;
	if (n == 0 || n > PLOT_MAX_RUNS)
		return err_new(EXIT_BAD_INPUT, "a figure shows 1 to %d runs, not %zu: draw several figures",
			       PLOT_MAX_RUNS, n);
	if (str_eq(metric, PLOT_NODES))
		e = choose_nodes(&f);
	else if (metric)
		e = choose_metric(&f, metric);
	else
		e = choose_standard(&f);
	if (!e)
		e = gnuplot_draw(out_path, write_drawing, &(struct drawing){ &f, title });
	for (size_t s = 0; s < f.n_series; s++) {
		free(f.series[s].column);
		free(f.series[s].label);
	}
	return e;
}
