/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The options of the run command taken together: what excludes what, and the defaults. */
#include <string.h>
#include <unistd.h>

#include "backend/qemu/tune.h"
#include "base/util.h"
#include "cmd/cmd.h"
#include "cmd/run_options.h"

/* Options that the chosen backend would ignore are refused. */
void run_check_combination(const struct run_args *a)
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
			"backend libvirt has no use for --preset, --tune and --launch: its domains are made from a --template");
	bool accel_fits =
		qemu || libvirt || !o->accel || (o->backend->flags & BACKEND_KVM && str_eq(o->accel, "kvm"));

	if (!accel_fits && o->backend->flags & BACKEND_KVM)
		cmd_usage(&cmd_run, "backend %s is always under KVM: --accel %s cannot be used",
			  o->backend->name, o->accel);
	if (!qemu && !libvirt && (o->qemu || !accel_fits || o->preset || o->tune || o->launch != LAUNCH_AUTO))
		cmd_usage(&cmd_run,
			  "backend %s has no use for --qemu, --accel, --preset, --tune and --launch",
			  o->backend->name);
	if (o->machine && !qemu)
		cmd_usage(&cmd_run,
			  "backend %s has no use for --machine: only --backend qemu has machine types",
			  o->backend->name);
	if (o->runtime && !(o->backend->flags & BACKEND_RUNTIME))
		cmd_usage(&cmd_run, "backend %s has no use for --runtime", o->backend->name);
	if ((o->pin || o->numa) && !(o->backend->flags & BACKEND_AFFINITY))
		cmd_usage(&cmd_run, "backend %s cannot place its VMs: --pin and --numa cannot be used",
			  o->backend->name);
	if (cgroup_limits_any(&o->limits) && !(o->backend->flags & BACKEND_CGROUP))
		cmd_usage(
			&cmd_run,
			"backend %s does not keep its VMs in one cgroup: --cgroup-cpu, --cgroup-mem and --cgroup-pids cannot be used",
			o->backend->name);
	if (o->cgroup && !(o->backend->flags & BACKEND_CGROUP))
		cmd_usage(&cmd_run, "backend %s does not keep its VMs in one cgroup: --cgroup cannot be used",
			  o->backend->name);
	if (str_eq(o->cgroup, "none") && cgroup_limits_any(&o->limits))
		cmd_usage(&cmd_run, "--cgroup=none leaves no cgroup for the limits of --cgroup-*");
	if (o->cgroup && !*o->cgroup)
		cmd_usage(&cmd_run, "--cgroup=: needs auto, none or a cgroup's folder");
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

/* What is wrong with it is so before anything is tried. */
void run_check_tune(const char *changes)
{
	struct tuning t;
	_cleanup_err_ error *e = tuning_parse("", changes, &t);

	if (e)
		cmd_usage(&cmd_run, "%s", e->msg);
	tuning_clear(&t);
}

void run_set_defaults(struct run_options *o)
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
