/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The one table of the options of the run command. */
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/util.h"
#include "cmd/cmd.h"
#include "cmd/run_options.h"

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
	{ "machine", OPT_MACHINE, "TYPE", 0,
	  "QEMU machine type to test instead of the preset's, such as isapc or pc,usb=off", 0 },
	{ "runtime", OPT_RUNTIME, "PROGRAM", 0,
	  "OCI runtime of --backend oci: runc, crun or a path (default: the first that is installed)", 0 },
	{ NULL, 0, NULL, 0, "How to launch:", 3 },
	{ "launch", OPT_LAUNCH, "MODE", 0,
	  "How a VM comes to be: exec, fork or clone (default auto: as the preset says)", 0 },
	{ "jobs", 'j', "N", 0, "VMs that start at the same time (default: 2 per core)", 0 },
	{ "rate", OPT_RATE, "N", 0, "Start at most N VMs a second (the 2013 paper: 10; default: no limit)",
	  0 },
	{ "ready-timeout", OPT_TIMEOUT, "S", 0,
	  "A guest that is not ready after so many seconds has failed (default 60)", 0 },
	{ "tune", OPT_TUNE, "+NAME,-NAME", 0,
	  "Add or leave out density techniques of the preset; see 'mvmscale list techniques'", 0 },
	{ "swap", OPT_SWAP, "SIZE|zram:SIZE", 0,
	  "Add a swap file (or compressed swap in RAM) for this run; RAM then does not end it, unless --stop-on names it. Needs root",
	  0 },
	{ "no-raise", OPT_NO_RAISE, NULL, 0, "Leave the host's limits as they are", 0 },
	{ NULL, 0, NULL, 0, "Where VMs run, and what they may use together:", 4 },
	{ "pin", OPT_PIN, "HOW", 0,
	  "CPUs of the VMs: spread (one each, dealt round the memory nodes), pack (one each, one CPU after the other), or a list such as 0-3,8 that each may use (default none)",
	  0 },
	{ "numa", OPT_NUMA, "HOW", 0,
	  "Memory of the VMs: interleave (page by page over all nodes), local (of the node that a VM runs on), or a list of nodes (default none: as the kernel does)",
	  0 },
	{ "cgroup", OPT_CGROUP, "FOLDER", OPTION_ARG_OPTIONAL,
	  "Count memory and tasks in the VMs' own cgroup, not only their CPU time; make it in FOLDER (a cgroup of v2 or v1). --cgroup=none makes none",
	  0 },
	{ "cgroup-cpu", OPT_CGROUP_CPU, "CORES", 0,
	  "CPU time that all VMs together may use, in cores (1.5) or of the host (50%)", 0 },
	{ "cgroup-mem", OPT_CGROUP_MEM, "SIZE", 0, "Memory that all VMs together may use", 0 },
	{ "cgroup-pids", OPT_CGROUP_PIDS, "N", 0, "Tasks that all VMs together may have", 0 },
	{ NULL, 0, NULL, 0, "How to measure:", 5 },
	{ "settle", OPT_SETTLE, "auto|SECONDS", 0, "Wait until CPU and RAM are quiet (auto), or a fixed time",
	  0 },
	{ "samples", OPT_SAMPLES, "N", 0, "Samples per interval (default 8)", 0 },
	{ "sample-time", OPT_SAMPLE_TIME, "SECONDS", 0, "Length of one sample (default 0.35)", 0 },
	{ "verify", OPT_VERIFY, "N%|all", 0,
	  "Share of the VMs that must answer a ping at every interval (default 1%); one that does not is not counted",
	  0 },
	{ "predict", OPT_PREDICT, NULL, 0,
	  "Forecast where the run will stop, from a quarter of it on, and check that at the end", 0 },
	{ "disk-capacity", OPT_DISK_CAPACITY, "MB/s", 0,
	  "What is 100 % of disk_pct (default: not known, and the column stays empty)", 0 },
	{ "net-capacity", OPT_NET_CAPACITY, "MB/s", 0,
	  "What is 100 % of net_pct (default: not known, and the column stays empty)", 0 },
	{ "seed", OPT_SEED, "N", 0, "Seed of all random choices (default 1)", 0 },
	{ NULL, 0, NULL, 0, "Results:", 6 },
	{ "out", 'o', "DIR", 0, "Run folder (default runs/<time>-<backend>-<preset>-<profile>)", 0 },
	{ "name", OPT_NAME, "TEXT", 0, "Label of this run in plots and reports", 0 },
	{ "json", OPT_JSON, NULL, 0, "Print the outcome as JSON on standard output", 0 },
	{ "quiet", 'q', NULL, 0, "Say nothing but what went wrong; --json prints the outcome all the same",
	  0 },
	{ "slo", OPT_SLO, "NAME|FILE", 0,
	  "File of limits that the figures of this run must keep (exit status 1)", 0 },
	{ "yes", OPT_YES, NULL, 0, "Ask nothing (it never does without a terminal)", 0 },
	{ NULL, 0, NULL, 0, "Only for --backend kvm:", 7 },
	{ "shard", OPT_SHARD, "N", 0, "VMs in one runner process (default 250)", 0 },
	{ "no-kvm-debugfs", OPT_NO_KVM_DEBUGFS, NULL, 0, "Spare the kernel its statistics files for each VM",
	  0 },
	{ NULL, 0, NULL, 0, "Only for --backend libvirt:", 8 },
	{ "connect", OPT_CONNECT, "URI", 0,
	  "Libvirt host; given several times, one ramp is spread over all (default: a private libvirt on this machine)",
	  0 },
	{ "hosts", OPT_HOSTS, "FILE", 0, "Libvirt hosts from a file: a section per host with uri and max",
	  0 },
	{ "place", OPT_PLACE, "HOW", 0,
	  "How VMs are spread: even (as many on each), capacity (by memory) or fill (one host after another; default even)",
	  0 },
	{ "template", OPT_TEMPLATE, "NAME|FILE", 0,
	  "How a domain looks instead of the driver's own template; see docs/libvirt.md", 0 },
	{ NULL, 0, NULL, 0, "Only for --backend null, to test the harness:", 9 },
	{ "null-mem", OPT_NULL_MEM, "KB", 0, "Memory of a VM (default 1000)", 0 },
	{ "null-cpu", OPT_NULL_CPU, "PCT", 0, "CPU of a VM in percent of the host (default 0.01)", 0 },
	{ "null-start", OPT_NULL_START, "MS", 0, "Time to ready (default 0)", 0 },
	{ "null-noise", OPT_NULL_NOISE, "SHARE", 0, "Relative standard deviation of readings (default 0.01)",
	  0 },
	{ 0 },
};

