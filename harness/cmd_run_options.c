/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The options of the run command: the table, their parsing, what excludes what, and the defaults. */
#include <string.h>

#include "base/util.h"
#include "cmd.h"
#include "cmd_run.h"

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

static const struct argp_option options[] = {
	{ NULL, 0, NULL, 0, "How far:", 1 },
	{ "max", 'n', "N", 0, "Ramp up to N VMs (default 200)", 0 },
	{ "intervals", OPT_INTERVALS, "N", 0, "Steps of the finished curve (default 20)", 0 },
	{ "threshold", OPT_THRESHOLD, "PCT", 0,
	  "Stop when CPU, RAM or swap reaches PCT of the host (default 90)", 0 },
	{ "stop-on", OPT_STOP_ON, "LIST", 0,
	  "Resources whose threshold ends the run (default cpu,ram,swap); the others are only recorded", 0 },
	{ "repeat", OPT_REPEAT, "R", 0, "Run the whole ramp R times and pool the samples (default 1)", 0 },
	{ NULL, 0, NULL, 0, "What to run:", 2 },
	{ "backend", OPT_BACKEND, "NAME", 0, "How VMs are made; see 'mvmscale list backends' (default qemu)",
	  0 },
	{ "accel", OPT_ACCEL, "auto|tcg|kvm", 0,
	  "Accelerator; auto takes KVM only if a probe guest boots in good time", 0 },
	{ "preset", OPT_PRESET, "NAME|FILE", 0,
	  "How QEMU is run; see 'mvmscale list presets' (default dense)", 0 },
	{ "profile", OPT_PROFILE, "NAME|FILE", 0,
	  "What the guests do; see 'mvmscale list profiles' (default sleep)", 0 },
	{ "image", OPT_IMAGE, "FILE", 0, "A 512-byte boot sector instead of a profile", 0 },
	{ "qemu", OPT_QEMU, "PATH", 0, "QEMU binary to test instead of the preset's", 0 },
	{ NULL, 0, NULL, 0, "How to launch:", 3 },
	{ "launch", OPT_LAUNCH, "auto|exec|fork|clone", 0,
	  "How a VM comes to be (default auto: as the preset says)", 0 },
	{ "jobs", 'j', "N", 0, "VMs that start at the same time (default: 2 per core)", 0 },
	{ "rate", OPT_RATE, "N", 0, "Start at most N VMs a second (the 2013 paper: 10; default: no limit)",
	  0 },
	{ "ready-timeout", OPT_TIMEOUT, "SECONDS", 0,
	  "A guest that is not ready by then has failed (default 60)", 0 },
	{ "tune", OPT_TUNE, "+NAME,-NAME", 0,
	  "Add or leave out density techniques of the preset; see 'mvmscale list techniques'", 0 },
	{ "swap", OPT_SWAP, "SIZE|zram:SIZE", 0,
	  "Add a swap file (or compressed swap in RAM) for this run; RAM then does not end it unless "
	  "--stop-on "
	  "says so. Needs root",
	  0 },
	{ "no-raise", OPT_NO_RAISE, NULL, 0, "Leave the host's limits as they are", 0 },
	{ "shard", OPT_SHARD, "N", 0, "VMs in one runner process, for --backend kvm (default 250)", 0 },
	{ "no-kvm-debugfs", OPT_NO_KVM_DEBUGFS, NULL, 0,
	  "Spare the kernel its statistics files for each VM of --backend kvm", 0 },
	{ NULL, 0, NULL, 0, "How to measure:", 4 },
	{ "settle", OPT_SETTLE, "auto|SECONDS", 0, "Wait until CPU and RAM are quiet (auto), or a fixed time",
	  0 },
	{ "samples", OPT_SAMPLES, "N", 0, "Samples per interval (default 8)", 0 },
	{ "sample-time", OPT_SAMPLE_TIME, "SECONDS", 0, "Length of one sample (default 0.35)", 0 },
	{ "verify", OPT_VERIFY, "N%|all", 0,
	  "Share of the VMs that must answer a ping at every interval (default 1%)", 0 },
	{ "predict", OPT_PREDICT, NULL, 0,
	  "Forecast where the run will stop, from a quarter of it on, and check that at the end", 0 },
	{ "disk-capacity", OPT_DISK_CAPACITY, "MB/s", 0,
	  "What is 100 % of disk_pct (default: not known, and the column stays empty)", 0 },
	{ "net-capacity", OPT_NET_CAPACITY, "MB/s", 0,
	  "What is 100 % of net_pct (default: not known, and the column stays empty)", 0 },
	{ "seed", OPT_SEED, "N", 0, "Seed of all random choices (default 1)", 0 },
	{ NULL, 0, NULL, 0, "Results:", 5 },
	{ "out", 'o', "DIR", 0, "Run folder (default runs/<time>-<backend>-<preset>-<profile>)", 0 },
	{ "name", OPT_NAME, "TEXT", 0, "Label of this run in plots and reports", 0 },
	{ "json", OPT_JSON, NULL, 0, "Print the outcome as JSON on standard output", 0 },
	{ "quiet", 'q', NULL, 0, "No progress, only the outcome", 0 },
	{ "slo", OPT_SLO, "NAME|FILE", 0,
	  "File of limits that the figures of this run must keep (exit status 1)", 0 },
	{ "yes", OPT_YES, NULL, 0, "Ask nothing (it never does without a terminal)", 0 },
	{ NULL, 0, NULL, 0, "Only for --backend libvirt:", 6 },
	{ "connect", OPT_CONNECT, "URI", 0,
	  "Libvirt host; given several times, one ramp is spread over all (default: a private libvirt on "
	  "this "
	  "machine)",
	  0 },
	{ "hosts", OPT_HOSTS, "FILE", 0, "Libvirt hosts from a file: a section per host with uri and max",
	  0 },
	{ "place", OPT_PLACE, "even|capacity|fill", 0,
	  "How VMs are spread: as many on each, by memory, or one host after another (default even)", 0 },
	{ "template", OPT_TEMPLATE, "NAME|FILE", 0,
	  "How a domain looks instead of the driver's own template; see docs/libvirt.md", 0 },
	{ NULL, 0, NULL, 0, "Only for --backend null, to test the harness:", 7 },
	{ "null-mem", OPT_NULL_MEM, "KB", 0, "Memory of a VM (default 1000)", 0 },
	{ "null-cpu", OPT_NULL_CPU, "PCT", 0, "CPU of a VM in percent of the host (default 0.01)", 0 },
	{ "null-start", OPT_NULL_START, "MS", 0, "Time to ready (default 0)", 0 },
	{ "null-noise", OPT_NULL_NOISE, "SHARE", 0, "Relative standard deviation of readings (default 0.01)",
	  0 },
	{ 0 },
};

