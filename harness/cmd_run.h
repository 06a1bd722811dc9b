/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_CMD_RUN_H
#define MVM_CMD_RUN_H

#include <stdbool.h>

#include "run/run.h"

/* Makes plot and advice in the run folder; returns the advice as text, owned by the caller, "" without one.
 */
char *outcome_finish(const char *dir, bool *ret_plotted);
/* The exit status that the outcome stands for. */
int outcome_status(const struct run_outcome *out);
void outcome_print(const struct run_outcome *out, const char *advice, bool plotted);
void outcome_print_json(const struct run_outcome *out, int status);

#endif
