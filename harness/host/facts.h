/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_HOST_FACTS_H
#define MVM_HOST_FACTS_H

#include <jansson.h>
#include <stdbool.h>

#include "base/util.h"

/* Facts of one host. What could not be read is "" or -1, never a guess. */
struct host {
	char *cpu_model, *distribution;
	char *kernel;	/* release, "6.1.0-18-amd64" */
	char *cmdline;	/* of the kernel */
	char *governor; /* of cpu0; "" where there is no cpufreq */
	char *mitigations;
	char *thp;    /* always, madvise, never */
	char *cgroup; /* "1", "2", "hybrid" */
	char *boot_id;
	char *container_reason; /* why it looks like a container; "" when it does not */
	long cores_online, numa_nodes;
	long long mem_total_kb, mem_available_kb, swap_total_kb, swap_free_kb;
	int ksm_present, ksm_run;
	int container, nested; /* 0, 1 or -1; nested = the CPU says that a hypervisor runs it */
	int overcommit, randomize_va_space;
	int root;    /* effective user ID is 0 */
	int kdamond; /* threads of DAMON that run now */
	double load1;
};

/*
 * Reads all of it below `root` ("" is this host, a fixture tree in tests). It never
 * fails; host_free() releases it.
 */
void host_read(struct host *h, const char *root);
void host_free(struct host *h);
/* The "host" object of run.json; unknown numbers are null. A new reference. */
json_t *host_json(const struct host *h);
/* What on this host can distort a measurement, one sentence each with what to do. */
void host_warnings(const struct host *h, struct strlist *ret);

/* The parsers, all without I/O. */

/* How many there are in "0-3,8"; -1 when that is not such a list. */
long cpulist_count(const char *text);
/* The chosen word of "always [madvise] never", or the whole text without brackets, blanks joined; the caller
 * frees it. */
char *setting_chosen(const char *text);

#endif
