/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_MATRIX_KEYS_H
#define MVM_MATRIX_KEYS_H

#include "base/err.h"
#include "base/option.h"

/*
 * Keys of a .matrix file that the matrix itself uses: K(symbol, key, kind, least, most, words, where).
 * In files '-' and '_' are the same.
 */
#define MATRIX_KEYS(K)                                                  \
	K(SUMMARY, "summary", TEXT, 0, 0, "", GLOBAL)                   \
	K(ROUNDS, "rounds", WHOLE, 1, 1000, "", GLOBAL)                 \
	K(ORDER, "order", WORD, 0, 0, "reverse rotate listed", GLOBAL)  \
	K(RAM_SHARE, "max_ram_share", REAL, 0.001, 1, "", GLOBAL)       \
	K(CELL_MINUTES, "cell_minutes", REAL, 0.05, 100000, "", GLOBAL) \
	K(VM_KB, "vm_kb", REAL, 1, 1e9, "", CONFIG)                     \
	K(VM_CPU_MS, "vm_cpu_ms", REAL, 0.001, 1e6, "", CONFIG)         \
	K(OPTIONS, "options", TEXT, 0, 0, "", CONFIG)                   \
	K(ARCH, "arch", WORD, 0, 0, "x86_64 i386", ANY)                 \
	K(GOVERNOR, "governor", TEXT, 0, 0, "", ANY)
/*
 * All other keys are options of `run`, whose rows say so (base/option.h) and what they take: R(symbol,
 * option) are those that the matrix looks at besides handing them on.
 */
#define MATRIX_RUN_KEYS(R)            \
	R(MAX, "max")                 \
	R(PROFILE, "profile")         \
	R(IMAGE, "image")             \
	R(ACCEL, "accel")             \
	R(QEMU, "qemu")               \
	R(PRESET, "preset")           \
	R(LAUNCH, "launch")           \
	R(BACKEND, "backend")         \
	R(INTERVALS, "intervals")     \
	R(REPEAT, "repeat")           \
	R(SETTLE, "settle")           \
	R(SAMPLES, "samples")         \
	R(SAMPLE_TIME, "sample-time") \
	R(SEED, "seed")               \
	R(RATE, "rate")               \
	R(STOP_ON, "stop-on")         \
	R(NULL_MEM, "null-mem")

enum matrix_key {
#define KEY_SYMBOL(sym, ...) KEY_##sym,
	MATRIX_KEYS(KEY_SYMBOL) MATRIX_RUN_KEYS(KEY_SYMBOL)
#undef KEY_SYMBOL
		KEY_NAMED,
	KEY_ROOM = 64, /* not more keys than that */
};

enum key_kind {
	KIND_TEXT,
	KIND_WORD,  /* one of words */
	KIND_WHOLE, /* or one of words */
	KIND_REAL,  /* or one of words */
	KIND_FLAG,  /* yes or no */
};

/* Where a key may stand; each place allows those after it. */
enum key_where {
	WHERE_GLOBAL, /* [matrix] only */
	WHERE_CONFIG, /* [matrix] and [config NAME] */
	WHERE_ANY,    /* also as a dimension and in rules */
};

struct key_info {
	const char *name;
	const char *words; /* blank-separated */
	double min, max;
	enum key_kind kind;
	enum key_where where;
	const struct option_row *option; /* of `run`; NULL: the matrix itself uses the key */
};
/* All keys: first those with a symbol, in the order of enum matrix_key. */
const struct key_info *matrix_keys(int *ret_count);
const struct key_info *matrix_key_info(int key);

/* The value that stands for "as if the key were not there", in dimensions and rules. */
#define MATRIX_DEFAULT "default"

/* -1 when there is none of that name; '-' and '_' are the same. */
int matrix_key_find(const char *name);
/* NULL when the value suits the key, else what it needs ("a whole number from 1 to 10"); the caller frees it.
 */
char *matrix_key_refuses(enum matrix_key k, const char *value);
/* The names of all keys that may stand at a place, blank-separated; the caller frees it. */
char *matrix_key_names(enum key_where where);

#endif
