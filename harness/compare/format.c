/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A comparison for people: plain text and Markdown. */
#include "compare/format.h"

#include <math.h>
#include <string.h>

const struct format_format format_formats[] = {
	{ "text", "a table for the terminal", format_text },
	{ "json", "one object, for programs", format_json },
	{ "markdown", "a table for a pull request", format_markdown },
	{ "junit", "JUnit XML, for continuous integration", format_junit },
	{ "tap", "Test Anything Protocol", format_tap },
	{ 0 },
};

const struct format_format *format_format_find(const char *name)
{
	for (const struct format_format *f = format_formats; f->name; f++)
		if (str_eq(f->name, name))
			return f;
	return NULL;
}

char *format_change(enum figure f, double change)
{
	const struct figure_info *i = &figure_table[f];

	if (isnan(change))
		return xstrdup("-");
	if (!isfinite(change) || (i->scale == FIGURE_RATIO && change <= 0))
		return xstrdup("?");
	if (i->scale == FIGURE_RATIO) /* no "-0.00 %" */
		return xasprintf("%+.2f %%", fabs(change - 1) < 5e-5 ? 0 : 100 * (change - 1));
	/* what is left of sums that cancel is nothing */
	return xasprintf("%+.3g", fabs(change) < 1e-9 ? 0 : change);
}

static char *gate_text(const struct compare_row *r)
{
	const struct figure_info *i = &figure_table[r->figure];

	return i->scale == FIGURE_RATIO ? xasprintf("%.4g %%", 100 * r->gate) : xasprintf("%g", r->gate);
}

static char *range_text(const struct compare_row *r)
{
	_cleanup_free_ char *lo = format_change(r->figure, r->change_lo),
			    *hi = format_change(r->figure, r->change_hi);

	if (isnan(r->change))
		return xstrdup("-");
	return isfinite(r->change_lo) && isfinite(r->change_hi) ? xasprintf("%s .. %s", lo, hi)
								: xstrdup("too few");
}

static char *p_text(double p)
{
	return isnan(p) ? xstrdup("-") : p < 0.0001 ? xstrdup("<0.0001") : xasprintf("%.4f", p);
}

static char *names_with(const struct comparison *c, enum verdict v)
{
	struct strlist names = { 0 };
	char *joined = NULL;

	for (size_t i = 0; i < c->n_rows; i++) {
		if (c->rows[i].verdict != v)
			continue;
		_cleanup_free_ char *change = format_change(c->rows[i].figure, c->rows[i].change);
		strlist_addf(&names, "%s %s", figure_table[c->rows[i].figure].label, change);
	}
	for (size_t i = 0; i < names.count; i++) {
		char *more = joined ? xasprintf("%s, %s", joined, names.items[i]) : xstrdup(names.items[i]);

		free(joined);
		joined = more;
	}
	strlist_clear(&names);
	return joined ? joined : xstrdup("");
}

char *format_headline(const struct comparison *c)
{
	_cleanup_free_ char *names = names_with(c, c->verdict);

	switch (c->verdict) {
	case VERDICT_REGRESSED:
		if (c->broken.count && !*names)
			return xasprintf("regressed: %s", c->broken.items[0]);
		return xasprintf("regressed: %s", names);
	case VERDICT_IMPROVED:
		return xasprintf("improved: %s", names);
	case VERDICT_INVALID:
		return xasprintf("invalid: %s", c->reasons.items[0]);
	case VERDICT_INCONCLUSIVE:
		if (c->more && !c->untold)
			return xasprintf("inconclusive: too few samples: run %zu more of each side", c->more);
		if (c->untold)
			return xasprintf("inconclusive: %s", c->untold);
		return xstrdup("inconclusive: the runs differ too much among themselves");
	default:
		return xstrdup("pass: no figure is worse by its gate");
	}
}

static void list_environ(const struct comparison *c, FILE *out)
{
	for (size_t i = 0; i < c->environ.count; i++) {
		const struct env_item *d = &c->environ.items[i];

		fprintf(out, "  %s%s: %s -> %s\n", d->intended ? "" : "(not asked for) ", d->path, d->base,
			d->new_value);
	}
}

