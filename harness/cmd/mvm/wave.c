/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The waveform of a profile: what it asks for, what the guest can play of it, and what a VM makes of that. */
#include <jansson.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "backend/qemu/wave_measure.h"
#include "base/text.h"
#include "base/util.h"
#include "cmd/mvm/mvm.h"
#include "guest/profile.h"
#include "report/curve_text.h"
#include "report/gnuplot.h"
#include "report/wave_plot.h"

#define PLOT_ROWS 9
#define PLOT_COLUMNS_MAX 100
#define PLOT_MARGIN 10
#define CURVE_POINTS 1000
/* A VM that waited longer for a CPU than this share of the time was not measured, the host was. */
#define WAITED_MOST_PCT 2.0

struct wave_args {
	struct strlist profile;
	const char *output;
	bool json, csv, measure;
	struct wave_measure_options o;
};

#define AT(field) offsetof(struct wave_args, field)

static const struct option_row options[] = {
	{ "json", 0, NULL, NULL, OPT_FLAG, AT(json), .help = "Print JSON" },
	{ "csv", 0, NULL, NULL, OPT_FLAG, AT(csv),
	  .help = "Print a table: the phases, or with --measure the samples" },
	{ "measure", 0, NULL, NULL, OPT_FLAG, AT(measure),
	  .help = "Boot one VM and compare what it uses with what was asked" },
	{ "accel", 0, "auto|tcg|kvm", NULL, OPT_WORD, AT(o.accel), .words = "auto tcg kvm",
	  .help = "With --measure: accelerator (default auto)" },
	{ "seconds", 0, "S", NULL, OPT_REAL, AT(o.seconds),
	  .help = "With --measure: how long (default: two periods, at least 3 s and at most 30 s)",
	  .min = 0.1, .max = 86400 },
	{ "window", 0, "MS", NULL, OPT_REAL, AT(o.window_ms),
	  .help = "With --measure: length of a sample in milliseconds (default: 5 slices of the guest's time)",
	  .min = 1, .max = 60000 },
	{ "qemu", 0, "PATH", NULL, OPT_ANY, AT(o.qemu), .help = "With --measure: QEMU binary" },
	{ "output", 'o', "FILE", NULL, OPT_ANY, AT(output),
	  .help = "With --measure: draw both curves to FILE (.svg, .png or .pdf)" },
	{ 0 },
};

static error *check(void *config)
{
	const struct wave_args *a = config;

	if (a->json && a->csv)
		return err_new(EXIT_BAD_INPUT, "--json and --csv exclude each other");
	if (!a->measure && (a->output || a->o.accel || a->o.qemu || a->o.seconds > 0 || a->o.window_ms > 0))
		return err_new(EXIT_BAD_INPUT, "--accel, --seconds, --window, --qemu and -o need --measure");
	return NULL;
}

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	stop = sig;
}

static void set_up_plot(struct curve_text *t, const char *x_label)
{
	struct winsize ws = { 0 };
	bool terminal = isatty(STDOUT_FILENO);
	size_t width = 72;

	setlocale(LC_CTYPE, "");
	if (terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_col > 2 * PLOT_MARGIN)
		width = ws.ws_col - PLOT_MARGIN;
	*t = (struct curve_text){ .columns = MIN(width, (size_t)PLOT_COLUMNS_MAX),
				  .rows = PLOT_ROWS,
				  .braille = curve_text_utf8(),
				  .colour = text_colour(stdout),
				  .y_unit = "%",
				  .x_label = x_label };
}

/* Values in a table (index by share of its length, or of its time) to as many points as the plot has. */
static void print_plot(const char *x_label, const double *values, size_t n)
{
	struct curve_text t;

	set_up_plot(&t, x_label);
	size_t points = curve_text_points(&t);
	double *v = xcalloc(points, sizeof(*v));
	t.y_max = 0;
	for (size_t i = 0; i < n; i++)
		t.y_max = fmax(t.y_max, values[i]);
	/* the axis ends at a round number, at least 1 % */
	double step = t.y_max > 50 ? 20 : t.y_max > 10 ? 10 : t.y_max > 2 ? 2 : 1;
	t.y_max = fmax(ceil(t.y_max / step) * step, 1);
	for (size_t i = 0; i < points; i++)
		v[i] = values[MIN(i * n / points, n - 1)];
	_cleanup_free_ char *text = curve_text(&t, v, points);
	fputs(text, stdout);
	free(v);
}

static char *duration_text(double ms)
{
	return ms < 1000    ? xasprintf("%.4g ms", ms)
	       : ms < 600e3 ? xasprintf("%.4g s", ms / 1000)
			    : xasprintf("%.4g min", ms / 60e3);
}

