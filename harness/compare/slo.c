/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "compare/slo.h"

#include <math.h>
#include <string.h>

#include "base/fs.h"
#include "base/ini.h"
#include "model/stats.h"

static error *bad(const struct ini_file *f, const struct ini_entry *x, const char *what)
{
	return err_new(EXIT_BAD_INPUT, "%s:%d: %s = %s: %s", f->path, x->line, x->key, x->value, what);
}

/* "max 600" or "min 1000". */
static error *parse_limit(const struct ini_file *f, const struct ini_entry *x, struct slo *s, int figure)
{
	double v;

	if (str_starts(x->value, "max ") && parse_double(x->value + 4, -1e15, 1e15, &v))
		s->max[figure] = v;
	else if (str_starts(x->value, "min ") && parse_double(x->value + 4, -1e15, 1e15, &v))
		s->min[figure] = v;
	else
		return bad(f, x, "a limit reads 'max NUMBER' or 'min NUMBER', in the figure's own unit");
	return NULL;
}

const char *slo_parse_gate(enum figure f, const char *arg, double *ret)
{
	_cleanup_free_ char *text = xstrdup(arg);
	size_t n = strlen(text);
	bool percent = n && text[n - 1] == '%';

	if (percent) {
		text[n - 1] = '\0';
		while (--n && text[n - 1] == ' ')
			text[n - 1] = '\0';
	}
	if (percent && figure_table[f].scale == FIGURE_DIFFERENCE)
		return "this figure is compared by its difference: give a number in its unit";
	if (!percent && figure_table[f].scale == FIGURE_RATIO)
		return "this figure is compared by its ratio: give a share such as '3 %'";
	if (!parse_double(text, 0, 1e15, ret))
		return "the change that is allowed is a number of at least 0";
	*ret = percent ? *ret / 100 : *ret;
	return NULL;
}

static error *parse_change(const struct ini_file *f, const struct ini_entry *x, struct slo *s, int figure)
{
	const char *wrong = slo_parse_gate((enum figure)figure, x->value, &s->change[figure]);

	return wrong ? bad(f, x, wrong) : NULL;
}

static error *parse_entry(const struct ini_file *f, const struct ini_entry *x, struct slo *s)
{
	int figure = figure_by_name(x->key);

	if (str_eq(x->section, "slo") && str_eq(x->key, "summary")) {
		free(s->summary);
		s->summary = xstrdup(x->value);
		return NULL;
	}
	bool limits = str_eq(x->section, "limits"), changes = str_eq(x->section, "changes");
	if (!limits && !changes)
		return err_new(EXIT_BAD_INPUT,
			       "%s:%d: [%s] %s: known are [slo] summary, [limits] and [changes]", f->path,
			       x->line, x->section, x->key);
	if (figure < 0)
		return bad(f, x, "no such figure; 'mvmscale compare --list' names them");
	return limits ? parse_limit(f, x, s, figure) : parse_change(f, x, s, figure);
}

bool slo_has_limits(const struct slo *s)
{
	for (int i = 0; i < FIGURE_COUNT; i++)
		if (!isnan(s->min[i]) || !isnan(s->max[i]))
			return true;
	return false;
}

static error *from_ini(const struct ini_file *f, struct slo **ret)
{
	_cleanup_(slo_freep) struct slo *s = xcalloc(1, sizeof(*s));

	for (int i = 0; i < FIGURE_COUNT; i++)
		s->min[i] = s->max[i] = s->change[i] = NAN;
	const char *slash = strrchr(f->path, '/');
	s->name = xstrdup(slash ? slash + 1 : f->path);
	for (size_t i = 0; i < f->count; i++) {
		error *e = parse_entry(f, &f->entries[i], s);
		if (e)
			return e;
	}
	bool any = slo_has_limits(s);
	for (int i = 0; i < FIGURE_COUNT; i++)
		any |= !isnan(s->change[i]);
	if (!any)
		return err_new(
			EXIT_BAD_INPUT,
			"%s: limits nothing, so everything would pass: give [limits] or [changes] a figure ('mvmscale compare --list' names them)",
			f->path);
	*ret = STEAL(s);
	return NULL;
}

