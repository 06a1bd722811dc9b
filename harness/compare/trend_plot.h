/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_COMPARE_TREND_PLOT_H
#define MVM_COMPARE_TREND_PLOT_H

#include "compare/history.h"
#include "model/changepoint.h"

/* One figure over the runs of a history that have it: values in order of time, and where the level changed.
 */
struct figure_trend {
	enum figure figure;
	const struct history_run **runs; /* borrowed from the list */
	double *values;
	size_t n;
	struct change_point *changes;
	size_t n_changes;
};

/* Pure; figure_trend_clear() frees. */
void figure_trend_of(const struct history_list *l, enum figure f, struct figure_trend *ret);
void figure_trend_clear(struct figure_trend *t);
/* Draws it: a point a run, a line for each level, labels where the label of the runs changes. As plot_runs().
 */
error *figure_trend_plot(const struct figure_trend *t, const char *title,
			 const char *out_path) ERR_MUST_CHECK;

#endif
