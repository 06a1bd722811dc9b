/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BASE_OPTION_H
#define MVM_BASE_OPTION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/util.h"

/*
 * One option of a command line, told once: name, help, kind, range, and where its value goes. Parsing, range
 * messages, --help, man page, completion, keys of a matrix, the sides of `ab` and what a backend refuses are
 * read from such rows. Not for what several options mean together, and nothing here prints.
 */
enum option_kind {
	OPT_NOTHING, /* accepted, no value, nothing kept */
	OPT_FLAG,    /* bool */
	OPT_WHOLE,   /* unsigned */
	OPT_REAL,    /* double */
	OPT_TEXT,    /* const char *, not empty */
	OPT_ANY,     /* const char * */
	OPT_WORD,    /* const char *, one of words */
	OPT_CHOICE,  /* unsigned or enum: the place of one of words among them */
	OPT_LIST,    /* struct strlist, to which it is added */
};

/* Whether a .matrix file may hold it, and where. */
enum option_key {
	OPT_NO_KEY,
	OPT_KEY_CONFIG, /* [matrix] and [config NAME] */
	OPT_KEY,	/* also as a dimension and in rules */
};

/* In the order in which a row is read. */
/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding) */
struct option_row {
	const char *name;
	int letter; /* short name, or 0 */
	const char *arg;
	const char *group; /* heading in --help and man page; NULL: none */
	enum option_kind kind;
	size_t offset; /* of its value in the configuration */
	const char *help;
	double min, max;   /* of a number */
	const char *words; /* blank-separated: of OPT_WORD and OPT_CHOICE all; what a number takes besides,
			      which then is -1 of OPT_REAL and 0 of OPT_WHOLE */
	/* Instead of the kind's own way to keep a value, which is checked before. */
	error *(*take)(const struct option_row *o, const char *arg, void *config);
	const char *bare;   /* value when it is given without one; NULL: it needs one */
	const char *silent; /* value that asks for nothing: it is as if the option were not given */
	unsigned needs;	    /* flags of which a backend must have one; 0: any backend will do */
	unsigned excludes;  /* flags of which a backend must have none */
	const char *why;    /* what a backend that cannot use it lacks */
	enum option_key key;
	const char *key_words; /* values that only a matrix gives it */
	double key_max;	       /* most that a matrix may give it; 0: max */
	const char *file;      /* it names a file where it ends so ("": always; "/": with a slash) */
	bool hidden;
	bool set_by_ab, set_by_nested; /* not to be handed to the runs that those make */
};

/* Rows of one origin, and the configuration they fill. */
struct option_table {
	const struct option_row *rows;
	size_t count;
	size_t size;	      /* of the configuration */
	const void *defaults; /* of it; NULL: zeros */
	const char *all;      /* one name for all of them in a refusal, or NULL */
	const char *instead;  /* what a backend with these options uses instead of those of others, or NULL */
	/* After all options: what is wrong with them together, and names of programs made absolute, which
	 * *kept then owns. May be NULL, as clear. */
	error *(*finish)(void *config, struct strlist *kept);
	void (*clear)(void *config);
};

/* Checks the value of an option and keeps it in the configuration of its table; EXIT_BAD_INPUT says what it
 * needs. arg is NULL for one without a value. Pure, but for rows whose take() reads files. */
error *option_take(const struct option_row *o, const char *arg, void *config) ERR_MUST_CHECK;
/* The row of that name, or NULL; lists end with NULL. */
const struct option_row *option_find(const struct option_row *const *list, const char *name, size_t len);
/* Whether a blank-separated list holds the word. */
bool option_among(const char *words, const char *word);
/* A program is started in another folder than the one where its name was typed: makes it absolute, if there
 * is one; *kept owns it. */
void option_keep_program(const char **name, struct strlist *kept);
/* "a, b and c" */
char *option_list(const struct strlist *l, const char *last);

#endif