error *slo_parse(const char *text, const char *what, struct slo **ret)
{
	_cleanup_(ini_freep) struct ini_file *f = NULL;
	error *e = ini_parse_text(text, what, &f);

	return e ? e : from_ini(f, ret);
}

error *slo_load(const char *name_or_path, struct slo **ret)
{
	_cleanup_(ini_freep) struct ini_file *f = NULL;
	_cleanup_free_ char *file = xasprintf("%s.slo", name_or_path);
	_cleanup_free_ char *found = strchr(name_or_path, '/') ? NULL : fs_find_data("slo", file);

	if (!found && access(name_or_path, F_OK) != 0)
		return err_new(EXIT_BAD_INPUT,
			       "no limits '%s': give a file, or the name of one in profiles/slo",
			       name_or_path);
	error *e = ini_load(found ? found : name_or_path, &f);
	return e ? e : from_ini(f, ret);
}

void slo_free(struct slo *s)
{
	if (!s)
		return;
	free(s->name);
	free(s->summary);
	free(s);
}

void slo_gates(const struct slo *s, struct compare_options *o)
{
	for (int i = 0; i < FIGURE_COUNT; i++)
		if (!isnan(s->change[i]))
			o->gates[i] = s->change[i];
}

void slo_check(const struct slo *s, const double figures[FIGURE_COUNT], struct slo_result *ret)
{
	*ret = (struct slo_result){ 0 };
	for (int i = 0; i < FIGURE_COUNT; i++) {
		const struct figure_info *f = &figure_table[i];

		if (isnan(s->min[i]) && isnan(s->max[i]))
			continue;
		if (!isfinite(figures[i])) {
			strlist_addf(&ret->unchecked, "%s (%s) cannot be checked: the run has no such figure",
				     f->name, f->label);
			continue;
		}
		if (figures[i] > s->max[i])
			strlist_addf(&ret->broken, "%s (%s) is %.6g %s, above the limit of %.6g in %s",
				     f->name, f->label, figures[i], f->unit, s->max[i], s->name);
		if (figures[i] < s->min[i])
			strlist_addf(&ret->broken, "%s (%s) is %.6g %s, below the limit of %.6g in %s",
				     f->name, f->label, figures[i], f->unit, s->min[i], s->name);
	}
}

void slo_check_comparison(const struct slo *s, const struct side *new_side, struct comparison *c)
{
	double(*of)[FIGURE_COUNT] = xcalloc(new_side->n + 1, sizeof(*of)), medians[FIGURE_COUNT];
	_cleanup_free_ double *v = xcalloc(new_side->n + 1, sizeof(*v));
	struct slo_result r;

	for (size_t i = 0; i < new_side->n; i++)
		figures_read(new_side->runs[i], c->top, of[i]);
	for (int f = 0; f < FIGURE_COUNT; f++) {
		size_t n = 0;

		for (size_t i = 0; i < new_side->n; i++)
			if (isfinite(of[i][f]))
				v[n++] = of[i][f];
		medians[f] = median_of(v, n);
	}
	free(of);
	slo_check(s, medians, &r);
	for (size_t i = 0; i < r.broken.count; i++)
		strlist_add(&c->broken, r.broken.items[i]);
	for (size_t i = 0; i < r.unchecked.count; i++)
		strlist_add(&c->reasons, r.unchecked.items[i]);
	c->limits = s->name ? xstrdup(s->name) : NULL;
	if (c->verdict != VERDICT_INVALID && r.broken.count)
		c->verdict = VERDICT_REGRESSED;
	else if (r.unchecked.count && (c->verdict == VERDICT_PASS || c->verdict == VERDICT_IMPROVED))
		c->verdict = VERDICT_INCONCLUSIVE;
	if (r.unchecked.count && !c->untold)
		c->untold = xstrdup(r.unchecked.items[0]);
	slo_result_clear(&r);
}

void slo_result_clear(struct slo_result *r)
{
	strlist_clear(&r->broken);
	strlist_clear(&r->unchecked);
}

enum exit_code slo_status(const struct slo_result *r)
{
	return r->broken.count ? EXIT_REGRESSION : r->unchecked.count ? EXIT_INCONCLUSIVE : EXIT_DONE;
}
