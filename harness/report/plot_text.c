/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "report/plot_text.h"

#include <math.h>
#include <string.h>

#include "base/text.h"
#include "record/metric.h"
#include "record/resource.h"

/* Beyond this a metric's label fills a title by itself. */
#define LONG_LABEL 22

/*
 * gnuplot expands backquotes and @macros inside double quotes, and misreads a doubled quote
 * at the start of single ones. So all but plain text is written as \ooo.
 */
char *plot_quote(const char *s)
{
	bool valid = text_is_utf8(s); /* cairo cannot draw anything else */
	char *quoted = xcalloc(4 * strlen(s) + 3, 1);
	size_t n = 0;

	quoted[n++] = '"';
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c >= 0x80)
			quoted[n++] = valid ? (char)c : '?';
		else if (c <= 0x20 || c == 0x7f)
			quoted[n++] = ' ';
		else if (strchr("\"'`\\@$%{}", c))
			n += (size_t)snprintf(quoted + n, 5, "\\%03o", c);
		else
			quoted[n++] = (char)c;
	}
	quoted[n] = '"';
	return quoted;
}

double plot_tick_step(double span, int most)
{
	static const double nice[] = { 1, 2, 5, 10 };

	if (!(span > 0) || !isfinite(span))
		return 1;
	double power = pow(10, floor(log10(span / most)));
	for (size_t i = 0; i < ARRAY_LEN(nice); i++)
		if (span / (nice[i] * power) <= most + 1e-9)
			return nice[i] * power;
	return 20 * power;
}

char *plot_ticks(double from, double to, int most)
{
	double step = plot_tick_step(to - from, most);
	int decimals = step >= 1 ? 0 : (int)ceil(-log10(step) - 1e-9);
	struct strlist l = { 0 };

	for (int i = 0; i <= most + 1; i++) {
		double at = (ceil(from / step - 1e-9) + i) * step;

		if (at > to + step * 1e-9)
			break;
		_cleanup_free_ char *label = text_thousands(at, decimals);
		strlist_addf(&l, "%s'%s' %.10g", i ? ", " : "", label, at);
	}
	char *text = strlist_join(&l);
	strlist_clear(&l);
	return text;
}

size_t plot_ticks_width(const char *ticks)
{
	size_t widest = 0;

	for (const char *at = strchr(ticks, '\''); at; at = strchr(at, '\'')) {
		size_t n = strcspn(at + 1, "'");

		widest = MAX(widest, n);
		at += n + 2; /* behind the closing quote */
	}
	return widest;
}

char *plot_cut(const char *s, size_t most)
{
	size_t seen = 0, i = 0;

	if (text_width(s) <= most)
		return xstrdup(s);
	for (; s[i]; i++)
		if (((unsigned char)s[i] & 0xc0) != 0x80 && ++seen == most)
			break;
	return xasprintf("%.*s\u2026", (int)i, s);
}

void plot_wrap(const struct strlist *parts, size_t width, struct strlist *lines)
{
	_cleanup_free_ char *line = NULL;

	for (size_t i = 0; i < parts->count; i++) {
		_cleanup_free_ char *part = plot_cut(parts->items[i], width);

		if (line && text_width(line) + 2 + text_width(part) <= width) {
			char *longer = xasprintf("%s, %s", line, part);

			free(line);
			line = longer;
			continue;
		}
		if (line)
			strlist_add(lines, line);
		free(line);
		line = STEAL(part);
	}
	if (line)
		strlist_add(lines, line);
}

/* CPU names carry marks and clock rates that cost a line and tell nothing. */
static char *tidy_cpu(const char *model)
{
	static const char *const noise[] = { "(R)", "(TM)", "(r)", "(tm)", " CPU", " Processor" };
	char *s = xstrdup(model), *at = strstr(s, " @");

	if (at)
		*at = '\0';
	for (size_t i = 0; i < ARRAY_LEN(noise); i++)
		while ((at = strstr(s, noise[i])))
			memmove(at, at + strlen(noise[i]), strlen(at + strlen(noise[i])) + 1);
	return s;
}

