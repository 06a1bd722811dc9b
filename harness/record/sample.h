/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_RECORD_SAMPLE_H
#define MVM_RECORD_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

#include "record/metric.h"

/* One reading of the host. Rates and CPU shares cover the time since the previous reading. */
struct sample {
	uint64_t at_ns;		/* clock_ns() */
	double window_s;	/* time covered by the rates; 0 for the first reading */
	double v[METRIC_COUNT]; /* NAN: not available here, or a counter ran backward */
	bool backward; /* some counter ran backward, or CPUs came or went: its rates are not to be trusted */
};

#endif
