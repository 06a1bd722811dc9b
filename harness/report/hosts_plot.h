/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_REPORT_HOSTS_PLOT_H
#define MVM_REPORT_HOSTS_PLOT_H

#include "record/hosts.h"
#include "record/read.h"

/* So many hosts have a panel of their own; the figure says how many are left out. */
#define HOSTS_PLOT_MAX 24

/*
 * CPU and RAM over the VM count of all hosts together, and below it of each host over its own VMs, with its
 * threshold; a host that was lost has a cross at its last values. Formats, errors and title as plot_runs();
 * EXIT_BAD_INPUT also when h is empty.
 */
error *plot_hosts(struct run_record *r, const struct host_curves *h, const char *title,
		  const char *out_path) ERR_MUST_CHECK;

#endif