static char *fact_cpu(const struct run_record *r)
{
	const char *model = run_str(r, "host.cpu");

	return model && *model ? tidy_cpu(model) : NULL;
}

static char *fact_cores(const struct run_record *r)
{
	double n = run_num(r, "host.cores");

	return n > 0 ? xasprintf("%.0f %s", n, n == 1 ? "core" : "cores") : NULL;
}

static char *fact_ram(const struct run_record *r)
{
	double gib = run_num(r, "host.ram_kb") / 1048576;

	return gib > 0 ? xasprintf("%.*f GiB RAM", gib < 10 ? 1 : 0, gib) : NULL;
}

static char *fact_swap(const struct run_record *r)
{
	double gib = run_num(r, "host.swap_kb") / 1048576;

	if (isnan(gib))
		return NULL;
	return gib > 0 ? xasprintf("%.*f GiB swap", gib < 10 ? 1 : 0, gib) : xstrdup("no swap");
}

static char *fact_kernel(const struct run_record *r)
{
	const char *kernel = run_str(r, "host.kernel");

	return kernel && *kernel ? xasprintf("Linux %s", kernel) : NULL;
}

/* "QEMU 7.2.22 (tcg, isapc)"; a backend that is not QEMU goes by its own name. */
static char *fact_backend(const struct run_record *r)
{
	const char *name = run_str(r, "backend.name"), *version = run_str(r, "backend.version");
	const char *how[2] = { run_str(r, "backend.accel"), run_str(r, "backend.machine") };

	if (!name)
		return NULL;
	for (size_t i = 0; i < 2; i++)
		if (!how[i] || !*how[i] || str_eq(how[i], "none"))
			how[i] = NULL;
	bool named = version && strncmp(version, "QEMU", 4) == 0;
	_cleanup_free_ char *tool =
		xasprintf("%s%s%s",
			  named			 ? ""
			  : str_eq(name, "qemu") ? "QEMU"
						 : name,
			  version && *version && !named ? " " : "", version ? version : "");
	_cleanup_free_ char *way = how[0] && how[1]   ? xasprintf(" (%s, %s)", how[0], how[1])
				   : how[0] || how[1] ? xasprintf(" (%s)", how[0] ? how[0] : how[1])
						      : xstrdup("");
	return xasprintf("%s%s", tool, way);
}

static char *fact_preset(const struct run_record *r)
{
	const char *s = run_str(r, "preset");

	return s && *s ? xasprintf("preset %s", s) : NULL;
}

static char *fact_guest(const struct run_record *r)
{
	const char *guest = run_str(r, "guest.name"), *profile = run_str(r, "profile");

	if (guest && *guest && profile && *profile && !str_eq(guest, profile))
		return xasprintf("guest %s (%s)", guest, profile);
	if (!guest || !*guest)
		guest = profile;
	return guest && *guest ? xasprintf("guest %s", guest) : NULL;
}

static char *fact_launch(const struct run_record *r)
{
	const char *s = run_str(r, "launch.mode");

	return s && *s ? xasprintf("launch %s", s) : NULL;
}

/* A figure of a run that did not end by itself says so. */
static char *fact_state(const struct run_record *r)
{
	const char *s = run_str(r, "state");

	if (!s || str_eq(s, "complete"))
		return NULL;
	return str_eq(s, "running") ? xstrdup("run not ended") : xasprintf("run %s", s);
}

typedef char *fact_fn(const struct run_record *);

/* "guest idle / sleep" rather than "guest idle / guest sleep". */
static const char *after_shared_word(const char *first, const char *one)
{
	size_t n = strcspn(one, " ");

	return first && one[n] && strncmp(first, one, n + 1) == 0 ? one + n + 1 : one;
}

