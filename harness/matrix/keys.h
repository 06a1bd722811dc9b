/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_MATRIX_KEYS_H
#define MVM_MATRIX_KEYS_H

#include "base/err.h"

/*
 * Every key of a .matrix file: K(symbol, key, option of `run`, kind, least, most, words, where).
 * The one table: reading, checking and the command line of a run derive from it. An option
 * of "" means that the matrix itself uses the key. In files '-' and '_' are the same.
 */
#define MATRIX_KEYS(K)                                                                  \
	K(SUMMARY, "summary", "", TEXT, 0, 0, "", GLOBAL)                               \
	K(ROUNDS, "rounds", "", WHOLE, 1, 1000, "", GLOBAL)                             \
	K(ORDER, "order", "", WORD, 0, 0, "reverse rotate listed", GLOBAL)              \
	K(RAM_SHARE, "max_ram_share", "", REAL, 0.001, 1, "", GLOBAL)                   \
	K(CELL_MINUTES, "cell_minutes", "", REAL, 0.05, 100000, "", GLOBAL)             \
	K(MAX, "max", "--max", COUNT, 1, 10000000, "auto each", CONFIG)                 \
	K(VM_KB, "vm_kb", "", REAL, 1, 1e9, "", CONFIG)                                 \
	K(VM_CPU_MS, "vm_cpu_ms", "", REAL, 0.001, 1e6, "", CONFIG)                     \
	K(OPTIONS, "options", "", TEXT, 0, 0, "", CONFIG)                               \
	K(PROFILE, "profile", "--profile", TEXT, 0, 0, "", ANY)                         \
	K(IMAGE, "image", "--image", TEXT, 0, 0, "", ANY)                               \
	K(ACCEL, "accel", "--accel", WORD, 0, 0, "auto tcg kvm", ANY)                   \
	K(ARCH, "arch", "", WORD, 0, 0, "x86_64 i386", ANY)                             \
	K(QEMU, "qemu", "--qemu", TEXT, 0, 0, "", ANY)                                  \
	K(PRESET, "preset", "--preset", TEXT, 0, 0, "", ANY)                            \
	K(LAUNCH, "launch", "--launch", WORD, 0, 0, "auto exec fork clone", ANY)        \
	K(TUNE, "tune", "--tune", TEXT, 0, 0, "", ANY)                                  \
	K(GOVERNOR, "governor", "", TEXT, 0, 0, "", ANY)                                \
	K(BACKEND, "backend", "--backend", TEXT, 0, 0, "", ANY)                         \
	K(INTERVALS, "intervals", "--intervals", WHOLE, 1, 10000, "", ANY)              \
	K(THRESHOLD, "threshold", "--threshold", REAL, 1, 99, "", ANY)                  \
	K(STOP_ON, "stop_on", "--stop-on", TEXT, 0, 0, "", ANY)                         \
	K(REPEAT, "repeat", "--repeat", WHOLE, 1, 1000, "", ANY)                        \
	K(SETTLE, "settle", "--settle", REAL, 0, 3600, "auto", ANY)                     \
	K(SAMPLES, "samples", "--samples", WHOLE, 2, 10000, "", ANY)                    \
	K(SAMPLE_TIME, "sample_time", "--sample-time", REAL, 0.001, 600, "", ANY)       \
	K(VERIFY, "verify", "--verify", TEXT, 0, 0, "", ANY)                            \
	K(SEED, "seed", "--seed", WHOLE, 0, 4294966295.0, "", ANY)                      \
	K(RATE, "rate", "--rate", REAL, 0.001, 1e6, "", ANY)                            \
	K(JOBS, "jobs", "--jobs", WHOLE, 1, 256, "", ANY)                               \
	K(READY_TIMEOUT, "ready_timeout", "--ready-timeout", REAL, 0.05, 3600, "", ANY) \
	K(NO_RAISE, "no_raise", "--no-raise", FLAG, 0, 0, "yes no", ANY)                \
	K(SWAP, "swap", "--swap", TEXT, 0, 0, "", ANY)                                  \
	K(NULL_MEM, "null_mem", "--null-mem", REAL, 0, 1e9, "", ANY)                    \
	K(NULL_CPU, "null_cpu", "--null-cpu", REAL, 0, 100, "", ANY)                    \
	K(NULL_START, "null_start", "--null-start", REAL, 0, 60000, "", ANY)            \
	K(NULL_NOISE, "null_noise", "--null-noise", REAL, 0, 1, "", ANY)

enum matrix_key {
#define KEY_SYMBOL(sym, key, option, kind, min, max, words, where) KEY_##sym,
	MATRIX_KEYS(KEY_SYMBOL)
#undef KEY_SYMBOL
		KEY_COUNT
};

enum key_kind {
	KIND_TEXT,
	KIND_WORD,  /* one of words */
	KIND_WHOLE, /* or one of words */
	KIND_REAL,  /* or one of words */
	KIND_COUNT, /* like KIND_WHOLE */
	KIND_FLAG,  /* yes or no */
};

/* Where a key may stand; each place allows those after it. */
enum key_where {
	WHERE_GLOBAL, /* [matrix] only */
	WHERE_CONFIG, /* [matrix] and [config NAME] */
	WHERE_ANY,    /* also as a dimension and in rules */
};

struct key_info {
	const char *name, *option;
	const char *words; /* blank-separated */
	double min, max;
	enum key_kind kind;
	enum key_where where;
};
extern const struct key_info matrix_keys[KEY_COUNT];

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
