/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BASE_UTIL_H
#define MVM_BASE_UTIL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The value of a macro as text. */
#define STRING_OF(macro) STRING_OF_WORD(macro)
#define STRING_OF_WORD(word) #word
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#define _cleanup_(f) __attribute__((cleanup(f)))
static inline void util_freep(void *p)
{
	free(*(void **)p);
}
static inline void util_closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
static inline void util_fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}
#define _cleanup_free_ _cleanup_(util_freep)
#define _cleanup_close_ _cleanup_(util_closep)
#define _cleanup_fclose_ _cleanup_(util_fclosep)
#define _cleanup_err_ _cleanup_(err_freep)

/* Takes a descriptor out of a cleanup variable. */
static inline int steal_fd(int *fd)
{
	int got = *fd;

	*fd = -1;
	return got;
}
/* Takes ownership out of a cleanup variable. */
#define STEAL(p)                            \
	({                                  \
		__typeof__(p) stolen = (p); \
		(p) = NULL;                 \
		stolen;                     \
	})

/* Allocation never fails softly: out of memory ends the program with status 3. */
void out_of_memory(void) __attribute__((noreturn));
void *xcalloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *p, size_t n, size_t size) __attribute__((returns_nonnull));
/* Room for one more item in an array of `count` that grew by this alone: it doubles when it is full. */
static inline void *xgrow(void *p, size_t count, size_t size)
{
	return count & (count - 1) ? p : xrealloc(p, count ? 2 * count : 1, size);
}
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull));
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2), malloc, returns_nonnull));
char *xvasprintf(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0), malloc, returns_nonnull));

/* A NULL-terminated, growing list of owned strings, ready for execve(). */
struct strlist {
	char **items; /* items[count] is NULL once anything was added */
	size_t count;
};
void strlist_add(struct strlist *l, const char *s);
void strlist_addf(struct strlist *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Adds the words of s, split at blanks; "..." keeps blanks inside a word. */
void strlist_add_words(struct strlist *l, const char *s);
/* The items joined by one blank, or by this text between them; the caller frees it. */
char *strlist_join(const struct strlist *l);
char *strlist_join_by(const struct strlist *l, const char *between);
void strlist_clear(struct strlist *l);

/* Whole decimal number in [min, max]; false on anything else, trailing text included. */
bool parse_long(const char *s, long min, long max, long *ret);
/* Finite decimal number in [min, max]; false on anything else. */
bool parse_double(const char *s, double min, double max, double *ret);
/* The same for the value of an option: NULL, or what it needs, which the caller frees. */
char *option_whole(const char *option, const char *arg, long min, long max, long *ret);
char *option_real(const char *option, const char *arg, double min, double max, double *ret);
/* Bytes of a size such as "512M" (K, M, G, T by 1024), or "0"; a bare number could mean anything and is
 * refused. */
bool parse_bytes(const char *s, double *ret);
/* Sums and products of counters, which are not below 0; what does not fit is LLONG_MAX. A broken file of the
   kernel's must not become a number that looks sound. */
static inline long long add_sat(long long a, long long b)
{
	long long sum;

	return __builtin_add_overflow(MAX(a, 0LL), MAX(b, 0LL), &sum) ? INT64_MAX : sum;
}
static inline long long mul_sat(long long a, long long b)
{
	long long product;

	return __builtin_mul_overflow(MAX(a, 0LL), MAX(b, 0LL), &product) ? INT64_MAX : product;
}
bool str_eq(const char *a, const char *b);
bool str_starts(const char *s, const char *prefix);
/* The first line of text into buf, as far as it fits; returns what is behind it, NULL where there is no line.
   sscanf() on a whole text looks for its end at every call. */
const char *str_line(const char *text, char *buf, size_t size);

#endif
