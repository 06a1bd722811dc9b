/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "report/wave_plot.h"

#include <errno.h>
#include <math.h>

#include "report/gnuplot.h"
#include "report/plot_text.h"

#define WIDTH_PT 252.0
#define HEIGHT_PT 170.0
#define X_TICKS 6
#define Y_TICKS 5

struct drawing {
	const struct wave_measured *m;
	const char *profile;
};

static error *write_data(const struct wave_measured *m, const char *dir)
{
	_cleanup_free_ char *path = xasprintf("%s/wave.dat", dir);
	_cleanup_fclose_ FILE *out = fopen(path, "we");

	if (!out)
		return err_sys(EXIT_CANNOT, errno, "cannot write %s", path);
	for (size_t i = 0; i < m->count; i++)
		fprintf(out, "%.6g %.6g %.6g\n", m->at_s[i], m->asked[i], m->got[i]);
	return ferror(out) ? err_new(EXIT_CANNOT, "cannot write %s: is there space?", path) : NULL;
}

static error *write_drawing(const void *user, const char *ending, const char *dir)
{
	const struct drawing *d = user;
	const struct wave_measured *m = d->m;
	_cleanup_free_ char *style = NULL, *layout = NULL, *path = xasprintf("%s/figure.gp", dir);
	error *e = write_data(m, dir);
	double y = 0;

	if (e || (e = gnuplot_script("style.gp", &style)) || (e = gnuplot_script("wave.gp", &layout)))
		return e;
	_cleanup_fclose_ FILE *out = fopen(path, "we");
	if (!out)
		return err_sys(EXIT_CANNOT, errno, "cannot write %s", path);
	for (size_t i = 0; i < m->count; i++)
		y = fmax(y, fmax(m->asked[i], m->got[i]));
	double step = plot_tick_step(fmax(y, 1), Y_TICKS), x = m->count ? m->at_s[m->count - 1] : 1;
	y = ceil(fmax(y, 1) / step) * step;
	gnuplot_terminal(out, ending, WIDTH_PT, HEIGHT_PT);
	_cleanup_free_ char *title = xasprintf("%s: asked and measured", d->profile);
	_cleanup_free_ char *line = xasprintf("one VM under %s, mean error %+.2f points, RMS %.2f points",
					      m->accel, m->fidelity.mean, m->fidelity.rms);
	_cleanup_free_ char *quoted = plot_quote(title), *quoted_line = plot_quote(line);
	_cleanup_free_ char *xt = plot_ticks(0, x, X_TICKS), *yt = plot_ticks(0, y, Y_TICKS);
	fprintf(out, "width_pt = %g\nheight_pt = %g\nfigure_title = %s\nline = %s\n", WIDTH_PT, HEIGHT_PT,
		quoted, quoted_line);
	fprintf(out, "x_max = %.10g\ny_max = %.10g\nset xtics (%s)\nset ytics (%s)\n", x, y, xt, yt);
	gnuplot_load(out, style);
	gnuplot_load(out, layout);
	return ferror(out) ? err_new(EXIT_CANNOT, "cannot write %s: is there space?", path) : NULL;
}

error *wave_plot(const struct wave_measured *m, const char *profile, const char *out_path)
{
	struct drawing d = { .m = m, .profile = profile };
	error *e = gnuplot_check_path(out_path);

	return e ? e : gnuplot_draw(out_path, write_drawing, &d);
}
