/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_ADVISE_CURVE_OF_H
#define MVM_ADVISE_CURVE_OF_H

#include "advise/verdict.h"

/* Fills m for one of the three metrics; scale turns % of the measured host into % of the asked one. */
void curve_judge(const struct run_record *r, const char *column, double scale, double threshold,
		 struct metric_advice *m);

#endif
