/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Texts on their way into other languages: gnuplot, XML, a shell, Markdown, a terminal. Whatever a title, a
 * path or a guest says, it stays one piece of text there.
 */
#include <string.h>

#include "backend/libvirt/template.h"
#include "base/text.h"
#include "driver.h"
#include "report/gnuplot.h"
#include "report/plot_text.h"

/* Inside the quotes of gnuplot nothing may stand that it expands or that ends them. */
static void gnuplot(const char *text)
{
	_cleanup_free_ char *quoted = plot_quote(text), *said = NULL;
	size_t n = strlen(quoted), size = 0;
	FILE *out = open_memstream(&said, &size);

	fuzz_must(n >= 2 && quoted[0] == '"' && quoted[n - 1] == '"', "it is not in quotes: %s", quoted);
	for (size_t i = 1; i + 1 < n; i++) {
		unsigned char c = (unsigned char)quoted[i];

		fuzz_must(c >= ' ' && c != 0x7f && !strchr("\"'`@$%{}", c), "gnuplot would see '%c' in %s", c,
			  quoted);
		if (c != '\\')
			continue;
		fuzz_must(i + 4 < n && strspn(quoted + i + 1, "01234567") >= 3,
			  "gnuplot would see a bare \\ in %s", quoted);
		i += 3;
	}
	gnuplot_string(out, "title", text);
	fclose(out);
	fuzz_must(strchr(said, '\n') == said + size - 1, "a script of two lines");
	_cleanup_free_ char *cut = plot_cut(text, 5);
	fuzz_must(text_width(cut) <= MAX(text_width(text), (size_t)5), "a cut text grew");
}

/* The shell takes it apart as one word, the same that went in. */
static void shell(const char *text)
{
	_cleanup_free_ char *quoted = text_shell(text), *back = xcalloc(strlen(quoted) + 1, 1);
	bool in = false;
	size_t n = 0;

	for (const char *s = quoted; *s; s++) {
		if (*s == '\'')
			in = !in;
		else if (!in && *s == '\\')
			back[n++] = *++s;
		else if (in || !strchr(" \t\n;&|<>()$`\"*?[]#~!{}", *s))
			back[n++] = *s;
		else
			fuzz_must(false, "the shell would see '%c' in %s", *s, quoted);
	}
	fuzz_must(!in && str_eq(back, text), "the shell would read '%s'", back);
}

/* Unescaped, an attribute's value is the text again; and nothing in it ends the attribute. */
static void xml(const char *text)
{
	static const char form[] = "<domain><name>{name}</name><uuid>{uuid}</uuid><x a='{image}'/></domain>";
	struct lv_template *t = NULL;
	error *e = lv_template_parse(form, "x.domain", &t);

	fuzz_must(!e, "the fixture does not parse");
	struct lv_values v = { .name = "n", .uuid = "u", .image = text };
	_cleanup_free_ char *all = lv_template_fill(t, &v);
	char *from = strstr(all, "<x a='"), *end = strstr(all, "'/></domain>");
	fuzz_must(from && end && end[strlen("'/></domain>")] == '\0', "the frame is broken: %s", all);
	for (const char *c = from ? from + 6 : end; c && c < end; c++)
		fuzz_must(!strchr("<'\"", *c), "'%c' in an attribute: %s", *c, all);
	lv_template_free(t);
	t = NULL;
	/* as a template itself */
	if (!fuzz_refused(lv_template_parse(text, "y.domain", &t), "y.domain")) {
		_cleanup_free_ char *filled = lv_template_fill(t, &v);

		fuzz_must(t->tasks >= 0 && t->fds >= 0 && t->mem_kb > 0, "a cost is below 0");
		fuzz_must(!strstr(text, "{name}{name}") || strstr(filled, "nn"), "a name is not put in");
		lv_template_free(t);
	}
}

static void lines(const char *text)
{
	_cleanup_free_ char *line = text_line(text), *copy = xstrdup(text), *cell = text_markdown(text);

	text_clean(copy);
	fuzz_must(text_is_utf8(line) && text_is_utf8(copy), "not UTF-8");
	for (const char *c = line; *c; c++)
		fuzz_must((unsigned char)*c >= ' ' && *c != 0x7f, "a line holds control characters");
	for (const char *c = copy; *c; c++)
		fuzz_must((unsigned char)*c >= ' ' || *c == '\n' || *c == '\t',
			  "a text holds control characters");
	for (const char *c = cell; *c; c++) {
		fuzz_must(*c != '\n' && *c != '|', "a cell ends at '%c'", *c);
		c += *c == '\\' && c[1];
	}
}

static void run(const char *text, size_t len)
{
	(void)len;
	gnuplot(text);
	shell(text);
	xml(text);
	lines(text);
}

static const char *const seeds[] = { "plain",
				     "a `touch x` \"b\" 'c' @d $e %f {g} \\h",
				     "\xc3\xa4\xff\x1b[31m",
				     "| *x* <b>",
				     "it's",
				     "",
				     "ready = console\n<domain>{name}{uuid}{type}{image}</domain>",
				     "<domain><name>{name}</name><uuid>{uuid}</uuid>{nope}",
				     NULL };
static const char *const words[] = { "`",
				     "\\",
				     "'",
				     "\"",
				     "&lt;",
				     "<",
				     "{name}",
				     "{uuid}",
				     "{image}",
				     "\xe2\x80\xa6",
				     "\x1b",
				     "[template]\n",
				     "ready = running\n",
				     NULL };
static const struct fuzz_shape shapes[] = {
	{ "", "a", "" },
	{ "", "`", "" },
	{ "", "'", "" },
	{ "", "{name}", "" },
	{ "<{name}{uuid}", "{", "" },
	{ "", "\xff", "" },
	{ "", "<", "" },
	{ 0 },
};

const struct fuzz_target fuzz_target = {
	.name = "text", .run = run, .seeds = seeds, .words = words, .shapes = shapes
};
