/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "compare/trend_plot.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "model/stats.h"
#include "report/gnuplot.h"
#include "report/plot_text.h"

#define TREND_SEED 1UL
/* The size of figures in report/plot.c: one column of a paper. */
#define WIDTH_PT 252.0
#define HEIGHT_PT 180.0
#define MOST_LABELS 8
#define MOST_TICKS 5
#define LABEL_CHARS 14
#define TITLE_CHARS 44

/* To nine digits: what arithmetic leaves beyond them has ranks, too, and would be a change of level. */
static double without_rounding(double v)
{
	char text[32];

	snprintf(text, sizeof(text), "%.9g", v);
	return strtod(text, NULL);
}

void figure_trend_of(const struct history_list *l, enum figure f, struct figure_trend *ret)
{
	*ret = (struct figure_trend){ .figure = f,
				      .runs = xcalloc(l->count + 1, sizeof(struct history_run *)),
				      .values = xcalloc(l->count + 1, sizeof(double)) };
	for (size_t i = 0; i < l->count; i++) {
		if (isnan(l->items[i].figures[f]))
			continue;
		ret->runs[ret->n] = &l->items[i];
		ret->values[ret->n++] = without_rounding(l->items[i].figures[f]);
	}
	ret->n_changes = change_points(ret->values, ret->n, CHANGEPOINT_ALPHA, TREND_SEED, &ret->changes);
}

void figure_trend_clear(struct figure_trend *t)
{
	free(t->runs);
	free(t->values);
	free(t->changes);
	*t = (struct figure_trend){ 0 };
}

/* trend.dat: number of the run, value; after a blank line, the ends of each level. */
static error *write_data(const struct figure_trend *t, const char *dir)
{
	_cleanup_free_ char *path = xasprintf("%s/trend.dat", dir);
	_cleanup_fclose_ FILE *out = fopen(path, "we");
	size_t from = 0;

	if (!out)
		return err_sys(EXIT_CANNOT, errno, "cannot write %s", path);
	for (size_t i = 0; i < t->n; i++)
		fprintf(out, "%zu %.9g\n", i + 1, t->values[i]);
	fputs("\n\n", out);
	for (size_t k = 0; k <= t->n_changes; k++) {
		size_t to = k < t->n_changes ? t->changes[k].at : t->n;
		double level = median_of(t->values + from, to - from);

		fprintf(out, "%.1f %.9g\n%.1f %.9g\n\n", (double)from + 0.5, level, (double)to + 0.5, level);
		from = to;
	}
	return ferror(out) ? err_new(EXIT_CANNOT, "cannot write %s: is there space?", path) : NULL;
}

/* Where the label of the runs changes, as many as fit. */
static void put_ticks(const struct figure_trend *t, FILE *out)
{
	size_t changes = 0, stride, seen = 0;

	for (size_t i = 0; i < t->n; i++)
		changes += !i || strcmp(t->runs[i]->label, t->runs[i - 1]->label) != 0;
	stride = MAX((changes + MOST_LABELS - 1) / MOST_LABELS, 1);
	fputs("set xtics (", out);
	for (size_t i = 0, written = 0; i < t->n; i++) {
		if (i && strcmp(t->runs[i]->label, t->runs[i - 1]->label) == 0)
			continue;
		if (seen++ % stride)
			continue;
		_cleanup_free_ char *cut = plot_cut(t->runs[i]->label, LABEL_CHARS),
				    *quoted = plot_quote(cut);
		fprintf(out, "%s%s %zu", written++ ? ", " : "", quoted, i + 1);
	}
	fputs(")\n", out);
}

/* Few, and with thousands, as in the other figures. */
static void put_values(const struct figure_trend *t, FILE *out)
{
	double low = t->values[0], high = low;

	for (size_t i = 1; i < t->n; i++) {
		low = fmin(low, t->values[i]);
		high = fmax(high, t->values[i]);
	}
	double room = (high - low) * 0.08;
	if (!(room > 0))
		return; /* all equal: gnuplot chooses a range around them */
	_cleanup_free_ char *ticks = plot_ticks(low - room, high + room, MOST_TICKS);
	fprintf(out, "set ytics (%s)\n", ticks);
}

struct drawing {
	const struct figure_trend *t;
	const char *title;
};

static error *write_trend(const void *user, const char *ending, const char *dir)
{
	const struct drawing *d = user;
	const struct figure_info *f = &figure_table[d->t->figure];
	_cleanup_free_ char *path = xasprintf("%s/figure.gp", dir), *style = NULL, *layout = NULL;
	error *e = write_data(d->t, dir);

	if (e || (e = gnuplot_script("style.gp", &style)) || (e = gnuplot_script("trend.gp", &layout)))
		return e;
	_cleanup_fclose_ FILE *out = fopen(path, "we");
	if (!out)
		return err_sys(EXIT_CANNOT, errno, "cannot write %s", path);
	_cleanup_free_ char *axis = xasprintf("%s (%s)", f->label, f->unit), *quoted_axis = plot_quote(axis);
	_cleanup_free_ char *cut = plot_cut(d->title, TITLE_CHARS), *quoted = plot_quote(cut);
	gnuplot_terminal(out, ending, WIDTH_PT, HEIGHT_PT);
	fprintf(out,
		"width_pt = %g\nheight_pt = %g\nfigure_title = %s\ny_label = %s\nn_values = %zu\nn_changes = %zu\n",
		WIDTH_PT, HEIGHT_PT, quoted, quoted_axis, d->t->n, d->t->n_changes);
	for (size_t i = 0; i < d->t->n_changes; i++)
		fprintf(out, "change%zu = %g\n", i + 1, (double)d->t->changes[i].at + 0.5);
	gnuplot_load(out, style);
	put_ticks(d->t, out);
	put_values(d->t, out);
	gnuplot_load(out, layout);
	return ferror(out) ? err_new(EXIT_CANNOT, "cannot write %s: is there space?", path) : NULL;
}

error *figure_trend_plot(const struct figure_trend *t, const char *title, const char *out_path)
{
	error *e = gnuplot_check_path(out_path);

	if (e)
		return e;
	if (!t->n)
		return err_new(EXIT_BAD_INPUT, "no run of this series has the figure %s",
			       figure_table[t->figure].name);
	return gnuplot_draw(out_path, write_trend, &(struct drawing){ t, title });
}
