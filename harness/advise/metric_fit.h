/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_ADVISE_METRIC_FIT_H
#define MVM_ADVISE_METRIC_FIT_H

#include "advise/verdict.h"

/* How a metric is looked at. */
struct metric_view {
	double scale;	    /* % of the measured host -> % of the asked one */
	double model_error; /* see struct trend_input */
	double threshold;   /* in % of the asked host */
};

/* Fills m for one of the three metrics. */
void metric_judge(const struct run_record *r, const char *column, const struct metric_view *v,
		  struct metric_advice *m);
/* Swap that has not begun ends where RAM overflows; ram was judged with the same view. swap_per_ram: of the
   host asked for. */
void metric_judge_overflow(const struct run_record *r, const struct metric_advice *ram, double swap_per_ram,
			   double threshold, struct metric_advice *swap);

#endif
