/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BACKEND_QEMU_TUNE_H
#define MVM_BACKEND_QEMU_TUNE_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"

/* The density techniques: T(symbol, name, what it does). The one table; presets and --tune use the names. */
#define TECHNIQUES(T)                                                                              \
	T(NOASLR, "noaslr", "fixed addresses: mappings fall together, heaps become alike")         \
	T(ONE_ARENA, "one-arena", "one malloc arena for all threads of a QEMU")                    \
	T(NO_TCACHE, "no-tcache", "no random key in freed memory, so that equal heaps stay equal") \
	T(SMALL_STACKS, "small-stacks", "256 kB of address space for a thread's stack, not 8 MB")  \
	T(LATE_THREADS, "late-threads", "threads of a clone are made when it first wakes")         \
	T(LAZY_LIBS, "lazy-libs", "libraries that a sleeping QEMU needs not are mapped on touch")  \
	T(KSM, "ksm", "the kernel merges equal pages of all VMs (PR_SET_MEMORY_MERGE)")

enum technique {
#define TECHNIQUE_SYMBOL(sym, name, what) TECH_##sym,
	TECHNIQUES(TECHNIQUE_SYMBOL)
#undef TECHNIQUE_SYMBOL
		TECH_COUNT
};
extern const char *const technique_names[TECH_COUNT];
extern const char *const technique_texts[TECH_COUNT];

/* Which techniques are asked for, which are in force, and how that is known or why not. */
struct tuning {
	struct {
		bool asked, in_force;
		char *note;
	} t[TECH_COUNT];
};

/* The preset's words, then the user's changes "+name,-name"; unknown names list the known. Pure. */
error *tuning_parse(const char *preset_words, const char *changes, struct tuning *ret) ERR_MUST_CHECK;
/* Whether the user's changes take that technique away. Pure. */
bool tuning_leaves_out(const char *changes, enum technique t);
void tuning_note(struct tuning *t, enum technique k, bool in_force, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* {"name": {"asked", "in_force", "note"}} */
json_t *tuning_json(const struct tuning *t);
void tuning_clear(struct tuning *t);

#endif
