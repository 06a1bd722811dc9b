/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_RUN_PROGRESS_H
#define MVM_RUN_PROGRESS_H

#include <stdbool.h>
#include <stdio.h>

#include "run/run.h"

/*
 * Live display of a run on `out`: one line that is rewritten on a terminal, one plain
 * line per interval otherwise. A terminal is one with a TERM that is neither empty nor dumb; colour
 * only without NO_COLOR. Nothing but line-clearing sequences is ever sent, so that there is no
 * terminal mode to restore, however the program ends.
 */
struct progress {
	FILE *out;
	bool terminal, colour, quiet;
	bool line_open; /* a rewritten line stands on the terminal */
	bool header_done;
};

void progress_init(struct progress *p, FILE *out, bool quiet);
void progress_status(struct progress *p, const struct run_status *s);
void progress_notice(struct progress *p, const char *text);
void progress_interval(struct progress *p, const struct run_status *s, double mem_per_vm_kb, bool settled);
/* Clears the rewritten line; call it before anything else is printed, and at the end. */
void progress_clear(struct progress *p);

/* Pure: the rewritten line for a terminal with room for `width` characters; parts that do not fit are left
   out, the least telling first. The caller frees it. */
char *progress_line(const struct run_status *s, int width, bool colour);
/* Pure: "[######----|--]", the threshold marked; width is that of the inside. buf holds width + 3 bytes. */
void progress_bar(char *buf, int width, double pct, double threshold_pct);
/* Pure: "45 s", "3 min 20 s", "2 h 05 min"; "?" for NAN. buf holds 40 bytes. */
void progress_duration(char buf[40], double seconds);

#endif
