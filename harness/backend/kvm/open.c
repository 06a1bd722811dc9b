/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whether the kvm backend can run here, how its VMs are spread, and what it says of itself. */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "backend/kvm/board.h"
#include "backend/kvm/kvm.h"
#include "base/fault.h"
#include "base/fs.h"
#include "base/util.h"

/*
 * VMs per process unless the user says otherwise. KVM_CREATE_VM visits every mapping and locks out every
 * other change of its process's memory: its cost rises with each VM there. docs/kvm.md has the curves.
 */
#define SHARD_DEFAULT 250
/* Descriptors of a runner beside its VMs' two each, and the numbers that vm.c leaves free. */
#define RUNNER_FDS 96
/* What a runner has open, our end of its socket included, and the memory of ours that it is a copy of. */
#define RUNNER_OPEN_FDS 6
#define RUNNER_COMMIT_KB 1600
#define PROBE_LIMIT_NS 20000000000ULL
/* What a VM takes by our own measurement; the first interval replaces the memory by what it finds. */
#define VM_KB 400

/* How many VMs a runner may hold: two descriptors each. */
static error *choose_capacity(struct kvm *k)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return err_sys(EXIT_CANNOT, errno, "getrlimit(RLIMIT_NOFILE)");
	rlim_t fit = files.rlim_max > RUNNER_FDS ? (files.rlim_max - RUNNER_FDS) / 2 : 0;
	if (!fit)
		return err_new(EXIT_CANNOT,
			       "RLIMIT_NOFILE is %llu: a runner needs %d descriptors and 2 per VM",
			       (unsigned long long)files.rlim_max, RUNNER_FDS);
	if (k->own.shard > fit)
		return err_new(
			EXIT_CANNOT,
			"--shard %u: a VM takes 2 descriptors, and RLIMIT_NOFILE (%llu) leaves room for %llu VMs in a process",
			k->own.shard, (unsigned long long)files.rlim_max, (unsigned long long)fit);
	uint32_t want = k->own.shard ? k->own.shard : (uint32_t)MIN(fit, (rlim_t)SHARD_DEFAULT);
	k->shard_cfg.runner.capacity = MIN(want, k->max);
	return NULL;
}

/* Boots VM 0 and, if its guest is one that answers, pings it. */
static error *probe_guest(struct kvm *k)
{
	bool answers = *k->cfg.image->guest && !str_eq(k->cfg.image->guest, "idle");
	struct backend_event ev = { 0 };
	uint32_t begun;
	char reply[64];
	error *e = k->base.ops->start(&k->base, 0, 1, &begun);

	while (!e && k->base.ops->poll(&k->base, 100, &ev, 1) == 0)
		;
	if (!e && ev.kind != BACKEND_READY)
		e = err_new(EXIT_CANNOT, "%s", ev.reason);
	free(ev.reason);
	if (e || !answers)
		return e;
	e = k->base.ops->ask(&k->base, 0, "ping", 5000, reply, sizeof(reply), NULL);
	if (e && k->events.count && k->events.items[0].reason) {
		/* that it died says less than why */
		err_free(e);
		return err_new(EXIT_CANNOT, "%s", k->events.items[0].reason);
	}
	if (!e && !str_eq(reply, "pong"))
		e = err_new(EXIT_CANNOT, "it answered '%s' to ping", reply);
	return e;
}

/* /dev/kvm may open and yet carry no guest. */
static error *probe(struct kvm *k)
{
	uint64_t normal = k->cfg.ready_timeout_ns;

	if (fault_hit(FAULT_NO_KVM))
		return err_new(EXIT_CANNOT, "probe guest did not become ready (injected)");
	k->shard_cfg.runner.ready_timeout_ns = MIN(normal, PROBE_LIMIT_NS);
	error *e = probe_guest(k);
	if (!e)
		k->probe_note = xasprintf("probe guest ready in %.2f ms", k->vms[0].ready_us / 1000.0);
	err_free(k->base.ops->stop_all(&k->base, NULL, NULL));
	k->vms[0] = (struct vm){ 0 };
	k->shard_cfg.runner.ready_timeout_ns = normal;
	return err_wrap(e, "probe guest");
}

static json_t *vary_json(const struct vary *v)
{
	if (!vary_needed(v))
		return json_null();
	return json_pack("{s:b,s:b,s:I,s:s}", "seed", v->seed, "phase", v->phase, "spread_ms",
			 (json_int_t)v->spread_ms, "how", "written into the image in each VM's memory");
}

