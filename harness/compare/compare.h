/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_COMPARE_COMPARE_H
#define MVM_COMPARE_COMPARE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/util.h"
#include "compare/env_diff.h"
#include "compare/figure.h"
#include "record/read.h"

/* Chance that a comparison of equals finds any difference, over all its figures together. */
#define COMPARE_ALPHA 0.01
/* Chance to pass a figure that is worse by its gate. */
#define COMPARE_BETA 0.05
/* Confidence of the intervals that are shown. */
#define COMPARE_CONFIDENCE 0.95
/* More runs than this are not asked for: a larger population settles it sooner. */
#define COMPARE_MORE_MAX 200

enum verdict { VERDICT_PASS, VERDICT_IMPROVED, VERDICT_REGRESSED, VERDICT_INCONCLUSIVE, VERDICT_INVALID };
extern const char *const verdict_names[VERDICT_INVALID + 1];
/* 0 pass and improved, 1 regressed, 4 inconclusive, 5 invalid. */
enum exit_code verdict_status(enum verdict v);

/* The runs of one side; the records are owned. */
struct side {
	struct run_record **runs;
	size_t n;
};

struct compare_options {
	double alpha, beta;
	double gates[FIGURE_COUNT];	/* NAN: the table's */
	bool selected[FIGURE_COUNT];	/* compare only these; none set: all */
	const struct strlist *intended; /* options of run that differ on purpose, or NULL */
	bool other_host;		/* figures of different hosts are wanted */
};
/* alpha, beta and the table's gates; all figures. */
struct compare_options compare_defaults(void);

struct compare_row {
	enum figure figure;
	size_t n_base, n_new;
	double base, new_value;			  /* medians of the runs */
	double base_interval[2], new_interval[2]; /* bootstrap */
	double change, change_lo, change_hi;	  /* ratio new / base, or difference */
	double p, p_holm, delta;		  /* rank test, adjusted, Cliff's delta */
	double gate;
	bool decides;
	enum verdict verdict;
	size_t more; /* runs a side to add before it can be told; 0 with another verdict or no hope */
	char *why;   /* NULL, or a sentence */
};

struct comparison {
	enum verdict verdict;
	char **base_dirs, **new_dirs;
	size_t n_base, n_new;
	double top; /* VMs up to which all runs are compared */
	struct compare_row *rows;
	size_t n_rows;
	size_t more; /* runs a side to add; 0 when not inconclusive for that */
	double alpha;
	struct env_diff environ;
	char *untold; /* why nothing can be passed: a figure that must be told is not there; or NULL */
	char *limits; /* name of the file of limits that was checked, or NULL */
	struct strlist broken;	/* its limits that the new side does not keep */
	struct strlist reasons; /* why invalid, and what to bear in mind */
};

/*
 * Compares two sides figure by figure. A run is one observation. A figure regressed or improved when the rank
 * test, adjusted over all figures (Holm), is below alpha AND the change is beyond the gate. It passes when it
 * is not worse by the gate with confidence 1 - beta. Otherwise it is inconclusive, and says how many more
 * runs it takes. Without figures named by --metric, memory per VM and CPU of idle VMs must be there to pass;
 * those that are named, and those that must be told and only one side has, as well. Pure. The caller frees
 * *ret. EXIT_INCONCLUSIVE when a run has no interval with VMs.
 */
error *compare_sides(const struct side *base, const struct side *new_side, const struct compare_options *o,
		     struct comparison **ret) ERR_MUST_CHECK;
void comparison_free(struct comparison *c);
static inline void comparison_freep(struct comparison **c)
{
	comparison_free(*c);
}

/* Adds a run folder, or all run folders in a folder. Errors as run_record_load(). */
error *side_load(struct side *s, const char *dir) ERR_MUST_CHECK;
void side_clear(struct side *s);

#endif