const struct argp run_argp = {
	.options = options,
	.parser = run_parse_option,
	.doc = "Boots minimal VMs in rising numbers and records CPU, RAM and swap of the host at each step."
	       "\vThe run stops at --max, when a resource reaches the threshold, or before a limit of the host would "
	       "be hit, and says which. It leaves a run folder with samples.csv, intervals.csv, run.json, plot.svg, plot.png, advice.txt and advice.json.\n\n"
	       "Of an option that is given twice the last one counts.\n\n"
	       "Examples:\n"
	       "  mvmscale --max 200\n"
	       "  mvmscale --max 300 --profile idle --name 'PIT on'\n"
	       "  mvmscale --max 1000 --qemu ./qemu-system-x86_64 --repeat 3\n\n"
	       "Exit status: 0 done, 1 a limit of --slo is broken, 2 bad input, 3 cannot run here, 4 a limit of --slo could not be checked, 5 VMs were lost or did not answer, 130 interrupted with "
	       "results saved.",
};

static const char *keep(struct run_args *a, char *owned)
{
	strlist_add(&a->paths, owned);
	free(owned);
	return a->paths.items[a->paths.count - 1];
}

/* Programs are started in other folders than the one where their names were typed. A QEMU of other hosts is
   theirs to find. */
static void make_absolute(struct run_args *a)
{
	struct run_options *o = &a->o;

	if (o->qemu && (!a->hosts.count || strchr(o->qemu, '/')))
		o->qemu = keep(a, fs_program(o->qemu));
	if (o->runtime)
		o->runtime = keep(a, fs_program(o->runtime));
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
	error *e = cgroup_limits_parse(a->cgroup_cpu, a->cgroup_mem, a->cgroup_pids,
				       sysconf(_SC_NPROCESSORS_ONLN), &a->o.limits);
	if (e)
		cmd_usage(&cmd_run, "%s", e->msg);
	a->o.libvirt.hosts = &a->hosts;
	run_check_combination(a);
	run_check_tune(a->o.tune);
	run_set_defaults(&a->o);
	make_absolute(a);
}

void run_args_clear(struct run_args *a)
{
	host_list_clear(&a->hosts);
	strlist_clear(&a->paths);
}
