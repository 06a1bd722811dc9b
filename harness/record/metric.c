/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "record/metric.h"

#include <string.h>

const struct metric_info metric_table[METRIC_COUNT] = {
#define METRIC_ROW(sym, col, lab, un, norm) \
	[METRIC_##sym] = { .column = (col), .label = (lab), .unit = (un), .normalized = (norm) },
	METRICS(METRIC_ROW)
#undef METRIC_ROW
};

int metric_by_name(const char *column)
{
	for (int i = 0; i < METRIC_COUNT; i++)
		if (strcmp(metric_table[i].column, column) == 0)
			return i;
	return -1;
}