static bool said_before(struct run_record *const *runs, size_t upto, fact_fn *fact, const char *one)
{
	for (size_t i = 0; i < upto; i++) {
		_cleanup_free_ char *before = fact(runs[i]);

		if ((!one && !before) || str_eq(one, before))
			return true;
	}
	return false;
}

void plot_subtitle(struct run_record *const *runs, size_t n, struct strlist *parts)
{
	static fact_fn *const facts[] = {
		fact_cpu,     fact_cores,  fact_ram,   fact_swap,   fact_kernel,
		fact_backend, fact_preset, fact_guest, fact_launch, fact_state,
	};

	for (size_t f = 0; f < ARRAY_LEN(facts); f++) {
		_cleanup_free_ char *all = NULL;

		if (n > 1 && facts[f] == fact_state)
			continue; /* the legend says it of each run */
		all = facts[f](runs[0]);

		for (size_t i = 1; i < n; i++) {
			_cleanup_free_ char *one = facts[f](runs[i]);

			if (said_before(runs, i, facts[f], one))
				continue;
			char *longer = xasprintf("%s / %s", all ? all : "-",
						 one ? after_shared_word(all, one) : "-");

			free(all);
			all = longer;
		}
		if (all)
			strlist_add(parts, all);
	}
}

char *plot_run_name(struct run_record *const *runs, size_t n, size_t run)
{
	_cleanup_free_ char *label = run_label(runs[run]), *state = fact_state(runs[run]);

	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *other = run_label(runs[i]);

		if (i == run || strcmp(other, label) != 0)
			continue;
		const char *slash = strrchr(runs[run]->dir, '/');
		free(label);
		label = xstrdup(slash && slash[1] ? slash + 1 : runs[run]->dir);
		break;
	}
	return state ? xasprintf("%s (%s)", label, state + strlen("run ")) : STEAL(label);
}

static char *title_of_one(const struct run_record *r)
{
	const char *kind = run_str(r, "stop.kind"), *metric = run_str(r, "stop.metric");
	const char *limit = run_str(r, "stop.limit"), *guest = run_str(r, "guest.name");
	_cleanup_free_ char *count = text_thousands(run_measured_to(r), 0);
	_cleanup_free_ char *who = xasprintf("%s %s%sVMs", count, guest ? guest : "", guest ? " " : "");
	const struct csv *t = r->intervals;

	if (str_eq(kind, "threshold") && metric) {
		enum resource ended = RESOURCE_CPU;

		/* records of old name the column */
		while (ended < RESOURCE_SWAP && !str_starts(metric, resources[ended].name))
			ended++;
		return xasprintf("%s, stopped by %s at %g %%", who, resource_label(ended),
				 run_num(r, "threshold_pct"));
	}
	if (str_eq(kind, "limit"))
		return xasprintf("%s, stopped by %s", who, limit ? limit : metric ? metric : "a limit");
	double cpu = csv_cell(t, t->rows - 1, metric_table[METRIC_CPU].mean),
	       ram = csv_cell(t, t->rows - 1, metric_table[METRIC_RAM].mean);
	if (isnan(cpu) || isnan(ram))
		return STEAL(who);
	return xasprintf("%s use %.*f %% CPU and %.*f %% RAM", who, cpu < 10, cpu, ram < 10, ram);
}

char *plot_title(struct run_record *const *runs, size_t n, const char *what)
{
	double top = 0;

	if (n == 1 && !what)
		return title_of_one(runs[0]);
	for (size_t i = 0; i < n; i++)
		top = fmax(top, run_measured_to(runs[i]));
	_cleanup_free_ char *count = text_thousands(top, 0);
	if (what && text_width(what) > LONG_LABEL)
		return xstrdup(what);
	if (n == 1)
		return xasprintf("%s up to %s VMs", what, count);
	return xasprintf("%s of %zu runs up to %s VMs", what ? what : "Host use", n, count);
}
