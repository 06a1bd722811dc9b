/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The options of the run command, one by one. */
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "cmd/cmd.h"
#include "cmd/run_options.h"

static double verify_share(struct argp_state *st, const char *arg)
{
	_cleanup_free_ char *number = xstrdup(arg);
	size_t n = strlen(number);

	if (str_eq(arg, "all"))
		return 100;
	if (n && number[n - 1] == '%')
		number[n - 1] = '\0';
	return cmd_real(st, "verify", number, 0, 100);
}

static enum launch_mode launch_mode(struct argp_state *st, const char *arg)
{
	for (enum launch_mode m = 0; m <= LAUNCH_AUTO; m++)
		if (str_eq(arg, launch_names[m]))
			return m;
	argp_error(st, "--launch %s: must be auto, exec, fork or clone", arg);
	return LAUNCH_AUTO;
}

/* Bits 1 << enum resource of a list such as "ram,swap". */
static unsigned stop_on(struct argp_state *st, const char *arg)
{
	_cleanup_free_ char *list = xstrdup(arg);
	unsigned mask = 0;
	char *save = NULL;

	for (char *w = strtok_r(list, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
		enum resource r = resource_by_name(w);

		if (r == RESOURCE_COUNT)
			argp_error(st, "--stop-on %s: '%s' is no resource; known are cpu, ram, swap", arg, w);
		mask |= 1U << r;
	}
	if (!mask)
		argp_error(st, "--stop-on: needs at least one of cpu, ram, swap");
	return mask;
}

static error_t parse_kvm(int key, char *arg, struct argp_state *st, struct run_args *a)
{
	struct run_options *o = &a->o;

	switch (key) {
	case OPT_SHARD:
		o->shard = (unsigned)cmd_whole(st, "shard", arg, 1, 1000000);
		return 0;
	case OPT_NO_KVM_DEBUGFS:
		o->no_kvm_debugfs = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse_null(int key, char *arg, struct argp_state *st, struct null_config *n)
{
	switch (key) {
	case OPT_NULL_MEM:
		n->mem_kb = cmd_real(st, "null-mem", arg, 0, 1e9);
		return 0;
	case OPT_NULL_CPU:
		n->cpu_pct = cmd_real(st, "null-cpu", arg, 0, 100);
		return 0;
	case OPT_NULL_START:
		n->start_ms = cmd_real(st, "null-start", arg, 0, 60000);
		return 0;
	case OPT_NULL_NOISE:
		n->noise = cmd_real(st, "null-noise", arg, 0, 1);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void check_hosts(struct argp_state *st, error *e)
{
	if (e)
		argp_failure(st, EXIT_BAD_INPUT, 0, "%s", e->msg);
}

static error_t parse_libvirt(int key, char *arg, struct argp_state *st, struct run_args *a)
{
	struct libvirt_config *c = &a->o.libvirt;

	switch (key) {
	case OPT_CONNECT:
		check_hosts(st, host_list_add(&a->hosts, arg));
		return 0;
	case OPT_HOSTS:
		check_hosts(st, host_list_load(&a->hosts, arg));
		return 0;
	case OPT_PLACE:
		for (c->place = 0; c->place < SPREAD_COUNT; c->place++)
			if (str_eq(arg, spread_names[c->place]))
				break;
		if (c->place == SPREAD_COUNT)
			argp_error(st, "--place %s: must be even, capacity or fill", arg);
		a->place_given = true;
		return 0;
	case OPT_TEMPLATE:
		c->template = cmd_text(st, "template", arg);
		return 0;
	default:
		return parse_null(key, arg, st, &a->o.null);
	}
}

static error_t parse_measure(int key, char *arg, struct argp_state *st, struct run_args *a)
{
	struct run_options *o = &a->o;

	switch (key) {
	case OPT_SETTLE:
		o->settle_s = str_eq(arg, "auto") ? -1 : cmd_real(st, "settle", arg, 0, 3600);
		return 0;
	case OPT_SAMPLES:
		o->samples = (unsigned)cmd_whole(st, "samples", arg, 2, 10000);
		return 0;
	case OPT_SAMPLE_TIME:
		o->sample_s = cmd_real(st, "sample-time", arg, 0.001, 600);
		return 0;
	case OPT_VERIFY:
		o->verify_pct = verify_share(st, arg);
		return 0;
	case OPT_DISK_CAPACITY:
		o->disk_mb_s = cmd_real(st, "disk-capacity", arg, 0.001, 1e9);
		return 0;
	case OPT_NET_CAPACITY:
		o->net_mb_s = cmd_real(st, "net-capacity", arg, 0.001, 1e9);
		return 0;
	case OPT_SEED:
		o->seed = (unsigned)cmd_whole(st, "seed", arg, 0, 0xffffffffL);
		return 0;
	case OPT_RATE:
		o->rate = cmd_real(st, "rate", arg, 0.001, 1e6);
		return 0;
	case OPT_TIMEOUT:
		o->ready_timeout_s = cmd_real(st, "ready-timeout", arg, 0.05, 3600);
		return 0;
	default:
		return parse_libvirt(key, arg, st, a);
	}
}

static error_t parse_confine(int key, char *arg, struct argp_state *st, struct run_args *a)
{
	switch (key) {
	case OPT_RUNTIME:
		a->o.runtime = cmd_text(st, "runtime", arg);
		return 0;
	case OPT_PIN:
		a->o.pin = arg;
		return 0;
	case OPT_NUMA:
		a->o.numa = arg;
		return 0;
	case OPT_CGROUP:
		a->o.cgroup = arg ? arg : "auto";
		return 0;
	case OPT_CGROUP_CPU:
		a->cgroup_cpu = arg;
		return 0;
	case OPT_CGROUP_MEM:
		a->cgroup_mem = arg;
		return 0;
	case OPT_CGROUP_PIDS:
		a->cgroup_pids = arg;
		return 0;
	default:
		return parse_measure(key, arg, st, a);
	}
}

error_t run_parse_option(int key, char *arg, struct argp_state *st)
{
	struct run_args *a = st->input;
	struct run_options *o = &a->o;

	switch (key) {
	case 'n':
		o->max = (uint32_t)cmd_whole(st, "max", arg, 1, 10000000);
		return 0;
	case OPT_INTERVALS:
		o->intervals = (unsigned)cmd_whole(st, "intervals", arg, 1, 10000);
		return 0;
	case OPT_THRESHOLD:
		o->threshold_pct = cmd_real(st, "threshold", arg, 1, 99);
		return 0;
	case OPT_STOP_ON:
		o->stop_on = stop_on(st, arg);
		return 0;
	case OPT_REPEAT:
		o->repeat = (unsigned)cmd_whole(st, "repeat", arg, 1, 1000);
		return 0;
	case OPT_BACKEND:
		o->backend = cmd_backend(st, arg);
		return 0;
	case OPT_ACCEL:
		if (!str_eq(arg, "auto") && !str_eq(arg, "tcg") && !str_eq(arg, "kvm"))
			argp_error(st, "--accel %s: must be auto, tcg or kvm", arg);
		o->accel = arg;
		return 0;
	case OPT_PRESET:
		o->preset = cmd_text(st, "preset", arg);
		return 0;
	case OPT_PROFILE:
		o->profile = cmd_text(st, "profile", arg);
		return 0;
	case OPT_IMAGE:
		o->image = cmd_text(st, "image", arg);
		return 0;
	case OPT_QEMU:
		o->qemu = cmd_text(st, "qemu", arg);
		return 0;
	case OPT_MACHINE:
		if (!*arg || *arg == ',')
			argp_error(
				st,
				"--machine '%s': name a machine type first; 'qemu-system-x86_64 -machine help' lists them",
				arg);
		o->machine = arg;
		return 0;
	case OPT_LAUNCH:
		o->launch = launch_mode(st, arg);
		return 0;
	case 'j':
		o->jobs = (unsigned)cmd_whole(st, "jobs", arg, 1, 256);
		return 0;
	case OPT_TUNE:
		o->tune = arg;
		return 0;
	case OPT_SWAP:
		o->swap = arg;
		return 0;
	case OPT_NO_RAISE:
		o->no_raise = true;
		return 0;
	case 'o':
		o->out = cmd_text(st, "out", arg);
		return 0;
	case OPT_NAME:
		o->name = arg;
		return 0;
	case OPT_JSON:
		a->json = true;
		return 0;
	case 'q':
		a->quiet = true;
		return 0;
	case OPT_SLO:
		a->slo = cmd_text(st, "slo", arg);
		return 0;
	case OPT_PREDICT:
		o->predict = true;
		return 0;
	case OPT_YES:
		return 0;
	case ARGP_KEY_ARG:
		argp_error(st, "'%s': run takes options only", arg);
		return 0;
	case OPT_SHARD:
	case OPT_NO_KVM_DEBUGFS:
		return parse_kvm(key, arg, st, a);
	default:
		return parse_confine(key, arg, st, a);
	}
}
