/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_MEASURE_SAMPLER_H
#define MVM_MEASURE_SAMPLER_H

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "host/cgroup.h"
#include "host/procfs.h"
#include "record/sample.h"

/* Processes whose PSS is read once per interval, whatever the population's size. */
#define SAMPLER_PSS_VMS 8

struct sampler;

/* Opens the files it will read and finds the kernel threads to watch, so do it before any VM runs.
   population may be NULL or without a path: then the guests' CPU is that of a random sample of them. */
error *sampler_open(const struct cgroup *population, struct sampler **ret) ERR_MUST_CHECK;
void sampler_close(struct sampler *s);

/* For an interval: which processes to take PSS (and, without a cgroup, CPU) from; at most SAMPLER_PSS_VMS of
   them, chosen at random by the caller out of population processes. */
void sampler_new_interval(struct sampler *s, const pid_t *pids, size_t n, size_t population);

void sampler_take(struct sampler *s, struct sample *ret);

/* What 100 % of disk_pct and net_pct are, in MB/s (10^6 bytes); 0: not known, and they stay empty. */
void sampler_set_capacity(struct sampler *s, double disk_mb_s, double net_mb_s);

/* Where CPU figures come from and what they resolve over window_s, in percent of the host. */
const char *sampler_cpu_source(const struct sampler *s);
double sampler_cpu_resolution_pct(const struct sampler *s, double window_s);
/* How the guests' CPU is told from the rest, for the record. */
const char *sampler_guest_source(const struct sampler *s);

/* The cheap question asked while launching: RAM and swap in use, percent. */
void sampler_peek(struct sampler *s, double *ret_ram_pct, double *ret_swap_pct);
/* Kernel memory that can neither be reclaimed nor swapped, in percent of RAM, as of the last reading; NAN
   where the kernel does not tell. */
double sampler_kernel_pct(const struct sampler *s);
/* Microseconds since boot in which all tasks waited for memory (PSI full); NAN without PSI. */
double sampler_stall_us(struct sampler *s);
/* Tasks on the host; -1 unknown. */
long long sampler_tasks(struct sampler *s);

#endif
