/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "advise/advice_plot.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "advise/steps.h"
#include "base/text.h"
#include "record/metric.h"
#include "report/gnuplot.h"
#include "report/plot_text.h"

/* One column of a paper wide, as every figure of this program. */
#define WIDTH_PT 252.0
#define BODY_PT 150.0
#define LINE_CHARS 62
#define TITLE_CHARS 52
#define CURVE_POINTS 200
#define X_TICKS 5
/* Room beyond the last thing shown. */
#define MARGIN 1.04
#define HEAD_ROOM 1.15

struct picture {
	struct run_record *r;
	const struct advice *a;
	const struct metric_advice *m;
	const char *column;
	bool residuals;
	double x_max, y_min, y_max;
};

static const struct metric_advice *choose(const struct advice *a)
{
	for (size_t i = 0; i < RESOURCE_COUNT; i++)
		if (str_eq(a->binding, a->metrics[i].name))
			return &a->metrics[i];
	for (size_t i = 0; i < RESOURCE_COUNT; i++)
		if (str_eq(a->runner_up, a->metrics[i].name))
			return &a->metrics[i];
	return &a->metrics[RESOURCE_RAM];
}

static double value(const struct picture *p, size_t row, const char *ending)
{
	_cleanup_free_ char *name = xasprintf("%s_%s", p->column, ending);

	return csv_cell(p->r->intervals, row, name) * p->m->scale;
}

static double threshold(const struct picture *p)
{
	return p->a->threshold_pct - p->a->reserve_pct;
}

static void find_ranges(struct picture *p)
{
	double top = isfinite(p->a->upper) ? p->a->upper : p->a->measured_to;

	/* an interval without much of an end must not squeeze the data into a corner */
	p->x_max = fmax(p->a->measured_to, fmin(top, ADVICE_REACH * p->a->measured_to)) * MARGIN;
	p->x_max = p->x_max > 0 ? p->x_max : 1;
	double most = 2 * p->m->trend.shape.scatter, high = threshold(p) * HEAD_ROOM;

	for (size_t i = 0; i < p->r->intervals->rows; i++)
		high = fmax(high, value(p, i, "mean") * HEAD_ROOM);
	/* the whole host, unless all that is shown lies in its lowest part */
	double step = plot_tick_step(high, 5);
	p->y_max = high < 50 ? ceil(high / step) * step : 100;
	if (!p->residuals)
		return;
	for (size_t i = 0; i < p->r->intervals->rows; i++) {
		double off = fabs(value(p, i, "mean") -
				  trend_at(&p->m->trend, csv_cell(p->r->intervals, i, "vm_count")));

		most = isfinite(off) ? fmax(most, off) : most;
	}
	p->x_max = p->a->measured_to > 0 ? p->a->measured_to * MARGIN : 1;
	p->y_max = most > 0 ? most * 1.15 : 1;
	p->y_min = -p->y_max;
}

static FILE *create(const char *dir, const char *name)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, name);

	return fopen(path, "we");
}

static error *finish(FILE *out, const char *name)
{
	bool bad = !out || ferror(out);

	if (out)
		bad |= fclose(out) != 0;
	return bad ? err_new(EXIT_CANNOT, "cannot write %s for the figure: is there space?", name) : NULL;
}

/* points.dat: VM count, value (or what the fit leaves of it), standard deviation */
static error *write_points(const struct picture *p, const char *dir)
{
	FILE *out = create(dir, "points.dat");

	for (size_t i = 0; out && i < p->r->intervals->rows; i++) {
		double x = csv_cell(p->r->intervals, i, "vm_count"), y = value(p, i, "mean");
		double sd = value(p, i, "sd");

		if (p->residuals)
			y -= trend_at(&p->m->trend, x);
		if (isfinite(y))
			fprintf(out, "%.10g %.10g %.10g\n", x, y, isfinite(sd) && !p->residuals ? sd : 0);
	}
	return finish(out, "points.dat");
}

/* model.dat: VM count, fitted value, lower and upper end of the prediction; NaN outside of 0 to 100 % */
static error *write_model(const struct picture *p, const char *dir)
{
	FILE *out = create(dir, "model.dat");
	const struct segmented_fit *f = &p->m->trend.shape;

	for (int i = 0; out && i <= CURVE_POINTS; i++) {
		double x = p->x_max * i / CURVE_POINTS, y = trend_at(&p->m->trend, x);
		double half = f->has_tail && !isfinite(f->level) ? trend_half_width(&p->m->trend, x)
								 : 2 * f->scatter;

		if (p->m->trend.shape.shape == SHAPE_KNEE && x < f->knee)
			half = 2 * f->scatter;
		if (isfinite(y) && y <= 100)
			fprintf(out, "%.10g %.10g %.10g %.10g\n", x, y, fmax(y - half, 0),
				fmin(y + half, 100));
	}
	if (out && !f->has_tail)
		fputs("0 NaN NaN NaN\n", out);
	return finish(out, "model.dat");
}

