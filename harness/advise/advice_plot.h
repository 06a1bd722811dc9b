/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_ADVISE_ADVICE_PLOT_H
#define MVM_ADVISE_ADVICE_PLOT_H

#include "advise/verdict.h"

/*
 * Draws what an advice rests on: the intervals of the binding metric (of RAM, where a limit binds), the
 * fitted curve with its 95 % prediction band, the threshold, and the count to plan with. With residuals, what
 * the fit leaves. The path's ending says the format: .svg, .png, .pdf. Errors as plot_runs().
 */
error *advice_plot(struct run_record *r, const struct advice *a, bool residuals,
		   const char *out_path) ERR_MUST_CHECK;

#endif