static long whole(struct argp_state *st, const char *option, const char *arg, long min, long max)
{
	long v = 0;

	if (!parse_long(arg, min, max, &v))
		argp_error(st, "--%s %s: needs a whole number from %ld to %ld", option, arg, min, max);
	return v;
}

static double real(struct argp_state *st, const char *option, const char *arg, double min, double max)
{
	double v = 0;

	if (!parse_double(arg, min, max, &v))
		argp_error(st, "--%s %s: needs a number from %g to %g", option, arg, min, max);
	return v;
}

static double verify_share(struct argp_state *st, const char *arg)
{
	_cleanup_free_ char *number = xstrdup(arg);
	size_t n = strlen(number);

	if (str_eq(arg, "all"))
		return 100;
	if (n && number[n - 1] == '%')
		number[n - 1] = '\0';
	return real(st, "verify", number, 0, 100);
}

static enum launch_mode launch_mode(struct argp_state *st, const char *arg)
{
	for (enum launch_mode m = 0; m <= LAUNCH_AUTO; m++)
		if (str_eq(arg, launch_names[m]))
			return m;
	argp_error(st, "--launch %s: must be auto, exec, fork or clone", arg);
	return LAUNCH_AUTO;
}

static const struct backend_ops *backend_option(struct argp_state *st, const char *arg)
{
	const struct backend_ops *b = backend_find(arg);

	if (!b) {
		struct strlist names = { 0 };
		for (size_t i = 0; backends[i]; i++)
			strlist_add(&names, backends[i]->name);
		_cleanup_free_ char *known = strlist_join(&names);
		argp_error(st, "--backend %s: unknown; known are %s", arg, known);
	}
	return b;
}

