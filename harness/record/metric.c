/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "record/metric.h"

#include <string.h>

#include "record/resource.h"

const struct metric_info metric_table[METRIC_COUNT] = {
#define METRIC_ROW(sym, col, lab, un, norm) \
	[METRIC_##sym] = { (col), col "_mean", col "_sd", (lab), (un), (norm) },
	METRICS(METRIC_ROW)
#undef METRIC_ROW
};

const struct resource_info resources[RESOURCE_COUNT] = {
#define RESOURCE_ROW(sym, name, size) [RESOURCE_##sym] = { (name), METRIC_##sym, (size) },
	RESOURCES(RESOURCE_ROW)
#undef RESOURCE_ROW
};

int metric_by_name(const char *column)
{
	for (int i = 0; i < METRIC_COUNT; i++)
		if (strcmp(metric_table[i].column, column) == 0)
			return i;
	return -1;
}

enum resource resource_by_name(const char *name)
{
	enum resource r = RESOURCE_CPU;

	while (r < RESOURCE_COUNT && strcmp(resources[r].name, name) != 0)
		r++;
	return r;
}

enum resource resource_of_column(const char *column)
{
	for (enum resource r = 0; r < RESOURCE_COUNT; r++) {
		size_t n = strlen(resource_column(r));

		if (strncmp(column, resource_column(r), n) == 0 &&
		    (!column[n] || strcmp(column + n, "_mean") == 0))
			return r;
	}
	return RESOURCE_COUNT;
}
