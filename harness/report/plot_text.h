/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_REPORT_PLOT_TEXT_H
#define MVM_REPORT_PLOT_TEXT_H

#include <stddef.h>

#include "base/util.h"
#include "record/read.h"

/* The words and tick marks of a figure. All pure; the caller frees every string. */

/* A gnuplot string constant, quotes included, safe for any bytes. */
char *plot_quote(const char *s);
/* A step of 1, 2 or 5 times a power of ten that cuts span into at most `most` parts. */
double plot_tick_step(double span, int most);
/* gnuplot's tick list ('1,000' 1000, ...) for [from, to]. */
char *plot_ticks(double from, double to, int most);
/* Characters of the widest of such labels. */
size_t plot_ticks_width(const char *ticks);
/* The first `most` characters of UTF-8 text, with an ellipsis where it was cut. */
char *plot_cut(const char *s, size_t most);
/* Breaks parts, joined by ", ", into lines of at most `width` characters. */
void plot_wrap(const struct strlist *parts, size_t width, struct strlist *lines);
/*
 * Host, QEMU and accelerator, preset, guest, launch mode: what the runs share is said
 * once, where they differ the distinct values stand in the order of the runs, "a / b".
 */
void plot_subtitle(struct run_record *const *runs, size_t n, struct strlist *parts);
/* The run's label, or its folder's name where another run has the same label; and whether it ended. */
char *plot_run_name(struct run_record *const *runs, size_t n, size_t run);
/* What the values say; what = NULL for the standard figure, else the metric's label. */
char *plot_title(struct run_record *const *runs, size_t n, const char *what);

#endif
