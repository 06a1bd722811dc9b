/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A comparison for people (text, Markdown) and for programs (JSON, JUnit XML, TAP). */
#include "compare/format.h"

#include <math.h>
#include <string.h>

#include "base/table.h"
#include "base/text.h"

static char *range_text(const struct compare_row *r)
{
	_cleanup_free_ char *lo = figure_change_text(r->figure, r->change_lo),
			    *hi = figure_change_text(r->figure, r->change_hi);

	if (isnan(r->change))
		return NULL;
	return isfinite(r->change_lo) && isfinite(r->change_hi) ? xasprintf("%s .. %s", lo, hi)
								: xstrdup("too few");
}

static char *p_text(double p)
{
	return isnan(p) ? NULL : p < 0.0001 ? xstrdup("<0.0001") : xasprintf("%.4f", p);
}

static char *names_with(const struct comparison *c, enum verdict v)
{
	struct strlist names = { 0 };

	for (size_t i = 0; i < c->n_rows; i++) {
		if (c->rows[i].verdict != v)
			continue;
		_cleanup_free_ char *change = figure_change_text(c->rows[i].figure, c->rows[i].change);
		strlist_addf(&names, "%s %s", figure_table[c->rows[i].figure].label, change);
	}
	char *joined = strlist_join_by(&names, ", ");
	strlist_clear(&names);
	return joined;
}

char *comparison_headline(const struct comparison *c)
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
static void write_table(const struct comparison *c, enum table_format f, FILE *out)
{
	const struct table_column columns[] = {
		{ .heading = "figure", .width = 40 },
		{ .heading = "base", .align = TABLE_RIGHT, .width = 9 },
		{ .heading = "new", .align = TABLE_RIGHT, .width = 9 },
		{ .heading = "change", .align = TABLE_RIGHT, .width = 9 },
		{ .heading = "95 % interval", .align = TABLE_CENTRE, .width = 23 },
		{ .heading = f == TABLE_TEXT ? "p" : "p (Holm)", .align = TABLE_RIGHT, .width = 7 },
		{ .heading = "effect", .align = TABLE_RIGHT, .close = true },
		{ .heading = "gate", .align = TABLE_RIGHT, .width = 7 },
		{ .heading = "verdict", .strong = true },
	};
	struct table t = table_new(columns, ARRAY_LEN(columns));

	for (size_t i = 0; i < c->n_rows; i++) {
		const struct compare_row *r = &c->rows[i];
		const struct figure_info *info = &figure_table[r->figure];

		table_row(&t, (char *[]){ xasprintf("%s, %s", info->label, info->unit),
					  xasprintf("%.5g", r->base), xasprintf("%.5g", r->new_value),
					  figure_change_text(r->figure, r->change), range_text(r),
					  p_text(r->p_holm),
					  isnan(r->delta) ? NULL : xasprintf("%+.2f", r->delta + 0.0),
					  figure_gate_text(r->figure, r->gate),
					  xstrdup(verdict_names[r->verdict]) });
	}
	table_write(&t, f, out);
	table_clear(&t);
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

static char *comparison_text(const struct comparison *c)
{
	struct textbuf buf;
	FILE *out = textbuf_open(&buf);
	_cleanup_free_ char *headline = comparison_headline(c);

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
	write_table(c, TABLE_TEXT, out);
	fputc('\n', out);
	reasons(c, out, "");
	return textbuf_close(&buf);
}

static char *comparison_markdown(const struct comparison *c)
{
	struct textbuf buf;
	FILE *out = textbuf_open(&buf);
	_cleanup_free_ char *headline = comparison_headline(c);

	fprintf(out, "### mvmscale: %s\n\n", headline);
	if (c->environ.count) {
		fputs("What differs in the environment:\n\n", out);
		list_environ_markdown(c, out);
		fputc('\n', out);
	}
	write_table(c, TABLE_MARKDOWN, out);
	fprintf(out, "\n%zu runs of the base, %zu of the new side, up to %.0f VMs.\n", c->n_base, c->n_new,
		c->top);
	fputc('\n', out);
	reasons(c, out, "- ");
	return textbuf_close(&buf);
}

static json_t *number(double v)
{
	return isfinite(v) ? json_real(v) : json_null();
}

static json_t *pair(double lo, double hi)
{
	return json_pack("[o,o]", number(lo), number(hi));
}

static json_t *row_json(const struct compare_row *r)
{
	const struct figure_info *f = &figure_table[r->figure];
	bool ratio = f->scale == FIGURE_RATIO;

	return json_pack(
		"{s:s,s:s,s:s,s:s,s:o,s:o,s:o,s:o,s:i,s:i,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:b,s:s,s:i,s:s?}",
		"metric", f->name, "label", f->label, "unit", f->unit, "better",
		f->higher_is_better ? "higher" : "lower", "base", number(r->base), "new",
		number(r->new_value), "base_interval", pair(r->base_interval[0], r->base_interval[1]),
		"new_interval", pair(r->new_interval[0], r->new_interval[1]), "n_base", (int)r->n_base,
		"n_new", (int)r->n_new, "scale", ratio ? "ratio" : "difference",
		ratio ? "ratio" : "difference", number(r->change), "interval",
		pair(r->change_lo, r->change_hi), "p", number(r->p), "p_holm", number(r->p_holm),
		"effect_size", number(r->delta), "gate", number(r->gate), "decides", (int)r->decides,
		"verdict", verdict_names[r->verdict], "more_runs", (int)r->more, "reason", r->why);
}

static json_t *strings(char *const *items, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_string(items[i]));
	return list;
}

