/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "report/hosts_plot.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "base/util.h"
#include "record/metric.h"
#include "report/gnuplot.h"
#include "report/plot_text.h"

/* One column of a paper wide, as every figure of this program; sizes in points. */
#define WIDTH_PT 252.0
#define TITLE_PT 15.0
#define SMALL_PT 9.5
#define LEFT_PT 34.0
#define RIGHT_PT 8.0
#define TOTAL_PT 90.0 /* body of the panel of all hosts */
#define PANEL_PT 58.0
#define ABOVE_PT 23.0 /* a panel's two lines of words */
#define BELOW_PT 13.0 /* its tick labels */
#define GAP_PT 20.0
#define FOOT_PT 26.0
#define LINE_CHARS 62
#define TITLE_CHARS 44
/* More hosts than this stand three in a row. */
#define WIDE_HOSTS 4

struct picture {
	struct run_record *r;
	const struct host_curves *h;
	const char *title;
	size_t shown, in_row;
	double x_max; /* of the hosts' panels */
};

static bool has_values(const struct host_point *p)
{
	return isfinite(p->cpu) || isfinite(p->ram);
}

/* The last interval in which the host told anything; NULL when there is none. */
static const struct host_point *last_point(const struct host_curve *c)
{
	for (size_t i = c->count; i-- > 0;)
		if (has_values(&c->points[i]))
			return &c->points[i];
	return NULL;
}

static void put_value(FILE *out, double mean, double sd)
{
	if (isfinite(mean))
		fprintf(out, " %.10g %.10g", mean, isfinite(sd) ? sd : 0);
	else
		fputs(" NaN NaN", out);
}

static FILE *create_data(const char *dir, size_t index)
{
	_cleanup_free_ char *path = xasprintf("%s/host%zu.dat", dir, index);

	return fopen(path, "we");
}

static error *finish(FILE *out)
{
	bool bad = !out || ferror(out);

	if (out)
		bad |= fclose(out) != 0;
	return bad ? err_new(EXIT_CANNOT, "cannot write the figure's data: is there space?") : NULL;
}

/* host0.dat: all hosts together. VM count, then mean and sd of CPU and of RAM. */
static error *write_total(const struct picture *p, const char *dir)
{
	const struct csv *t = p->r->intervals;
	FILE *out = create_data(dir, 0);

	for (size_t i = 0; out && i < t->rows; i++) {
		fprintf(out, "%.10g", csv_cell(t, i, "vm_count"));
		put_value(out, csv_cell(t, i, metric_table[METRIC_CPU].mean),
			  csv_cell(t, i, metric_table[METRIC_CPU].sd));
		put_value(out, csv_cell(t, i, metric_table[METRIC_RAM].mean),
			  csv_cell(t, i, metric_table[METRIC_RAM].sd));
		fputc('\n', out);
	}
	return finish(out);
}

/* An empty line parts the ramps of a run with repeats. */
static error *write_host(const struct host_curve *c, size_t index, const char *dir)
{
	FILE *out = create_data(dir, index);
	double repeat = 0;

	for (size_t i = 0; out && i < c->count; i++) {
		const struct host_point *p = &c->points[i];

		if (!has_values(p))
			continue;
		fprintf(out, "%s%.10g", p->repeat > repeat ? "\n" : "", p->vms);
		repeat = fmax(repeat, p->repeat);
		put_value(out, p->cpu, p->cpu_sd);
		put_value(out, p->ram, p->ram_sd);
		fputc('\n', out);
	}
	return finish(out);
}

static char *own_title(const struct picture *p)
{
	_cleanup_free_ char *vms = text_thousands(run_measured_to(p->r), 0), *ends = NULL;
	size_t full = 0, lost = 0;

	for (size_t i = 0; i < p->h->count; i++) {
		lost += p->h->items[i].lost;
		full += p->h->items[i].full;
	}
	ends = full && lost ? xasprintf(", %zu full, %zu lost", full, lost)
	       : full	    ? xasprintf(", %zu full", full)
	       : lost	    ? xasprintf(", %zu lost", lost)
			    : xstrdup("");
	return xasprintf("%s VMs on %zu hosts%s", vms, p->h->count, ends);
}

/* The words above; returns their height in points. */
static double put_words(const struct picture *p, FILE *out)
{
	struct strlist parts = { 0 }, lines = { 0 };
	_cleanup_free_ char *own = own_title(p), *cut = plot_cut(p->title ? p->title : own, TITLE_CHARS);

	gnuplot_string(out, "figure_title", cut);
	plot_subtitle(&(struct run_record *){ p->r }, 1, &parts);
	if (p->shown < p->h->count)
		strlist_addf(&parts, "the first %zu of %zu hosts", p->shown, p->h->count);
	plot_wrap(&parts, LINE_CHARS, &lines);
	fprintf(out, "n_lines = %zu\narray line[%zu]\n", lines.count, lines.count ? lines.count : 1);
	for (size_t i = 0; i < lines.count; i++) {
		_cleanup_free_ char *name = xasprintf("line[%zu]", i + 1);

		gnuplot_string(out, name, lines.items[i]);
	}
	double height = TITLE_PT + SMALL_PT * (double)lines.count;
	strlist_clear(&parts);
	strlist_clear(&lines);
	return height;
}

