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
 * The verbs of a program, mvmscale or mvm. Rows and texts of a verb are the only place where its command line
 * stands: one parser, --help, shell completion and the man page derive from them. Not for what a verb does.
 */
struct command {
	const char *name;
	const char *summary;	 /* one line, for the list of commands */
	const char *usage, *doc; /* what follows the options, and what --help says, as argp takes them */
	const struct option_row *options;	       /* the last has no name */
	const struct option_row *shared;	       /* more of them, of several verbs; or NULL */
	const struct option_row *const *(*rows)(void); /* instead, what is put together elsewhere; or NULL */
	error *(*take)(void *config, size_t at, const char *arg); /* of rows: the option at that place */

	/* Words that are no options: they are kept in the struct strlist at this place of the configuration,
	 * at most so many (0: any number). What is wrong with one more ("%s" is the word), and with none at
	 * all. */
	size_t words, most;
	const char *too_many, *none;
	error *(*check)(void *config); /* after the last: what is wrong with all of it together; or NULL */

	int (*run)(int argc, char **argv); /* argv[0] is the verb; returns the exit status */
};
/* For a verb without such words, whose too_many says so. */
#define NO_WORDS .words = (size_t)-1
/* For one that wants runs. */
#define CMD_NO_RUN "name at least one run folder, such as runs/20260101T120000Z-qemu-dense-sleep"

/* What each program is: in its main.c. */
struct program {
	const char *name;
	const struct command *const *commands; /* the last is NULL */
};
extern const struct program program;

/* NULL when there is none of that name. */
const struct command *command_find(const char *name);
/* All its options; the caller frees the list, which ends with NULL. */
const struct option_row **command_rows(const struct command *c);

/* Before anything else in main(): what the program has printed must reach its file, however it ends. */
void cmd_open(void);

/* What usage errors end the program with: EXIT_BAD_INPUT, unless a caller such as git reads that otherwise.
 */
extern int cmd_usage_status;
/* Fills the configuration; every usage error ends the program with cmd_usage_status. */
void cmd_parse(const struct command *c, int argc, char **argv, void *config);
/* A usage error found after parsing: message, pointer to --help, exit status. */
void cmd_usage(const struct command *c, const char *fmt, ...) __attribute__((format(printf, 2, 3), noreturn));
/* For completion: the options that take a value and what it is, "--accel auto|tcg|kvm" a line. */
void cmd_list_arguments(const struct command *c);
/* Prints a JSON value with so many digits to its numbers (0: all), and frees it. */
void cmd_print_json(json_t *j, unsigned digits);
/* Prints a text, or writes it into the file where one is named. */
error *cmd_tell(const char *text, const char *path) ERR_MUST_CHECK;
/* Reads run folders into a list that cmd_free_runs() frees, also after an error; what is odd about one is
   said on stderr. */
error *cmd_load_runs(const struct strlist *dirs, struct run_record ***ret) ERR_MUST_CHECK;
/* Both lists: what was read and the folders. */
void cmd_free_runs(struct run_record **runs, struct strlist *dirs);
/* Where the runs of a verb go when no folder is named: runs/<time>-<verb>. The caller frees it. */
char *cmd_standard_folder(const char *verb);
/* Calls it on every signal that asks to end: interrupt, termination, hang-up. */
void cmd_on_end(void (*handler)(int));
/* Prints the error to stderr, frees it, returns its exit status. */
int cmd_fail(error *e);

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

#endif