/* As code, for versions and command lines hold characters that mean something to Markdown. */
static void put_code(FILE *out, const char *s)
{
	fputc('`', out);
	for (; *s; s++)
		fputc(*s == '`' ? '\'' : *s, out);
	fputc('`', out);
}

static void list_environ_markdown(const struct comparison *c, FILE *out)
{
	for (size_t i = 0; i < c->environ.count; i++) {
		const struct env_item *d = &c->environ.items[i];

		fputs(d->intended ? "- " : "- (not asked for) ", out);
		put_code(out, d->path);
		fputs(": ", out);
		put_code(out, d->base);
		fputs(" -> ", out);
		put_code(out, d->new_value);
		fputc('\n', out);
	}
}

/* Text and Markdown say the same rows. */
static void table(const struct comparison *c, FILE *out, const char *head, const char *format)
{
	fputs(head, out);
	for (size_t i = 0; i < c->n_rows; i++) {
		const struct compare_row *r = &c->rows[i];
		const struct figure_info *f = &figure_table[r->figure];
		_cleanup_free_ char *change = format_change(r->figure, r->change), *range = range_text(r);
		_cleanup_free_ char *gate = gate_text(r), *p = p_text(r->p_holm);
		_cleanup_free_ char *effect =
			isnan(r->delta) ? xstrdup("-") : xasprintf("%+.2f", r->delta + 0.0);
		_cleanup_free_ char *label = xasprintf("%s, %s", f->label, f->unit);
		_cleanup_free_ char *base = xasprintf("%.5g", r->base),
				    *new_value = xasprintf("%.5g", r->new_value);

		fprintf(out, format, label, base, new_value, change, range, p, effect, gate,
			verdict_names[r->verdict]);
	}
}

static void reasons(const struct comparison *c, FILE *out, const char *bullet)
{
	for (size_t i = 0; i < c->broken.count; i++)
		fprintf(out, "%sbroken: %s\n", bullet, c->broken.items[i]);
	for (size_t i = 0; i < c->n_rows; i++)
		if (c->rows[i].why)
			fprintf(out, "%s%s: %s\n", bullet, figure_table[c->rows[i].figure].label,
				c->rows[i].why);
	for (size_t i = 0; i < c->reasons.count; i++)
		fprintf(out, "%s%s\n", bullet, c->reasons.items[i]);
}

char *format_text(const struct comparison *c)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	_cleanup_free_ char *headline = format_headline(c);

	fprintf(out, "%s\n\n", headline);
	if (c->environ.count) {
		fputs("What differs in the environment:\n", out);
		list_environ(c, out);
	} else {
		fputs("The environments are the same.\n", out);
	}
	fprintf(out,
		"\nBase %zu runs, new %zu runs, up to %.0f VMs; all figures together find a difference among equals in at most %.3g %%.\n\n",
		c->n_base, c->n_new, c->top, 100 * c->alpha);
	_cleanup_free_ char *head =
		xasprintf("%-40s %10s %10s %10s %24s %8s %6s %8s  %s\n", "figure", "base", "new", "change",
			  "95 % interval", "p", "effect", "gate", "verdict");
	table(c, out, head, "%-40s %10s %10s %10s %24s %8s %6s %8s  %s\n");
	fputc('\n', out);
	reasons(c, out, "");
	fclose(out);
	return text;
}

char *format_markdown(const struct comparison *c)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	_cleanup_free_ char *headline = format_headline(c);

	fprintf(out, "### mvmscale: %s\n\n", headline);
	if (c->environ.count) {
		fputs("What differs in the environment:\n\n", out);
		list_environ_markdown(c, out);
		fputc('\n', out);
	}
	table(c, out,
	      "| figure | base | new | change | 95 % interval | p (Holm) | effect | gate | verdict |\n"
	      "| --- | ---: | ---: | ---: | :---: | ---: | ---: | ---: | --- |\n",
	      "| %s | %s | %s | %s | %s | %s | %s | %s | **%s** |\n");
	fprintf(out, "\n%zu runs of the base, %zu of the new side, up to %.0f VMs.\n", c->n_base, c->n_new,
		c->top);
	fputc('\n', out);
	reasons(c, out, "- ");
	fclose(out);
	return text;
}