/* One panel: its frame in points from the upper left corner, its words and axis. */
static void put_panel(FILE *out, size_t index, const char *name, const char *state, double left, double width,
		      double top, double height, double x_max, int ticks)
{
	_cleanup_free_ char *x = plot_ticks(0, x_max, ticks);

	gnuplot_string(out, "panel_name", name);
	gnuplot_string(out, "panel_state", state);
	fprintf(out, "panel_data = 'host%zu.dat'\nleft_pt = %g\nwide_pt = %g\ntop_pt = %g\nhigh_pt = %g\n",
		index, left, width, top, height);
	fprintf(out, "x_max = %.10g\nset xtics (%s)\n", x_max, x);
}

static void put_end(FILE *out, const struct host_curve *c, double threshold)
{
	const struct host_point *end = c && c->lost ? last_point(c) : NULL;

	fprintf(out, "threshold = %.10g\nhas_end = %d\n", threshold > 0 ? threshold : 0, end != NULL);
	if (end)
		fprintf(out, "end_x = %.10g\nend_cpu = %.10g\nend_ram = %.10g\n", end->vms,
			isfinite(end->cpu) ? end->cpu : end->ram, isfinite(end->ram) ? end->ram : end->cpu);
}

static char *state_of(const struct host_curve *c)
{
	const struct host_point *end = last_point(c);
	_cleanup_free_ char *vms = text_thousands(end ? end->vms : 0, 0);

	return xasprintf("%s%s VMs", c->lost ? "lost with " : c->full ? "full with " : "", vms);
}

static void put_panels(const struct picture *p, FILE *out, const char *panel, double top)
{
	double width = (WIDTH_PT - LEFT_PT - RIGHT_PT - GAP_PT * (double)(p->in_row - 1)) / (double)p->in_row;
	double run_threshold = run_num(p->r, "threshold_pct");

	put_panel(out, 0, "all hosts", "", LEFT_PT, WIDTH_PT - LEFT_PT - RIGHT_PT, top + ABOVE_PT, TOTAL_PT,
		  fmax(run_measured_to(p->r), 1), 5);
	put_end(out, NULL, run_threshold);
	gnuplot_load(out, panel);
	for (size_t i = 0; i < p->shown; i++) {
		const struct host_curve *c = &p->h->items[i];
		size_t column = i % p->in_row, row = i / p->in_row;
		_cleanup_free_ char *name = plot_cut(c->name, p->in_row > 2 ? 15 : 26), *state = state_of(c);

		put_panel(out, i + 1, name, state, LEFT_PT + (double)column * (width + GAP_PT), width,
			  top + 2 * ABOVE_PT + TOTAL_PT + BELOW_PT +
				  (double)row * (PANEL_PT + ABOVE_PT + BELOW_PT),
			  PANEL_PT, p->x_max, p->in_row > 2 ? 3 : 4);
		put_end(out, c, isfinite(c->threshold_pct) ? c->threshold_pct : run_threshold);
		gnuplot_load(out, panel);
	}
}

static error *write_script(const struct picture *p, const char *ending, const char *dir)
{
	_cleanup_free_ char *path = xasprintf("%s/figure.gp", dir), *style = NULL, *head = NULL,
			    *panel = NULL;
	error *e = gnuplot_script("style.gp", &style);

	if (e || (e = gnuplot_script("hosts.gp", &head)) || (e = gnuplot_script("hosts-panel.gp", &panel)))
		return e;
	_cleanup_fclose_ FILE *out = fopen(path, "we");
	if (!out)
		return err_sys(EXIT_CANNOT, errno, "cannot write %s", path);
	double top = put_words(p, out);
	size_t rows = (p->shown + p->in_row - 1) / p->in_row;
	double height = top + ABOVE_PT + TOTAL_PT + BELOW_PT +
			(double)rows * (ABOVE_PT + PANEL_PT + BELOW_PT) + FOOT_PT;
	fprintf(out, "width_pt = %g\nheight_pt = %g\ntitle_pt = %g\nsmall_pt = %g\n", WIDTH_PT, height,
		TITLE_PT, SMALL_PT);
	gnuplot_terminal(out, ending, WIDTH_PT, height);
	gnuplot_load(out, style);
	gnuplot_load(out, head);
	put_panels(p, out, panel, top);
	fputs("unset multiplot\nset output\n", out);
	return ferror(out) ? err_new(EXIT_CANNOT, "cannot write %s: is there space?", path) : NULL;
}

static error *write_drawing(const void *user, const char *ending, const char *dir)
{
	const struct picture *p = user;
	error *e = write_total(p, dir);

	for (size_t i = 0; i < p->shown && !e; i++)
		e = write_host(&p->h->items[i], i + 1, dir);
	return e ? e : write_script(p, ending, dir);
}

error *plot_hosts(struct run_record *r, const struct host_curves *h, const char *title, const char *out_path)
{
	struct picture p = { .r = r, .h = h, .title = title, .shown = MIN(h->count, (size_t)HOSTS_PLOT_MAX) };
	error *e = gnuplot_check_path(out_path);

	if (e)
		return e;
	if (!h->count)
		return err_new(EXIT_BAD_INPUT,
			       "%s: has no hosts.csv: only a run over several hosts has curves of each",
			       r->dir);
	p.in_row = p.shown > WIDE_HOSTS ? 3 : 2;
	p.x_max = 1;
	for (size_t i = 0; i < p.shown; i++)
		for (size_t k = 0; k < h->items[i].count; k++)
			if (has_values(&h->items[i].points[k]))
				p.x_max = fmax(p.x_max, h->items[i].points[k].vms);
	return gnuplot_draw(out_path, write_drawing, &p);
}
