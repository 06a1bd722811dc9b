/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_CMD_MVM_MVM_H
#define MVM_CMD_MVM_MVM_H

#include <argp.h>

#include "base/err.h"

/*
 * One verb of the guest toolkit. Its argp option table is the only place where its
 * options stand: parsing, --help and shell completion derive from it.
 */
struct mvm_verb {
	const char *name;
	const char *summary; /* one line, for the list of verbs */
	const struct argp *argp;
	int (*run)(int argc, char **argv); /* argv[0] is the verb; returns the exit status */
};

extern const struct argp mvm_build_argp;
extern const struct argp mvm_inspect_argp;
extern const struct argp mvm_boot_argp;
extern const struct argp mvm_list_argp;
extern const struct argp mvm_verify_argp;
extern const struct argp mvm_wave_argp;
int mvm_build(int argc, char **argv);
int mvm_inspect(int argc, char **argv);
int mvm_boot(int argc, char **argv);
int mvm_list(int argc, char **argv);
int mvm_verify(int argc, char **argv);
int mvm_wave(int argc, char **argv);

/* Parses as "mvm VERB" (argv[0] is the verb); a usage error ends the program with EXIT_BAD_INPUT. */
void mvm_parse(const struct argp *argp, int argc, char **argv, void *input);
/* The value of an option, a number in a range; anything else is a usage error. */
long mvm_whole(struct argp_state *st, const char *option, const char *arg, long min, long max);
double mvm_real(struct argp_state *st, const char *option, const char *arg, double min, double max);
/* Prints the error to stderr, frees it, returns its exit status. */
int mvm_fail(error *e);

#endif
