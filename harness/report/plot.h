/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_REPORT_PLOT_H
#define MVM_REPORT_PLOT_H

#include <stddef.h>

#include "base/err.h"
#include "record/read.h"

/* The most runs that one figure can tell apart (dashes and marker shapes). */
#define PLOT_MAX_RUNS 5

/* Instead of a metric: memory in use on each NUMA node. */
#define PLOT_NODES "nodes"

/*
 * Draws one figure of one or several runs through the gnuplot program. out_path ends
 * with .svg, .png or .pdf and is written whole or not at all. With metric NULL it is the
 * standard figure: CPU, RAM and swap in % over the VM count; else one metric of
 * record/metric.h, or any other column of intervals.csv, in its own unit, or PLOT_NODES. With title
 * NULL the title derives from the values. EXIT_CANNOT when gnuplot is missing or
 * fails, EXIT_BAD_INPUT for a metric without values or an unknown file ending.
 */
error *plot_runs(struct run_record *const *runs, size_t n, const char *metric, const char *title,
		 const char *out_path) ERR_MUST_CHECK;

#endif