json_t *comparison_json(const struct comparison *c)
{
	_cleanup_free_ char *headline = comparison_headline(c);
	json_t *rows = json_array(), *environ_list = json_array();

	for (size_t i = 0; i < c->n_rows; i++)
		json_array_append_new(rows, row_json(&c->rows[i]));
	for (size_t i = 0; i < c->environ.count; i++) {
		const struct env_item *d = &c->environ.items[i];

		json_array_append_new(environ_list,
				      json_pack("{s:s,s:s,s:s,s:b}", "path", d->path, "base", d->base, "new",
						d->new_value, "intended", (int)d->intended));
	}
	return json_pack("{s:s,s:s,s:i,s:f,s:f,s:i,s:o,s:o,s:o,s:o,s:o,s:o}", "verdict",
			 verdict_names[c->verdict], "headline", headline, "exit_status",
			 (int)verdict_status(c->verdict), "alpha", c->alpha, "compared_to_vms", c->top,
			 "more_runs", (int)c->more, "metrics", rows, "environment", environ_list, "base_runs",
			 strings(c->base_dirs, c->n_base), "new_runs", strings(c->new_dirs, c->n_new),
			 "broken_limits", strings(c->broken.items, c->broken.count), "reasons",
			 strings(c->reasons.items, c->reasons.count));
}

static char *comparison_json_text(const struct comparison *c)
{
	json_t *o = comparison_json(c);
	_cleanup_free_ char *dump = json_dumps(o, JSON_INDENT(2) | JSON_REAL_PRECISION(8));

	json_decref(o);
	return xasprintf("%s\n", dump);
}

/* XML 1.0 knows no control characters but tab and line ends: they become blanks. */
static void put_xml(FILE *out, const char *s)
{
	for (; *s; s++) {
		switch (*s) {
		case '&':
			fputs("&amp;", out);
			break;
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		default:
			fputc((unsigned char)*s < ' ' ? ' ' : *s, out);
		}
	}
}

static char *row_sentence(const struct compare_row *r)
{
	const struct figure_info *f = &figure_table[r->figure];
	_cleanup_free_ char *change = figure_change_text(r->figure, r->change),
			    *lo = figure_change_text(r->figure, r->change_lo),
			    *hi = figure_change_text(r->figure, r->change_hi);
	_cleanup_free_ char *range = isfinite(r->change_lo) && isfinite(r->change_hi)
					     ? xasprintf("95 %% interval %s .. %s", lo, hi)
					     : xstrdup("too few runs for an interval");

	return xasprintf(
		"%s: %.5g -> %.5g %s, change %s (%s), p %.4g after Holm, effect %+.2f, gate %g: %s%s%s",
		f->label, r->base, r->new_value, f->unit, change, range, r->p_holm, r->delta, r->gate,
		verdict_names[r->verdict], r->why ? "; " : "", r->why ? r->why : "");
}

/* What differs in the environment, before any case. */
static void junit_environ(FILE *out, const struct comparison *c)
{
	if (!c->environ.count)
		return;
	fputs("    <properties>\n", out);
	for (size_t i = 0; i < c->environ.count; i++) {
		const struct env_item *d = &c->environ.items[i];

		fputs("      <property name=\"", out);
		put_xml(out, d->path);
		fputs("\" value=\"", out);
		put_xml(out, d->base);
		fputs(" -&gt; ", out);
		put_xml(out, d->new_value);
		fputs(d->intended ? "\"/>\n" : " (not asked for)\"/>\n", out);
	}
	fputs("    </properties>\n", out);
}