/* Bits 1 << enum run_resource of a list such as "ram,swap". */
static unsigned stop_on(struct argp_state *st, const char *arg)
{
	_cleanup_free_ char *list = xstrdup(arg);
	unsigned mask = 0;
	char *save = NULL;

	for (char *w = strtok_r(list, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
		int i = 0;

		while (i < RESOURCE_COUNT && !str_eq(w, run_resources[i].name))
			i++;
		if (i == RESOURCE_COUNT)
			argp_error(st, "--stop-on %s: '%s' is no resource; known are cpu, ram, swap", arg, w);
		mask |= 1U << i;
	}
	if (!mask)
		argp_error(st, "--stop-on: needs at least one of cpu, ram, swap");
	return mask;
}

static error_t parse_null(int key, char *arg, struct argp_state *st, struct null_config *n)
{
	switch (key) {
	case OPT_NULL_MEM:
		n->mem_kb = real(st, "null-mem", arg, 0, 1e9);
		return 0;
	case OPT_NULL_CPU:
		n->cpu_pct = real(st, "null-cpu", arg, 0, 100);
		return 0;
	case OPT_NULL_START:
		n->start_ms = real(st, "null-start", arg, 0, 60000);
		return 0;
	case OPT_NULL_NOISE:
		n->noise = real(st, "null-noise", arg, 0, 1);
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
		for (c->place = 0; c->place < PLACE_COUNT; c->place++)
			if (str_eq(arg, place_names[c->place]))
				break;
		if (c->place == PLACE_COUNT)
			argp_error(st, "--place %s: must be even, capacity or fill", arg);
		a->place_given = true;
		return 0;
	case OPT_TEMPLATE:
		c->template = arg;
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
		o->settle_s = str_eq(arg, "auto") ? -1 : real(st, "settle", arg, 0, 3600);
		return 0;
	case OPT_SAMPLES:
		o->samples = (unsigned)whole(st, "samples", arg, 2, 10000);
		return 0;
	case OPT_SAMPLE_TIME:
		o->sample_s = real(st, "sample-time", arg, 0.001, 600);
		return 0;
	case OPT_VERIFY:
		o->verify_pct = verify_share(st, arg);
		return 0;
	case OPT_DISK_CAPACITY:
		o->disk_mb_s = real(st, "disk-capacity", arg, 0.001, 1e9);
		return 0;
	case OPT_NET_CAPACITY:
		o->net_mb_s = real(st, "net-capacity", arg, 0.001, 1e9);
		return 0;
	case OPT_SEED:
		o->seed = (unsigned)whole(st, "seed", arg, 0, 0xffffffffL);
		return 0;
	case OPT_RATE:
		o->rate = real(st, "rate", arg, 0.001, 1e6);
		return 0;
	case OPT_TIMEOUT:
		o->ready_timeout_s = real(st, "ready-timeout", arg, 0.05, 3600);
		return 0;
	default:
		return parse_libvirt(key, arg, st, a);
	}
}

static error_t parse_option(int key, char *arg, struct argp_state *st)
{
	struct run_args *a = st->input;
	struct run_options *o = &a->o;

	switch (key) {
	case 'n':
		o->max = (uint32_t)whole(st, "max", arg, 1, 10000000);
		return 0;
	case OPT_INTERVALS:
		o->intervals = (unsigned)whole(st, "intervals", arg, 1, 10000);
		return 0;
	case OPT_THRESHOLD:
		o->threshold_pct = real(st, "threshold", arg, 1, 99);
		return 0;
	case OPT_STOP_ON:
		o->stop_on = stop_on(st, arg);
		return 0;
	case OPT_REPEAT:
		o->repeat = (unsigned)whole(st, "repeat", arg, 1, 1000);
		return 0;
	case OPT_BACKEND:
		o->backend = backend_option(st, arg);
		return 0;
	case OPT_ACCEL:
		if (!str_eq(arg, "auto") && !str_eq(arg, "tcg") && !str_eq(arg, "kvm"))
			argp_error(st, "--accel %s: must be auto, tcg or kvm", arg);
		o->accel = arg;
		return 0;
	case OPT_PRESET:
		o->preset = arg;
		return 0;
	case OPT_PROFILE:
		o->profile = arg;
		return 0;
	case OPT_IMAGE:
		o->image = arg;
		return 0;
	case OPT_QEMU:
		o->qemu = arg;
		return 0;
	case OPT_LAUNCH:
		o->launch = launch_mode(st, arg);
		return 0;
	case 'j':
		o->jobs = (unsigned)whole(st, "jobs", arg, 1, 256);
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
		o->out = arg;
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
		a->slo = arg;
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
		o->shard = (unsigned)whole(st, "shard", arg, 1, 1000000);
		return 0;
	case OPT_NO_KVM_DEBUGFS:
		o->no_kvm_debugfs = true;
		return 0;
	default:
		return parse_measure(key, arg, st, a);
	}
}

const struct argp run_argp = {
	.options = options,
	.parser = parse_option,
	.doc = "Boots minimal VMs in rising numbers and records CPU, RAM and swap of the host at each step."
	       "\vThe run stops at --max, when a resource reaches the threshold, or before a limit of the "
	       "host would "
	       "be hit, and says which. It leaves a run folder with samples.csv, intervals.csv, run.json, "
	       "plot.svg, "
	       "plot.png, advice.txt and advice.json.\n\n"
	       "Examples:\n"
	       "  mvmscale --max 200\n"
	       "  mvmscale --max 300 --profile idle --name 'PIT on'\n"
	       "  mvmscale --max 1000 --qemu ./qemu-system-x86_64 --repeat 3\n\n"
	       "Exit status: 0 done, 1 a limit of --slo is broken, 2 bad input, 3 cannot run here, 5 VMs "
	       "were lost, 130 interrupted with "
	       "results "
	       "saved.",
};

/* Options that the chosen backend would ignore are refused. */
static void check_combination(const struct run_args *a)
{
	const struct run_options *o = &a->o;
	bool libvirt = o->backend->flags & BACKEND_LIBVIRT;
	bool qemu = o->backend->flags & BACKEND_QEMU;
	bool synthetic = o->backend->flags & BACKEND_SYNTHETIC;

	if (!libvirt && (a->hosts.count || a->place_given || o->libvirt.template))
		cmd_usage(&cmd_run, "--connect, --hosts, --place and --template need --backend libvirt");
	if (libvirt && a->place_given && a->hosts.count < 2)
		cmd_usage(&cmd_run, "--place needs several hosts: --connect URI twice or --hosts FILE");
	if (libvirt && o->swap && a->hosts.count)
		cmd_usage(&cmd_run,
			  "--swap is added to this machine, not to the hosts of --connect or --hosts");
	if (libvirt && (o->preset || o->tune || o->launch != LAUNCH_AUTO))
		cmd_usage(
			&cmd_run,
			"backend libvirt has no use for --preset, --tune and --launch: its domains are made "
			"from a --template");
	bool accel_fits =
		qemu || libvirt || !o->accel || (o->backend->flags & BACKEND_KVM && str_eq(o->accel, "kvm"));

	if (!accel_fits && o->backend->flags & BACKEND_KVM)
		cmd_usage(&cmd_run, "backend %s is always under KVM: --accel %s cannot be used",
			  o->backend->name, o->accel);
	if (!qemu && !libvirt && (o->qemu || !accel_fits || o->preset || o->tune || o->launch != LAUNCH_AUTO))
		cmd_usage(&cmd_run,
			  "backend %s has no use for --qemu, --accel, --preset, --tune and --launch",
			  o->backend->name);
	if (!(o->backend->flags & BACKEND_SHARDS) && (o->shard || o->no_kvm_debugfs))
		cmd_usage(&cmd_run, "backend %s has no use for --shard and --no-kvm-debugfs",
			  o->backend->name);
	if (!synthetic &&
	    (o->null.mem_kb >= 0 || o->null.cpu_pct >= 0 || o->null.start_ms >= 0 || o->null.noise >= 0))
		cmd_usage(&cmd_run, "--null-* options need --backend null");
	if (synthetic && o->swap)
		cmd_usage(&cmd_run, "backend %s uses no memory: --swap cannot be used", o->backend->name);
	if (o->image && o->profile)
		cmd_usage(&cmd_run, "--image and --profile exclude each other");
	if (synthetic && o->verify_pct >= 0)
		cmd_usage(&cmd_run, "backend %s has no guests that could answer: --verify cannot be used",
			  o->backend->name);
}

static void set_defaults(struct run_options *o)
{
	if (!o->accel)
		o->accel = "auto";
	if (!o->preset)
		o->preset = "dense";
	if (!o->profile && !o->image)
		o->profile = "sleep";
	/* swap was asked for to see it used: RAM is full before that */
	if (!o->stop_on)
		o->stop_on = o->swap ? 1U << RESOURCE_CPU | 1U << RESOURCE_SWAP : (1U << RESOURCE_COUNT) - 1;
	o->verify_pct = o->verify_pct < 0 ? 1 : o->verify_pct;
	o->null.mem_kb = o->null.mem_kb < 0 ? 1000 : o->null.mem_kb;
	o->null.cpu_pct = o->null.cpu_pct < 0 ? 0.01 : o->null.cpu_pct;
	o->null.start_ms = o->null.start_ms < 0 ? 0 : o->null.start_ms;
	o->null.noise = o->null.noise < 0 ? 0.01 : o->null.noise;
}

void run_args_parse(int argc, char **argv, struct run_args *a)
{
	*a = (struct run_args){ .o = { .max = 200,
				       .intervals = 20,
				       .repeat = 1,
				       .threshold_pct = 90,
				       .verify_pct = -1,
				       .settle_s = -1,
				       .ready_timeout_s = 60,
				       .sample_s = 0.35,
				       .samples = 8,
				       .launch = LAUNCH_AUTO,
				       .seed = 1,
				       .backend = &backend_qemu,
				       .null = {
					       .mem_kb = -1, .cpu_pct = -1, .start_ms = -1, .noise = -1 } } };

	cmd_parse(&cmd_run, argc, argv, a);
	a->o.libvirt.hosts = &a->hosts;
	check_combination(a);
	set_defaults(&a->o);
}
