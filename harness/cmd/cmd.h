/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_CMD_CMD_H
#define MVM_CMD_CMD_H

#include <argp.h>
#include <jansson.h>
#include <stddef.h>

#include "base/err.h"
#include "base/option.h"
#include "record/read.h"

/*
 * One verb of the command line. Its option table, of argp or of rows, is the only place where its
 * options stand: parsing, --help, shell completion and the man page derive from it.
 */
struct command {
	const char *name;
	const char *summary; /* one line, for the list of commands */
	const struct argp *argp;
	const struct option_row *const *(*rows)(void); /* its options, instead of a table of argp; or NULL */
	int (*run)(int argc, char **argv);	       /* argv[0] is the verb; returns the exit status */
};

/* The one table of verbs is in main.c. NULL when there is none of that name, or past the last. */
const struct command *command_find(const char *name);
const struct command *command_at(size_t i);

extern const struct command cmd_run;
extern const struct command cmd_plot;
extern const struct command cmd_table;
extern const struct command cmd_advise;
extern const struct command cmd_matrix;
extern const struct command cmd_classify;
extern const struct command cmd_doctor;
extern const struct command cmd_list;
extern const struct command cmd_compare;
extern const struct command cmd_ab;
extern const struct command cmd_history;
extern const struct command cmd_kernel;
extern const struct command cmd_help;

/* What usage errors end the program with: EXIT_BAD_INPUT, unless a caller such as git reads that otherwise.
 */
extern int cmd_usage_status;
/* Parses with argp; every usage error ends the program with EXIT_BAD_INPUT. */
void cmd_parse(const struct command *c, int argc, char **argv, void *input);
/* A usage error found after parsing: message, pointer to --help, exit status 2. */
void cmd_usage(const struct command *c, const char *fmt, ...) __attribute__((format(printf, 2, 3), noreturn));
/* The value of an option, a number in a range; anything else is a usage error. */
long cmd_whole(struct argp_state *st, const char *option, const char *arg, long min, long max);
double cmd_real(struct argp_state *st, const char *option, const char *arg, double min, double max);
/* The value of an option that may be anything but empty. */
const char *cmd_text(struct argp_state *st, const char *option, const char *arg);
/* For commands with rows: the place of the row that argp's key stands for, or -1; and a usage error of what
   was wrong with the value of an option, which is freed. */
int cmd_row_of_key(const struct option_row *const *rows, int key);
void cmd_taken(struct argp_state *st, error *e);
/* The table that argp and help use; the caller frees it. */
struct argp_option *cmd_options(const struct command *c);
/* Prints a JSON value with so many digits to its numbers (0: all), and frees it. */
void cmd_print_json(json_t *j, unsigned digits);
/* Reads run folders into runs[n], NULL before, whose records the caller frees also after an error; what is
   odd about one is said on stderr. */
error *cmd_load_runs(const char *const *dirs, size_t n, struct run_record **runs) ERR_MUST_CHECK;
/* Prints the error to stderr, frees it, returns its exit status. */
int cmd_fail(error *e);

#endif
