/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_CMD_RUN_H
#define MVM_CMD_RUN_H

#include <stdbool.h>
#include <stdio.h>

#include "compare/slo.h"
#include "record/read.h"
#include "run/run.h"

/* Parses and checks; a usage error ends the program with EXIT_BAD_INPUT. */
void run_parse(int argc, char **argv, struct run_options *o);

/* A run whose ramp is over: its record, read once, and what was made of it. */
struct aftermath {
	struct run_record *record; /* NULL: it cannot be read, and `unread` says why */
	error *unread;
	json_t *advice, *forecast; /* as in advice.json and forecast.json; NULL without one */
	char *text;		   /* the advice in words, "" without one */
	bool plotted;
};
/* Makes plot and advice in the run folder, and says what cannot be made: that does not undo the run. */
void outcome_finish(const char *dir, struct aftermath *ret);
void aftermath_clear(struct aftermath *a);
/* Says on stderr which limits the run breaks; status, or what it becomes where nothing else was wrong. */
int outcome_check_slo(struct aftermath *a, const struct slo *slo, int status);
/* The exit status that the outcome stands for. */
int outcome_status(const struct run_outcome *out);
/* How far it came and what ended it; VMs that were lost. */
void outcome_headline(const struct run_outcome *out, FILE *to);
void outcome_print(const struct run_outcome *out, const struct aftermath *a);
void outcome_print_json(const struct run_outcome *out, const struct aftermath *a, int status);

#endif
