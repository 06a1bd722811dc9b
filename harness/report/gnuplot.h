/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_REPORT_GNUPLOT_H
#define MVM_REPORT_GNUPLOT_H

#include <stdio.h>

#include "base/err.h"

/* Figures drawn by the gnuplot program, whatever they show. */

/* Writes figure.gp and what it reads into dir; the script sets its output by gnuplot_terminal(). */
typedef error *gnuplot_writer(const void *user, const char *ending, const char *dir);

/* EXIT_BAD_INPUT when the path ends in no format that can be drawn: .svg, .png, .pdf. */
error *gnuplot_check_path(const char *out_path) ERR_MUST_CHECK;
/*
 * Lets `write` fill a temporary folder, runs gnuplot there, and moves the figure to out_path: whole or not at
 * all. The path was checked. EXIT_CANNOT when gnuplot is missing or fails.
 */
error *gnuplot_draw(const char *out_path, gnuplot_writer *write, const void *user) ERR_MUST_CHECK;
/* A script of plots/; the caller frees *ret. */
error *gnuplot_script(const char *name, char **ret) ERR_MUST_CHECK;
/* name = "text", whatever bytes the text has. */
void gnuplot_string(FILE *out, const char *name, const char *text);
void gnuplot_load(FILE *out, const char *script);
/* Terminal and output for a figure of so many points (1/72 in) that looks the same in all formats. */
void gnuplot_terminal(FILE *out, const char *ending, double width, double height);

#endif