static char *title_of(const struct picture *p)
{
	const struct advice *a = p->a;
	_cleanup_free_ char *who = advice_spoken(a, a->binding), *vms = text_thousands(a->vms, 0);

	if (p->residuals)
		return xasprintf("%s: what the %s fit leaves", p->m->label,
				 shape_names[p->m->trend.shape.shape]);
	if (!a->ok || !isfinite(a->vms))
		return xasprintf("%s: no number of VMs can be told yet", p->m->label);
	if (str_starts(a->binding, "limit:"))
		return xasprintf("%s VMs, then %s", vms, who);
	return xasprintf("%s at %g %% with %s%s VMs", who, threshold(p), a->measured ? "" : "about ", vms);
}

/* The words above; returns the height of the figure in points. */
static double put_words(const struct picture *p, FILE *out)
{
	struct strlist parts = { 0 }, lines = { 0 };
	struct run_record *const one[] = { p->r };
	_cleanup_free_ char *title = title_of(p), *cut = plot_cut(title, TITLE_CHARS);

	gnuplot_string(out, "figure_title", cut);
	plot_subtitle(one, 1, &parts);
	plot_wrap(&parts, LINE_CHARS, &lines);
	fprintf(out, "n_lines = %zu\narray line[%zu]\n", lines.count, lines.count ? lines.count : 1);
	for (size_t i = 0; i < lines.count; i++) {
		_cleanup_free_ char *name = xasprintf("line[%zu]", i + 1);

		gnuplot_string(out, name, lines.items[i]);
	}
	double above = 15 + 9.5 * (double)lines.count + 13, below = 31 + 9.5 + 3;
	double height = above + BODY_PT + below;
	fprintf(out, "width_pt = %g\nheight_pt = %g\nabove_pt = %g\nbelow_pt = %g\naxis_pt = 31\n", WIDTH_PT,
		height, above, below);
	fputs("title_pt = 15\nsmall_pt = 9.5\n", out);
	strlist_clear(&parts);
	strlist_clear(&lines);
	return height;
}

static void put_marks(const struct picture *p, FILE *out)
{
	const struct advice *a = p->a;
	_cleanup_free_ char *safe = text_thousands(a->safe, 0);
	_cleanup_free_ char *words = xasprintf("plan with %s", safe);
	bool marked = a->ok && isfinite(a->safe) && a->safe <= p->x_max && !p->residuals;

	fprintf(out, "residuals = %d\nthreshold = %.10g\nscatter = %.10g\nmeasured_to = %.10g\n",
		p->residuals, threshold(p), p->m->trend.shape.scatter, a->measured_to);
	fprintf(out, "has_safe = %d\nsafe = %.10g\nlower = %.10g\nupper = %.10g\nvms = %.10g\n", marked,
		marked ? a->safe : 0, marked ? a->lower : 0, marked ? fmin(a->upper, p->x_max) : 0,
		marked ? a->vms : 0);
	gnuplot_string(out, "safe_words", words);
}

static error *write_picture(const void *user, const char *ending, const char *dir)
{
	const struct picture *p = user;
	_cleanup_free_ char *style = NULL, *layout = NULL, *x = NULL, *y = NULL, *label = NULL;
	error *e = gnuplot_script("style.gp", &style);

	if (e || (e = gnuplot_script("advice.gp", &layout)) || (e = write_points(p, dir)) ||
	    (e = write_model(p, dir)))
		return e;
	FILE *out = create(dir, "figure.gp");
	if (!out)
		return err_sys(EXIT_CANNOT, errno, "cannot write a figure's script below %s", dir);
	double height = put_words(p, out);
	gnuplot_terminal(out, ending, WIDTH_PT, height);
	put_marks(p, out);
	x = plot_ticks(0, p->x_max, X_TICKS);
	y = plot_ticks(p->y_min, p->y_max, 5);
	label = xasprintf("%s%s", p->m->label,
			  p->residuals ? " less its fit (% of the host)" : " (% of the host)");
	fprintf(out, "x_max = %.10g\ny_min = %.10g\ny_max = %.10g\nset xtics (%s)\nset ytics (%s)\n",
		p->x_max, p->y_min, p->y_max, x, y);
	gnuplot_string(out, "y_label", label);
	gnuplot_load(out, style);
	gnuplot_load(out, layout);
	return finish(out, "figure.gp");
}

error *advice_plot(struct run_record *r, const struct advice *a, bool residuals, const char *out_path)
{
	struct picture p = { .r = r, .a = a, .m = choose(a), .residuals = residuals };
	error *e = gnuplot_check_path(out_path);

	if (e)
		return e;
	p.column = resource_column(p.m - a->metrics);
	if (!p.m->present)
		return err_new(EXIT_BAD_INPUT, "%s: no interval has a value of %s: there is nothing to draw",
			       r->dir, p.m->label);
	find_ranges(&p);
	return gnuplot_draw(out_path, write_picture, &p);
}
