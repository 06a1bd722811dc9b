/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_RUN_ANSWERS_H
#define MVM_RUN_ANSWERS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Which VMs run but are unproven: they were asked, and no answer came or a wrong one. Such a VM is not
 * counted until it answers again. Pure: times are the caller's.
 */
struct answer_state {
	uint64_t silent_since_ns; /* when what it did not answer was sent; 0: it is not known to be silent */
	bool unasked;		  /* every VM had to answer, and this one was not asked any more */
};

struct answers {
	struct answer_state *vm;
	uint32_t vms;
	uint32_t silent, unasked; /* how many are in either state */
};

void answers_open(struct answers *a, uint32_t vms);
void answers_close(struct answers *a);
/* Of a population that is gone. */
void answers_reset(struct answers *a);

/* The VM did not answer what was sent at at_ns (> 0); true when it was not silent before. */
bool answers_missed(struct answers *a, uint32_t vm, uint64_t at_ns);
/* It answered: for how many seconds it had been silent; < 0 when it was not. */
double answers_came(struct answers *a, uint32_t vm, uint64_t now_ns);
/* There was no time to ask it, where all must be asked. */
void answers_unasked(struct answers *a, uint32_t vm);
/* A new round of questions: what could not be asked in the last one is forgotten. */
void answers_begin(struct answers *a);
/* It is no member of the population any more. */
void answers_forget(struct answers *a, uint32_t vm);

bool answers_is_silent(const struct answers *a, uint32_t vm);
/* Neither silent nor left out. */
bool answers_is_proven(const struct answers *a, uint32_t vm);
/* VMs that run and must not be counted. */
uint32_t answers_unproven(const struct answers *a);

#endif