static void print_curve(const struct wave_code *c)
{
	double values[CURVE_POINTS], period = wave_period_ms(c);
	struct wave_code once = *c;
	_cleanup_free_ char *label = duration_text(period);

	/* the plan, without what chance adds */
	once.jitter = 0;
	once.passes = 0;
	period = wave_period_ms(&once);
	for (size_t i = 0; i < ARRAY_LEN(values); i++)
		values[i] = wave_load_at(&once, 0, period * ((double)i + 0.5) / CURVE_POINTS);
	print_plot(label, values, ARRAY_LEN(values));
}

static void print_facts(const struct profile *p, const struct wave *w, const struct wave_code *c)
{
	struct wave_error off = wave_error_of(w, c);
	_cleanup_free_ char *period = duration_text(wave_period_ms(c)),
			    *asked = duration_text(wave_asked_ms(w));

	print_curve(c);
	bool own = !str_eq(p->name, w->shape); /* a preset curve is often called like its shape */
	printf("\n%s: %s%s%s\n", p->name, own ? w->shape : "", own ? ", " : "", p->summary);
	printf("mean %.2f %%, peak %.2f %%, period %s (asked %.2f %%, %s)\n", wave_mean(c), wave_peak(c),
	       period, wave_asked_mean(w), asked);
	printf("%zu phases in slices of %.2f ms, ", c->count, wave_slice_ms(c));
	if (c->passes)
		printf("%u passes", c->passes - 1);
	else
		printf("without end");
	if (c->jitter > 1)
		printf(", each up to %.0f ms longer or shorter", (c->jitter - 1) / 2.0 * wave_slice_ms(c));
	printf("; a population differs by %s\n",
	       w->spread == WAVE_SPREAD_NONE ? "nothing" : wave_spread_names[w->spread]);
	printf("off what was asked: RMS %.2f, at most %.2f points of CPU in a step\n", off.rms, off.max);
}

static json_t *facts_json(const struct profile *p, const struct wave *w, const struct wave_code *c)
{
	struct wave_error off = wave_error_of(w, c);
	json_t *phases = json_array();

	for (size_t i = 0; i < c->count; i++)
		json_array_append_new(phases, json_pack("{s:f,s:f}", "load_pct", wave_phase_load(c, i), "ms",
							wave_phase_ms(c, i)));
	return json_pack("{s:s,s:s,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:I,s:s,s:{s:f,s:f,s:f},s:o}", "profile",
			 p->name, "shape", w->shape, "mean_pct", wave_mean(c), "peak_pct", wave_peak(c),
			 "period_ms", wave_period_ms(c), "asked_mean_pct", wave_asked_mean(w),
			 "asked_period_ms", wave_asked_ms(w), "slice_ms", wave_slice_ms(c), "jitter_ms",
			 w->jitter_ms, "repeat", (json_int_t)w->repeat, "spread",
			 wave_spread_names[w->spread], "quantisation", "mean", off.mean, "rms", off.rms,
			 "max", off.max, "phases", phases);
}

static json_t *measured_json(const struct wave_measured *m, double window_ms)
{
	json_t *samples = json_array();

	for (size_t i = 0; i < m->count; i++)
		json_array_append_new(samples, json_pack("{s:f,s:f,s:f}", "time_s", m->at_s[i], "asked_pct",
							 m->asked[i], "got_pct", m->got[i]));
	return json_pack("{s:s,s:s,s:s,s:f,s:i,s:f,s:f,s:f,s:f,s:f,s:{s:f,s:f,s:f},s:o}", "accel", m->accel,
			 "binary", m->binary, "version", m->version, "window_ms", window_ms, "windows",
			 (int)m->count, "asked_pct", m->fidelity.asked, "got_pct", m->fidelity.got,
			 "mean_error", m->fidelity.mean, "rms_error", m->fidelity.rms, "waited_pct",
			 m->waited_pct, "life", "asked_pct", m->life.asked / m->life.ms, "got_pct",
			 m->life.got / m->life.ms, "error", m->life.over, "samples", samples);
}

static void print_json(const struct profile *p, const struct wave *w, const struct wave_code *c,
		       const struct wave_measured *m, double window_ms)
{
	json_t *j = facts_json(p, w, c);

	if (m->count)
		json_object_set_new(j, "measured", measured_json(m, window_ms));
	cmd_print_json(j, 8);
}

static void print_csv(const struct wave_code *c, const struct wave_measured *m)
{
	double at = 0;

	if (m->count) {
		puts("time_s,asked_pct,got_pct");
		for (size_t i = 0; i < m->count; i++)
			printf("%.6f,%.4f,%.4f\n", m->at_s[i], m->asked[i], m->got[i]);
		return;
	}
	/* as a trace is read */
	puts("time_s,cpu_pct,duration_s");
	for (size_t i = 0; i < c->count; i++) {
		printf("%.6f,%.4f,%.6f\n", at, wave_phase_load(c, i), wave_phase_ms(c, i) / 1000);
		at += wave_phase_ms(c, i) / 1000;
	}
}

