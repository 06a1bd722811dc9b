/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_ADVISE_STEPS_H
#define MVM_ADVISE_STEPS_H

/* Private to the advise stage: the steps from a record to its advice. All pure. */

#include "advise/verdict.h"

/* How the count to plan with is chosen. */
#define ADVICE_SAFE_RULE "the lower end of the 95 % prediction interval at the threshold"

/* A way to the end: a metric at the threshold, or a limit of the system. */
struct candidate {
	char *name;
	const struct metric_advice *metric; /* NULL: a limit */
	double vms, lower, upper;
	bool measured;
};

struct candidates {
	struct candidate items[RESOURCE_COUNT + 1];
	size_t n; /* the first binds */
};

/* caveats.c: reasons (a doubt turns a->ok off), what the answer rests on, and what would refute it. */
void advice_caveats(const struct run_record *r, const struct candidates *c, struct advice *a);
void advice_assume(const struct run_record *r, struct advice *a);
void advice_falsify(const struct run_record *r, struct advice *a);
/* classify.c: fills class, class_name and class_probability. */
void advice_classify(const struct run_record *r, const struct candidates *c, struct advice *a);
/* Whether the run tells enough of both CPU and RAM to say what they do; else `missing` names those of which
   it does not (the caller frees it; NULL: not wanted). */
bool advice_tells_both(const struct advice *a, char **missing);
/* Whether a run such as this one raises that limit by itself when it needs more of it. */
bool advice_raises_limits(const struct run_record *r, const char *name);
/* null for what is not finite; a new reference. */
json_t *advice_real(double v);
/* "RAM" for "ram", "the limit pid_max" for "limit:pid_max"; the caller frees it. */
char *advice_spoken(const struct advice *a, const char *resource);

#endif
