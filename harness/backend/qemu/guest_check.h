/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BACKEND_QEMU_GUEST_CHECK_H
#define MVM_BACKEND_QEMU_GUEST_CHECK_H

/*
 * What guests promise (mvm/contract.inc), asked of one image in trial VMs: booted on every machine in every
 * way, or launched as a run does. Not for the VMs of a run, which run/verify.c asks.
 */

#include "backend/qemu/trial.h"

/* What every guest promises; C(symbol, text). A guest that is silent or ticks promises less (contract.inc).
 */
#define GUEST_CLAUSES(C)                                        \
	C(READY, "says its ready line")                         \
	C(PING, "answers ping with pong")                       \
	C(UNKNOWN, "answers an unknown request with ?")         \
	C(EMPTY, "ignores empty lines")                         \
	C(LONG, "answers an overlong line with one ?")          \
	C(BURST, "answers each of many lines at once")          \
	C(SILENT, "says nothing, as it declares")               \
	C(SLEEPS, "sleeps: nothing wakes it while nobody asks") \
	C(RATE, "wakes at no more than its timer's rate")       \
	C(OWN, "has the seed and the phase that are its own")   \
	C(WAKES, "answers after it slept")

enum clause {
#define CLAUSE_SYMBOL(sym, text) CLAUSE_##sym,
	GUEST_CLAUSES(CLAUSE_SYMBOL)
#undef CLAUSE_SYMBOL
		CLAUSES
};
extern const char *const clause_names[CLAUSES];

/* Elsewhere: it cannot be tried in this VM, and detail says what stands for it. */
enum clause_state { CLAUSE_UNTRIED, CLAUSE_KEPT, CLAUSE_BROKEN, CLAUSE_ELSEWHERE };

/* One image in one VM: on one machine, booted one way or launched as a run does, under one accelerator. */
struct guest_check_run {
	char *name;
	char *skipped; /* why it was not tried, or NULL */
	struct {
		enum clause_state state;
		char *detail; /* what was seen instead, or NULL */
	} clauses[CLAUSES];
	const struct guest_image *image;
	pid_t pid;
	int fd;			/* its serial line, which does not block; borrowed from the VM's owner */
	struct trial_boot boot; /* its owner where it was booted for this check alone */
	const struct trial_launch *launch; /* otherwise it is VM number vm of these */
	uint32_t vm;
	char seen[512]; /* what came and was not yet looked at */
	size_t len;
};

struct guest_check {
	const struct guest_image *image;
	struct guest_check_run *runs;
	size_t count;
	struct trial_launch *launches[LAUNCH_AUTO * ACCEL_COUNT];
	size_t launch_count;
};

/* Tries an image with a parameter block in every setting, with quick only from the toolkit's firmware; accel
   is "auto", "tcg" or "kvm". A broken clause is a result, not an error. Clear *ret with guest_check_clear()
   also after an error. */
error *guest_check_image(const struct guest_image *img, const char *qemu, const char *accel, bool quick,
			 struct guest_check *ret) ERR_MUST_CHECK;
/* The same in VMs as a run launches them, TRIAL_VMS in each of the modes (1 << enum launch_mode); qemu is
   the user's choice or NULL for the preset's. */
error *guest_check_launch(const struct guest_image *img, const char *qemu, const char *accel, unsigned modes,
			  struct guest_check *ret) ERR_MUST_CHECK;
void guest_check_clear(struct guest_check *c);

#endif