static void print_measured(const struct wave_measured *m, double window_ms)
{
	const struct fidelity *f = &m->fidelity;
	_cleanup_free_ char *label = xasprintf("%.4g s", m->at_s[m->count - 1]);

	printf("\nMeasured: one VM, %s, %s\n", m->accel, m->version);
	print_plot(label, m->got, m->count);
	printf("asked %.2f %%, got %.2f %% of a vCPU: mean error %+.2f points, RMS error %.2f points (%zu windows of %.0f ms)\n",
	       f->asked, f->got, f->mean, f->rms, f->samples, window_ms);
	printf("since it was ready: asked %.2f %%, got %.2f %%, error %+.2f points\n",
	       m->life.asked / m->life.ms, m->life.got / m->life.ms, m->life.over);
}

static error *measure(struct wave_args *a, const struct profile *p, const struct guest_image *img,
		      const struct wave_code *c, struct wave_measured *m)
{
	error *e = a->output ? gnuplot_check_path(a->output) : NULL;

	if (e)
		return e;
	if (!a->o.accel)
		a->o.accel = "auto";
	if (!(a->o.seconds > 0))
		a->o.seconds = fmin(fmax(2 * wave_period_ms(c) / 1000, 3), 30);
	if (!(a->o.window_ms > 0))
		a->o.window_ms = 5 * wave_slice_ms(c);
	a->o.stop = &stop;
	cmd_on_end(on_signal);
	e = wave_measure(img, &a->o, m);
	if (!e && !m->count && !stop)
		e = err_new(EXIT_BAD_INPUT, "--seconds %g is shorter than one window of %.0f ms",
			    a->o.seconds, a->o.window_ms);
	if (!e && m->count && a->output)
		e = wave_plot(m, p->name, a->output);
	return e;
}

static int run(int argc, char **argv)
{
	struct wave_args a = { 0 };
	_cleanup_(profile_freep) struct profile *p = NULL;
	struct wave_measured m = { 0 };
	struct guest_image img;
	struct wave_code c;

	cmd_parse(&mvm_wave, argc, argv, &a);
	error *e = profile_load(a.profile.items[0], &p);
	strlist_clear(&a.profile);
	if (e)
		return cmd_fail(e);
	const struct wave *w = p->wave;
	if (!w)
		return cmd_fail(err_new(EXIT_BAD_INPUT,
					"%s: has no section [wave], so it has no waveform to show", p->path));
	e = wave_encode(w, &c);
	if (!e && a.measure && !(e = image_from_profile(p, &img)))
		e = measure(&a, p, &img, &c, &m);
	if (!e && a.json)
		print_json(p, w, &c, &m, a.o.window_ms);
	else if (!e && a.csv)
		print_csv(&c, &m);
	else if (!e)
		print_facts(p, w, &c);
	if (!e && m.count && !a.json && !a.csv)
		print_measured(&m, a.o.window_ms);
	if (!e && !stop && m.waited_pct > WAITED_MOST_PCT)
		e = err_new(
			EXIT_UNTRUSTED,
			"the VM waited %.1f %% of the time for a CPU: other work keeps this host busy, so the figures say little about the VM; repeat it on a quiet host",
			m.waited_pct);
	wave_measured_clear(&m);
	return e ? cmd_fail(e) : stop ? EXIT_INTERRUPTED : EXIT_DONE;
}

const struct command mvm_wave = {
	.name = "wave",
	.summary = "show the load over time of a profile, and measure what a VM makes of it",
	.usage = "PROFILE",
	.doc = "Shows the waveform of PROFILE: one period as the guest plays it, its mean, peak and period, and how far it is from what the profile asks for. With --measure one VM plays it, and the CPU "
	       "time of its process is compared with it."
	       "\v"
	       "Examples:\n"
	       "  mvm wave daynight\n"
	       "  mvm wave ./mine.profile --csv\n"
	       "  mvm wave thin-spikes --measure --accel tcg -o spikes.svg\n"
	       "\n"
	       "Exit status: 0 done, 2 usage or bad profile, 3 QEMU or gnuplot is missing or the guest never got ready, 5 the host was too busy to measure, 130 interrupted.",
	.options = options,
	.words = AT(profile),
	.most = 1,
	.too_many = "one profile at a time: '%s' is too many",
	.none = "which profile? 'mvm list' shows them",
	.check = check,
	.run = run,
};
