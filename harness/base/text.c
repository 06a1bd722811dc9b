/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/text.h"

#include <ctype.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "base/util.h"

FILE *textbuf_open(struct textbuf *b)
{
	*b = (struct textbuf){ 0 };
	b->f = open_memstream(&b->text, &b->len);
	if (!b->f)
		out_of_memory();
	return b->f;
}

char *textbuf_close(struct textbuf *b)
{
	bool whole = !ferror(b->f);

	if (fclose(b->f) != 0 || !whole)
		out_of_memory();
	return b->text;
}

char *text_thousands(double v, int decimals)
{
	/* nothing that is counted comes near it: its digits would say nothing, and fill lines */
	if (fabs(v) >= 1e15)
		return xasprintf("%.3g", v);
	_cleanup_free_ char *plain = xasprintf("%.*f", decimals, fabs(v));
	size_t whole = strcspn(plain, "."), n = 0;
	char *text = xcalloc(2 * strlen(plain) + 2, 1);

	if (v < 0 && strspn(plain, "0.") != strlen(plain))
		text[n++] = '-';
	for (size_t i = 0; plain[i]; i++) {
		if (i && i < whole && (whole - i) % 3 == 0)
			text[n++] = ',';
		text[n++] = plain[i];
	}
	return text;
}

size_t text_width(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

bool text_is_utf8(const char *s)
{
	json_t *j = json_string(s); /* refuses anything else */

	json_decref(j);
	return j != NULL;
}

char *text_line(const char *s)
{
	bool utf8 = text_is_utf8(s);
	char *line = xstrdup(s);

	for (char *c = line; *c; c++) {
		unsigned char byte = (unsigned char)*c;

		if (byte < ' ' || byte == 0x7f)
			*c = ' ';
		else if (byte >= 0x80 && !utf8)
			*c = '?';
	}
	return line;
}

void text_clean(char *s)
{
	bool utf8 = text_is_utf8(s);

	for (; *s; s++) {
		unsigned char byte = (unsigned char)*s;

		if ((byte < ' ' && byte != '\n' && byte != '\t') || byte == 0x7f || (byte >= 0x80 && !utf8))
			*s = '?';
	}
}

char *text_markdown(const char *s)
{
	char *text = xcalloc(2 * strlen(s) + 1, 1), *to = text;

	for (; *s; s++) {
		bool tag = *s == '<' && (isalpha((unsigned char)s[1]) || (s[1] && strchr("/!?", s[1])));

		if (tag || strchr("\\|*_`>[]", *s))
			*to++ = '\\';
		*to++ = *s == '\n' || *s == '\r' || *s == '\t' ? ' ' : *s;
	}
	return text;
}

char *text_shell(const char *s)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=,./:%@";
	char *quoted, *to;

	if (*s && !s[strspn(s, plain)])
		return xstrdup(s);
	/* a quote takes four characters: out of the quotes, itself behind a backslash, in again */
	quoted = to = xcalloc(4 * strlen(s) + 3, 1);
	*to++ = '\'';
	for (; *s; s++) {
		if (*s == '\'')
			to = stpcpy(to, "'\\'");
		*to++ = *s;
	}
	*to = '\'';
	return quoted;
}

bool text_terminal(FILE *out)
{
	const char *term = getenv("TERM");

	return isatty(fileno(out)) && term && *term && !str_eq(term, "dumb");
}

bool text_colour(FILE *out)
{
	const char *no_color = getenv("NO_COLOR");

	return text_terminal(out) && !(no_color && *no_color);
}
