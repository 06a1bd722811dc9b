/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_CMD_RUN_OPTIONS_H
#define MVM_CMD_RUN_OPTIONS_H

/* Private to the run command: the keys of its options, their parser, and what is checked after it. */

#include <argp.h>

#include "cmd/run.h"

enum {
	OPT_BACKEND = 256,
	OPT_ACCEL,
	OPT_PRESET,
	OPT_PROFILE,
	OPT_INTERVALS,
	OPT_THRESHOLD,
	OPT_STOP_ON,
	OPT_SWAP,
	OPT_REPEAT,
	OPT_LAUNCH,
	OPT_VERIFY,
	OPT_SETTLE,
	OPT_RATE,
	OPT_QEMU,
	OPT_MACHINE,
	OPT_RUNTIME,
	OPT_PIN,
	OPT_NUMA,
	OPT_CGROUP,
	OPT_CGROUP_CPU,
	OPT_CGROUP_MEM,
	OPT_CGROUP_PIDS,
	OPT_NAME,
	OPT_JSON,
	OPT_YES,
	OPT_PREDICT,
	OPT_IMAGE,
	OPT_NO_RAISE,
	OPT_TUNE,
	OPT_SEED,
	OPT_DISK_CAPACITY,
	OPT_NET_CAPACITY,
	OPT_TIMEOUT,
	OPT_SAMPLES,
	OPT_SAMPLE_TIME,
	OPT_SLO,
	OPT_CONNECT,
	OPT_HOSTS,
	OPT_PLACE,
	OPT_TEMPLATE,
	OPT_SHARD,
	OPT_NO_KVM_DEBUGFS,
	OPT_NULL_MEM,
	OPT_NULL_CPU,
	OPT_NULL_START,
	OPT_NULL_NOISE,
};

/* run_parse.c: takes one option into a struct run_args. */
error_t run_parse_option(int key, char *arg, struct argp_state *st);
/* run_check.c: refuses what excludes each other, and options that the chosen backend would ignore. */
void run_check_combination(const struct run_args *a);
void run_check_tune(const char *changes);
void run_set_defaults(struct run_options *o);

#endif