error *kvm_probe(void)
{
	return access("/dev/kvm", R_OK | W_OK) < 0
		       ? err_sys(EXIT_CANNOT, errno, "KVM cannot be used: /dev/kvm")
		       : NULL;
}

static void identify(struct kvm *k)
{
	char path[4096];
	struct utsname u;
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	path[n > 0 ? n : 0] = '\0';
	uname(&u);
	k->binary = xstrdup(path);
	k->version = xasprintf("%s on Linux %s", MVM_VERSION, u.release);
	err_free(fs_sha256("/proc/self/exe", &k->sha256));
}

error *kvm_open(const struct backend_config *cfg, struct vm *vms, uint32_t max, struct backend **ret)
{
	struct kvm *k = xcalloc(1, sizeof(*k));
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	k->base.ops = &backend_kvm;
	k->cfg = *cfg;
	k->own = *(const struct kvm_config *)cfg->own;
	k->vms = vms;
	k->max = max;
	k->cores = (unsigned)MAX(cores, 1L);
	k->places = xcalloc(max, sizeof(*k->places));
	k->stages = xcalloc(max, sizeof(*k->stages));
	k->image_path = xasprintf("%s/guest.img", cfg->runtime_dir);
	k->shard_cfg = (struct shard_config){
		.runner = { .image = cfg->image,
			    .vary = cfg->vary,
			    .memory_mb = MAX(cfg->memory_mb, 1U),
			    .jobs = MAX((MAX(cfg->jobs, 1U) + k->cores - 1) / k->cores, 1U),
			    .ready_timeout_ns = cfg->ready_timeout_ns,
			    .keep_debugfs = !k->own.no_debugfs },
		.cwd = cfg->runtime_dir,
		.cgroup_procs_fd = cfg->cgroup_procs_fd,
		.cgroup_more_fds = cfg->cgroup_more_fds,
		.cgroup_more = cfg->cgroup_more,
	};
	error *e = kvm_probe();
	if (!e)
		e = choose_capacity(k);
	if (!e)
		e = image_write(cfg->image, k->image_path);
	if (!e && (e = probe(k)))
		e = err_wrap(e, "the kvm backend cannot run here");
	if (e) {
		k->base.ops->close(&k->base);
		return e;
	}
	identify(k);
	*ret = &k->base;
	return NULL;
}

struct vm_cost kvm_cost(const struct backend *b)
{
	const struct kvm *k = (const struct kvm *)b;
	uint32_t capacity = k ? k->shard_cfg.runner.capacity : SHARD_DEFAULT;
	double per_runner = 1.0 / capacity;
	struct vm_cost cost = {
		/* a VM's task is the kernel's own: kvm-nx-lpage-recovery */
		.tasks = 1 + per_runner,
		.fds_vm = 2 + RUNNER_OPEN_FDS * per_runner,
		.fds_harness = per_runner,
		.mem_kb = VM_KB,
		.commit_kb = (double)board_memory_size(k ? k->shard_cfg.runner.memory_mb : 1) / 1024 +
			     RUNNER_COMMIT_KB * per_runner,
	};
	/* each VM's vCPU is mapped; as many runners as cores fill up side by side */
	if (k)
		cost.mappings = MIN(capacity, (k->max + k->cores - 1) / k->cores) / (double)k->max;
	return cost;
}

struct backend_facts kvm_facts(struct backend *b)
{
	const struct kvm *k = (const struct kvm *)b;

	return (struct backend_facts){
		.binary = k->binary,
		.version = k->version,
		.sha256 = k->sha256,
		.accel = "kvm",
		.accel_note = k->probe_note,
		.machine = "built-in",
		.proof = "each VM is a KVM VM of its own that booted its guest; many share a process"
	};
}

json_t *kvm_details(const struct backend *b)
{
	const struct kvm *k = (const struct kvm *)b;

	return json_pack("{s:[],s:[],s:i,s:i,s:b,s:i,s:o}", "argv", "environment", "shard",
			 (int)k->shard_cfg.runner.capacity, "runners_at_a_time", (int)k->cores, "kvm_debugfs",
			 !k->own.no_debugfs, "memory_mb", (int)k->shard_cfg.runner.memory_mb, "per_vm",
			 vary_json(k->cfg.vary));
}
