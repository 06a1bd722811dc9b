/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Runs a target. With clang it is a libFuzzer target; else this mutates its inputs at random:
 *	fuzz_NAME [SECONDS [SEED]]	exits 0 after so long (default 2), and prints TAP
 *	fuzz_NAME FILE...		tries these files, for a crash that was found
 * All of tests/fuzz/corpus/NAME runs first, then the long shapes. It is run from the source folder, or
 * FUZZ_CORPUS says where the corpora are.
 */
#include "driver.h"

#include <dirent.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "base/clock.h"
#include "base/fs.h"

static const char *input; /* what is being tried */
static size_t input_len;

const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	/* its strstr() looks for the end of the text at every call, which makes parsers look slow that are
	 * not */
	return "intercept_strstr=0";
}

const char *__ubsan_default_options(void);
const char *__ubsan_default_options(void)
{
	return "print_stacktrace=1";
}

void fuzz_must(bool good, const char *fmt, ...)
{
	va_list ap;

	if (good)
		return;
	/* NOLINTBEGIN(bugprone-signal-handler): what follows ends the program */
	fprintf(stderr, "fuzz_%s: ", fuzz_target.name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputs(":\n", stderr);
	fwrite(input, 1, input_len > FUZZ_INPUT_MAX ? 200 : input_len, stderr);
	fputc('\n', stderr);
	/* NOLINTEND(bugprone-signal-handler) */
	abort();
}

bool fuzz_refused(error *e, const char *what)
{
	if (!e)
		return false;
	fuzz_must(e->code == EXIT_BAD_INPUT, "refused with status %d: %s", (int)e->code, e->msg);
	fuzz_must(e->msg && *e->msg && strstr(e->msg, what), "the error does not name '%s': %s", what,
		  e->msg);
	err_free(e);
	return true;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	char *text; /* of its own size, so that the address sanitizer sees whoever reads on */

	if (!fuzz_target.binary && size && memchr(data, 0, size))
		return 0; /* files with NUL bytes are refused before they are parsed */
	text = xcalloc(size + 1, 1);
	if (size)
		memcpy(text, data, size);
	input = text;
	input_len = size;
	fuzz_target.run(text, size);
	free(text);
	return 0;
}

#ifndef FUZZ_WITH_LIBFUZZER
#define STUCK_S 10

static void on_stuck(int sig)
{
	(void)sig;
	fuzz_must(false, "this takes more than %d s of CPU time", STUCK_S);
}

static void try_bytes(const void *data, size_t len)
{
	static const struct itimerval most = { .it_value.tv_sec = STUCK_S };

	setitimer(ITIMER_PROF, &most, NULL);
	LLVMFuzzerTestOneInput(data, len);
}

struct inputs {
	char **items;
	size_t *len;
	size_t count;
};

static void keep(struct inputs *all, char *owned, size_t len)
{
	all->items = xrealloc(all->items, all->count + 1, sizeof(*all->items));
	all->len = xrealloc(all->len, all->count + 1, sizeof(*all->len));
	all->items[all->count] = owned;
	all->len[all->count++] = len;
}

static error *read_corpus(struct inputs *all)
{
	const char *given = getenv("FUZZ_CORPUS");
	_cleanup_free_ char *dir = xasprintf("%s/%s", given ? given : "tests/fuzz/corpus", fuzz_target.name);
	_cleanup_(strlist_clear) struct strlist names = { 0 };
	error *e = fs_list(dir, "", &names);

	for (size_t i = 0; !e && i < names.count; i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", dir, names.items[i]);
		char *text = NULL;
		size_t len = 0;

		if (*names.items[i] != '.' && !(e = fs_read(path, &text, &len)))
			keep(all, text, len);
	}
	for (size_t i = 0; fuzz_target.seeds && fuzz_target.seeds[i]; i++)
		keep(all, xstrdup(fuzz_target.seeds[i]), strlen(fuzz_target.seeds[i]));
	if (!e && !all->count)
		e = err_new(EXIT_CANNOT, "%s holds no input: run this from the source folder", dir);
	return e;
}

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void try_shape(const struct fuzz_shape *s)
{
	size_t head = strlen(s->head), unit = strlen(s->unit), tail = strlen(s->tail), n = head;
	char *text = xcalloc(FUZZ_LONG_BYTES + unit + head + tail + 1, 1);

	memcpy(text, s->head, head);
	for (; n < FUZZ_LONG_BYTES; n += unit)
		memcpy(text + n, s->unit, unit);
	memcpy(text + n, s->tail, tail);
	double before = cpu_seconds();
	try_bytes(text, n + tail);
	double took = cpu_seconds() - before;
	input = text;
	input_len = MIN(n, (size_t)200);
	fuzz_must(took < FUZZ_LONG_S, "a text of %zu bytes took %.1f s; it begins", n + tail, took);
	free(text);
}

/* Without an end, unlike a string function. */
static void copy(char *to, const char *from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to[i] = from[i];
}

static const char *some_word(void)
{
	static const char *const common[] = { "0",
					      "-1",
					      "1e9",
					      "nan",
					      "inf",
					      "\n",
					      "=",
					      ",",
					      "%",
					      "\"",
					      " ",
					      "\t",
					      "x",
					      "[",
					      "]",
					      ":",
					      "'",
					      "/",
					      "1e308",
					      "9223372036854775807",
					      "18446744073709551616" };
	size_t own = 0;

	while (fuzz_target.words && fuzz_target.words[own])
		own++;
	size_t i = (size_t)rand() % (own + ARRAY_LEN(common));
	return i < own ? fuzz_target.words[i] : common[i - own];
}

static size_t put_in(char *text, size_t len, size_t at, const char *what, size_t n)
{
	if (len + n >= FUZZ_INPUT_MAX)
		return len;
	memmove(text + at + n, text + at, len - at);
	copy(text + at, what, n);
	return len + n;
}

static size_t mutate(char *text, size_t len)
{
	size_t at = len ? (size_t)rand() % len : 0, some = (size_t)rand() % 64;
	const char *word = some_word();
	size_t n = strlen(word);
	char twice[64];

	switch (rand() % 5) {
	case 0:
		if (len)
			text[at] = (char)(rand() % 256);
		return len;
	case 1: /* leave something out */
		n = MIN(some % 8, len - at);
		memmove(text + at, text + at + n, len - at - n);
		return len - n;
	case 2: /* say it twice */
		n = MIN(some, len - at);
		copy(twice, text + at, n);
		return put_in(text, len, at, twice, n);
	case 3: /* overwrite by a word that means something */
		if (at + n < len)
			copy(text + at, word, n);
		return len;
	default:
		return put_in(text, len, at, word, n);
	}
}

/* As many as the time allows. */
static unsigned long try_damaged(const struct inputs *all, double seconds)
{
	uint64_t start = clock_ns();
	unsigned long tries = 0;

	for (; (double)(clock_ns() - start) < seconds * 1e9; tries++) {
		size_t from = (size_t)rand() % MAX(all->count, 1U),
		       len = MIN(all->len[from], (size_t)FUZZ_INPUT_MAX);
		char text[FUZZ_INPUT_MAX + 1];

		copy(text, all->items[from], len);
		for (int k = rand() % 6; k >= 0; k--)
			len = mutate(text, len);
		try_bytes(text, len);
	}
	return tries;
}

static int try_files(char **paths)
{
	for (; *paths; paths++) {
		char *text = NULL;
		size_t len = 0;
		error *e = fs_read(*paths, &text, &len);

		if (e) {
			fprintf(stderr, "fuzz_%s: %s\n", fuzz_target.name, e->msg);
			err_free(e);
			return EXIT_CANNOT;
		}
		try_bytes(text, len);
		free(text);
		printf("%s: no crash\n", *paths);
	}
	return EXIT_DONE;
}

int main(int argc, char **argv)
{
	double seconds = 2;
	long seed = 1;
	struct inputs all = { 0 };
	size_t shapes = 0;

	if (argc > 1 && access(argv[1], R_OK) == 0)
		return try_files(argv + 1);
	if ((argc > 1 && !parse_double(argv[1], 0, 1e6, &seconds)) ||
	    (argc > 2 && !parse_long(argv[2], 0, INT32_MAX, &seed))) {
		fprintf(stderr, "usage: fuzz_%s [SECONDS [SEED]] | FILE...\n", fuzz_target.name);
		return EXIT_BAD_INPUT;
	}
	error *e = read_corpus(&all);
	if (e) {
		printf("not ok 1 - %s\n1..1\n", e->msg);
		err_free(e);
		return EXIT_CANNOT;
	}
	signal(SIGPROF, on_stuck);
	srand((unsigned)seed);
	for (size_t i = 0; i < all.count; i++)
		try_bytes(all.items[i], all.len[i]);
	for (; fuzz_target.shapes && fuzz_target.shapes[shapes].unit; shapes++)
		try_shape(&fuzz_target.shapes[shapes]);
	unsigned long tries = try_damaged(&all, seconds);
	printf("ok 1 - %s: %lu damaged inputs of %zu, %zu long ones, seed %ld\n1..1\n", fuzz_target.name,
	       tries, all.count, shapes, seed);
	for (size_t i = 0; i < all.count; i++)
		free(all.items[i]);
	free(all.items);
	free(all.len);
	return EXIT_DONE;
}
#endif
