/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_CMD_COMPARE_H
#define MVM_CMD_COMPARE_H

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

/* Their options: of a configuration that begins with struct judge_args. */
extern const struct option_row judge_rows[];

/* argv tells whether usage errors, too, must mean something to git. */
void judge_init(struct judge_args *a, int argc, char **argv);
/* Checks the limits of the file, if one was given, and prints or writes the answer. */
error *judge_tell(const struct judge_args *a, const struct side *new_side,
		  struct comparison *c) ERR_MUST_CHECK;
/* The exit status; with --bisect that of git. */
int judge_status(const struct judge_args *a, int status);
void judge_clear(struct judge_args *a);

#endif
