/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BACKEND_CONTRACT_H
#define MVM_BACKEND_CONTRACT_H

#include "backend/solo.h"

/* What every guest promises; C(symbol, text). A guest that is silent or ticks promises less (contract.inc).
 */
#define CONTRACT_CLAUSES(C)                                     \
	C(READY, "says its ready line")                         \
	C(PING, "answers ping with pong")                       \
	C(UNKNOWN, "answers an unknown request with ?")         \
	C(EMPTY, "ignores empty lines")                         \
	C(LONG, "answers an overlong line with one ?")          \
	C(BURST, "answers each of many lines at once")          \
	C(SILENT, "says nothing, as it declares")               \
	C(SLEEPS, "sleeps: nothing wakes it while nobody asks") \
	C(RATE, "wakes at no more than its timer's rate")       \
	C(WAKES, "answers after it slept")

enum clause {
#define CLAUSE_SYMBOL(sym, text) CLAUSE_##sym,
	CONTRACT_CLAUSES(CLAUSE_SYMBOL)
#undef CLAUSE_SYMBOL
		CLAUSES
};
extern const char *const clause_names[CLAUSES];

enum clause_state { CLAUSE_UNTRIED, CLAUSE_KEPT, CLAUSE_BROKEN };

/* One image on one machine, booted one way, under one accelerator. */
struct contract_run {
	char *name;
	char *skipped; /* why it was not tried, or NULL */
	struct {
		enum clause_state state;
		char *detail; /* what was seen instead, or NULL */
	} clauses[CLAUSES];
	struct solo solo;
	char seen[512]; /* what came and was not yet looked at */
	size_t len;
};

struct contract_check {
	struct contract_run *runs;
	size_t count;
};

/* Tries an image with a parameter block in every setting, with quick only from the toolkit's firmware; accel
   is "auto", "tcg" or "kvm". A broken clause is
   a result, not an error. Clear *ret with contract_check_clear() also after an error. */
error *contract_check_image(const struct guest_image *img, const char *qemu, const char *accel, bool quick,
			    struct contract_check *ret) ERR_MUST_CHECK;
void contract_check_clear(struct contract_check *c);

#endif