/* The measurement itself, and the file of limits, are cases of their own. */
static void junit_case(FILE *out, const char *name, const char *element, const char *message)
{
	fprintf(out, "    <testcase classname=\"mvmscale.compare\" name=\"%s\" time=\"0\"", name);
	if (!element) {
		fputs("/>\n", out);
		return;
	}
	fprintf(out, ">\n      <%s message=\"", element);
	put_xml(out, message);
	fputs("\"/>\n    </testcase>\n", out);
}

static void junit_row(FILE *out, const struct compare_row *r)
{
	_cleanup_free_ char *sentence = row_sentence(r);
	const char *element = r->verdict == VERDICT_REGRESSED	   ? "failure"
			      : r->verdict == VERDICT_INCONCLUSIVE ? "skipped"
								   : NULL;

	if (element) {
		junit_case(out, figure_table[r->figure].name, element, sentence);
		return;
	}
	fprintf(out,
		"    <testcase classname=\"mvmscale.compare\" name=\"%s\" time=\"0\">\n      <system-out>",
		figure_table[r->figure].name);
	put_xml(out, sentence);
	fputs("</system-out>\n    </testcase>\n", out);
}

static char *comparison_junit(const struct comparison *c)
{
	struct textbuf buf;
	size_t failures = 0, skipped = 0, invalid = c->verdict == VERDICT_INVALID;
	FILE *out = textbuf_open(&buf);
	_cleanup_free_ char *headline = comparison_headline(c), *broken = strlist_join(&c->broken);

	failures = c->broken.count > 0;
	for (size_t i = 0; i < c->n_rows; i++) {
		failures += c->rows[i].verdict == VERDICT_REGRESSED;
		skipped += c->rows[i].verdict == VERDICT_INCONCLUSIVE;
	}
	fprintf(out,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n"
		"  <testsuite name=\"mvmscale compare\" tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"%zu\" time=\"0\">\n",
		c->n_rows + 1 + (c->limits != NULL), failures, invalid, skipped);
	junit_environ(out, c);
	junit_case(out, "measurement", invalid ? "error" : NULL, headline);
	if (c->limits)
		junit_case(out, "limits", c->broken.count ? "failure" : NULL, broken);
	for (size_t i = 0; i < c->n_rows; i++)
		junit_row(out, &c->rows[i]);
	fputs("  </testsuite>\n</testsuites>\n", out);
	return textbuf_close(&buf);
}

static char *comparison_tap(const struct comparison *c)
{
	struct textbuf buf;
	FILE *out = textbuf_open(&buf);
	_cleanup_free_ char *headline = comparison_headline(c);

	fprintf(out, "TAP version 13\n1..%zu\n# %s\n", c->n_rows + 1 + (c->limits != NULL), headline);
	for (size_t i = 0; i < c->environ.count; i++)
		fprintf(out, "# %s%s: %s -> %s\n", c->environ.items[i].intended ? "" : "(not asked for) ",
			c->environ.items[i].path, c->environ.items[i].base, c->environ.items[i].new_value);
	fprintf(out, "%s 1 - measurement\n", c->verdict == VERDICT_INVALID ? "not ok" : "ok");
	for (size_t i = 0; i < c->n_rows; i++) {
		const struct compare_row *r = &c->rows[i];
		_cleanup_free_ char *sentence = row_sentence(r);

		fprintf(out, "%s %zu - %s%s%s\n", r->verdict == VERDICT_REGRESSED ? "not ok" : "ok", i + 2,
			figure_table[r->figure].name,
			r->verdict == VERDICT_INCONCLUSIVE ? " # SKIP inconclusive: " : "",
			r->verdict == VERDICT_INCONCLUSIVE && r->why ? r->why : "");
		fprintf(out, "# %s\n", sentence);
	}
	if (c->limits)
		fprintf(out, "%s %zu - limits\n", c->broken.count ? "not ok" : "ok", c->n_rows + 2);
	for (size_t i = 0; i < c->broken.count; i++)
		fprintf(out, "# %s\n", c->broken.items[i]);
	return textbuf_close(&buf);
}

const struct comparison_format comparison_formats[] = {
	{ "text", comparison_text },   { "json", comparison_json_text }, { "markdown", comparison_markdown },
	{ "junit", comparison_junit }, { "tap", comparison_tap },	 { 0 },
};

const struct comparison_format *comparison_format_find(const char *name)
{
	for (const struct comparison_format *f = comparison_formats; f->name; f++)
		if (str_eq(f->name, name))
			return f;
	return NULL;
}
