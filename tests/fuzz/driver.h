/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_TESTS_FUZZ_DRIVER_H
#define MVM_TESTS_FUZZ_DRIVER_H

/* What the fuzz targets share; README beside it says how to add one. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/util.h"

#define FUZZ_INPUT_MAX 4096
/* What a parser may take for so long a text of the worst shape: of CPU time, with the sanitizers in it. */
#define FUZZ_LONG_BYTES (1 << 20)
#define FUZZ_LONG_S 2.0

/* head, then unit until FUZZ_LONG_BYTES are full, then tail: a shape that a slow parser is slow at. */
struct fuzz_shape {
	const char *head, *unit, *tail;
};

struct fuzz_target {
	const char *name; /* its inputs are in corpus/NAME */
	/* Tries one input. text[len] is 0, and is the last byte that may be read. */
	void (*run)(const char *text, size_t len);
	const char *const *seeds;	 /* inputs beside those of the corpus, or NULL; the last is NULL */
	const char *const *words;	 /* what means something in them, or NULL; the last is NULL */
	const struct fuzz_shape *shapes; /* or NULL; the last has no unit */
	bool binary;			 /* bytes of 0 are tried too; else an input with one is passed over */
};
/* Every target defines this one. */
extern const struct fuzz_target fuzz_target;

/* Ends the program with what is wrong, and the input. */
void fuzz_must(bool good, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* An error of a parser: EXIT_BAD_INPUT, with a message that begins with or holds `what` ("" asks for nothing
   more). Frees it; true when there was one. */
bool fuzz_refused(error *e, const char *what);

#endif
