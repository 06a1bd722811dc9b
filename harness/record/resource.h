/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_RECORD_RESOURCE_H
#define MVM_RECORD_RESOURCE_H

#include <stdbool.h>

#include "record/metric.h"

/*
 * The one table of resources that VMs share and a threshold ends a run on: R(symbol, name, size). The name is
 * that of --stop-on, of stop.metric in run.json and of a class; METRIC_<symbol> is how much of it is in use,
 * in percent of the host; size is the member of run.json that says how much the host has. Limits that are
 * counts of the kernel are no resources: see host/limits.h.
 */
#define RESOURCES(R)                 \
	R(CPU, "cpu", "host.cores")  \
	R(RAM, "ram", "host.ram_kb") \
	R(SWAP, "swap", "host.swap_kb")

enum resource {
#define RESOURCE_SYMBOL(sym, name, size) RESOURCE_##sym,
	RESOURCES(RESOURCE_SYMBOL)
#undef RESOURCE_SYMBOL
		RESOURCE_COUNT
};
/* Records and tables lead with them: intervals.csv has these columns first. */
_Static_assert((int)RESOURCE_CPU == (int)METRIC_CPU && (int)RESOURCE_RAM == (int)METRIC_RAM &&
		       (int)RESOURCE_SWAP == (int)METRIC_SWAP,
	       "the first metrics are the resources");

struct resource_info {
	const char *name;
	enum metric metric;
	const char *size;
};
extern const struct resource_info resources[RESOURCE_COUNT];

/* "RAM", "ram_pct": those of its metric. */
static inline const char *resource_label(enum resource r)
{
	return metric_table[resources[r].metric].label;
}
static inline const char *resource_column(enum resource r)
{
	return metric_table[resources[r].metric].column;
}
/* Of a name; RESOURCE_COUNT when there is none. */
enum resource resource_by_name(const char *name);
/* Whose use that column is, as a sample or as a mean; RESOURCE_COUNT of others. */
enum resource resource_of_column(const char *column);

#endif
