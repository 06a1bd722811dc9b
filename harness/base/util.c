/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/util.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"

void out_of_memory(void)
{
	static const char text[] = "mvmscale: out of memory: the harness itself could not allocate\n";

	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0) {
		/* nothing is left to tell it to */
	}
	_exit(EXIT_CANNOT);
}

void *xcalloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size ? size : 1);

	if (!p)
		out_of_memory();
	return p;
}

void *xrealloc(void *p, size_t n, size_t size)
{
	void *q = reallocarray(p, n ? n : 1, size);

	if (!q)
		out_of_memory();
	return q;
}

char *xstrdup(const char *s)
{
	char *p = strdup(s);

	if (!p)
		out_of_memory();
	return p;
}

char *xvasprintf(const char *fmt, va_list ap)
{
	char *p = NULL;

	if (vasprintf(&p, fmt, ap) < 0)
		out_of_memory();
	return p;
}

char *xasprintf(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	char *p = xvasprintf(fmt, ap);
	va_end(ap);
	return p;
}

static void strlist_push(struct strlist *l, char *owned)
{
	l->items = xgrow(l->items, l->count + 1, sizeof(*l->items));
	l->items[l->count++] = owned;
	l->items[l->count] = NULL;
}

void strlist_add(struct strlist *l, const char *s)
{
	strlist_push(l, xstrdup(s));
}

void strlist_addf(struct strlist *l, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	strlist_push(l, xvasprintf(fmt, ap));
	va_end(ap);
}

/* Bytes up to the blank that ends the word, quotes included. */
static size_t word_length(const char *s)
{
	bool quoted = false;
	size_t n = 0;

	for (; s[n] && (quoted || !strchr(" \t\n", s[n])); n++)
		quoted ^= s[n] == '"';
	return n;
}

void strlist_add_words(struct strlist *l, const char *s)
{
	while (*s) {
		s += strspn(s, " \t\n");
		if (!*s)
			return;
		char *word = xcalloc(word_length(s) + 1, 1);
		size_t n = 0;
		bool quoted = false;

		for (; *s && (quoted || !strchr(" \t\n", *s)); s++) {
			if (*s == '"')
				quoted = !quoted;
			else
				word[n++] = *s;
		}
		strlist_push(l, word);
	}
}

char *strlist_join(const struct strlist *l)
{
	return strlist_join_by(l, " ");
}

char *strlist_join_by(const struct strlist *l, const char *between)
{
	struct textbuf buf;
	FILE *f = textbuf_open(&buf);

	for (size_t i = 0; i < l->count; i++)
		fprintf(f, "%s%s", i ? between : "", l->items[i]);
	return textbuf_close(&buf);
}

void strlist_clear(struct strlist *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->items[i]);
	free(l->items);
	*l = (struct strlist){ 0 };
}

/* A decimal number and nothing before it: strtol() and strtod() take blanks, strtod() also hexadecimal
 * numbers. */
static bool looks_decimal(const char *s)
{
	return s && *s && strchr("+-.0123456789", *s) && !strpbrk(s, "xX");
}

bool parse_long(const char *s, long min, long max, long *ret)
{
	char *end;

	if (!looks_decimal(s))
		return false;
	errno = 0;
	long v = strtol(s, &end, 10);
	if (errno || *end || v < min || v > max)
		return false;
	*ret = v;
	return true;
}

bool parse_double(const char *s, double min, double max, double *ret)
{
	char *end;

	if (!looks_decimal(s))
		return false;
	errno = 0;
	double v = strtod(s, &end);
	if (errno || *end || !isfinite(v) || v < min || v > max)
		return false;
	*ret = v;
	return true;
}

char *option_whole(const char *option, const char *arg, long min, long max, long *ret)
{
	return parse_long(arg, min, max, ret)
		       ? NULL
		       : xasprintf("--%s '%s': needs a whole number from %ld to %ld", option, arg, min, max);
}

char *option_real(const char *option, const char *arg, double min, double max, double *ret)
{
	return parse_double(arg, min, max, ret)
		       ? NULL
		       : xasprintf("--%s '%s': needs a number from %.10g to %.10g", option, arg, min, max);
}

bool parse_bytes(const char *s, double *ret)
{
	static const char units[] = "KMGT";
	size_t n = s ? strlen(s) : 0;
	const char *unit = n ? strchr(units, s[n - 1]) : NULL;
	char number[64];

	if (!s || n >= sizeof(number))
		return false;
	snprintf(number, sizeof(number), "%.*s", (int)(unit ? n - 1 : n), s);
	if (!parse_double(number, 0, 1e12, ret) || (!unit && *ret != 0))
		return false;
	*ret *= unit ? pow(1024, (double)(unit - units) + 1) : 0;
	return true;
}

bool str_eq(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

bool str_starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

const char *str_line(const char *text, char *buf, size_t size)
{
	size_t len = strcspn(text, "\n"), n = MIN(len, size - 1);

	if (!*text)
		return NULL;
	memcpy(buf, text, n);
	buf[n] = '\0';
	return text + len + (text[len] == '\n');
}
