/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_CMD_COMPARE_H
#define MVM_CMD_COMPARE_H

#include <argp.h>

#include "cmd/cmd.h"
#include "compare/compare.h"
#include "compare/format.h"
#include "compare/slo.h"

/* How two sides are compared and told: what the commands compare and ab have in common. */
struct judge_args {
	struct compare_options o;
	const struct comparison_format *format;
	const char *output;
	struct slo *slo;
	bool bisect;
};

enum judge_key {
	JUDGE_FORMAT = 0x4000,
	JUDGE_JSON,
	JUDGE_METRIC,
	JUDGE_GATE,
	JUDGE_SLO,
	JUDGE_ALPHA,
	JUDGE_HOST,
	JUDGE_BISECT,
	JUDGE_LIST,
	JUDGE_OUTPUT = 'o',
};

/* Their entries of an option table. */
#define JUDGE_OPTIONS                                                                                       \
	{ NULL, 0, NULL, 0, "How to judge:", 2 },                                                           \
		{ "metric",                                                                                 \
		  JUDGE_METRIC,                                                                             \
		  "NAME,...",                                                                               \
		  0,                                                                                        \
		  "Compare only these figures; each of them must then be told",                             \
		  0 },                                                                                      \
		{ "gate",                                                                                   \
		  JUDGE_GATE,                                                                               \
		  "NAME=CHANGE",                                                                            \
		  0,                                                                                        \
		  "Smallest change of a figure that counts, such as mem_per_vm_kb=3% or idle_cpu_pct=0.2",  \
		  0 },                                                                                      \
		{ "slo",                                                                                    \
		  JUDGE_SLO,                                                                                \
		  "NAME|FILE",                                                                              \
		  0,                                                                                        \
		  "File of limits: gates, and what the new side must keep by itself",                       \
		  0 },                                                                                      \
		{ "alpha",                                                                                  \
		  JUDGE_ALPHA,                                                                              \
		  "P",                                                                                      \
		  0,                                                                                        \
		  "Chance to find a difference between equals, over all figures together (default 0.01)",   \
		  0 },                                                                                      \
		{ "other-host", JUDGE_HOST, NULL, 0, "Compare runs of different hosts all the same", 0 },   \
		{ "list",                                                                                   \
		  JUDGE_LIST,                                                                               \
		  NULL,                                                                                     \
		  0,                                                                                        \
		  "List the figures that are compared, with unit and gate, and end",                        \
		  0 },                                                                                      \
		{ NULL, 0, NULL, 0, "How to tell:", 3 }, { "format",                                        \
							   JUDGE_FORMAT,                                    \
							   "text|json|markdown|junit|tap",                  \
							   0,                                               \
							   "Form of the answer (default text)",             \
							   0 },                                             \
		{ "json", JUDGE_JSON, NULL, 0, "The same as --format json", 0 },                            \
	{                                                                                                   \
		"bisect", JUDGE_BISECT, NULL, 0,                                                            \
			"Exit as 'git bisect run' wants it: 0 good, 1 bad, 125 cannot tell, 128 stop (bad " \
			"input, cannot run here)",                                                          \
			0                                                                                   \
	}

/* argv tells whether usage errors, too, must mean something to git. */
void judge_init(struct judge_args *a, int argc, char **argv);
/* One option of JUDGE_OPTIONS; ARGP_ERR_UNKNOWN when it is none. */
error_t judge_parse(int key, char *arg, struct argp_state *st, struct judge_args *a);
/* Checks the limits of the file, if one was given, and prints or writes the answer. */
error *judge_tell(const struct judge_args *a, const struct side *new_side,
		  struct comparison *c) ERR_MUST_CHECK;
/* The exit status; with --bisect that of git. */
int judge_status(const struct judge_args *a, int status);
void judge_clear(struct judge_args *a);

#endif
