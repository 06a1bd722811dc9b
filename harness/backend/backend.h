/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BACKEND_BACKEND_H
#define MVM_BACKEND_BACKEND_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "backend/qemu/tune.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/option.h"
#include "base/util.h"
#include "guest/image.h"
#include "guest/vary.h"
#include "host/limits.h"
#include "host/settings.h"

enum vm_state {
	VM_NONE,
	VM_STARTING,
	VM_READY, /* its ready line was seen and its process was alive */
	VM_GONE,  /* died, failed or was stopped */
};

/* One VM of the population. Kept small: 100,000 of them are 3.2 MB. */
struct vm {
	uint64_t spawn_ns; /* clock_ns() when its start began */
	pid_t pid;	   /* 0 where the backend has no process per VM */
	uint32_t up_us;	   /* after spawn: its process image was in place */
	uint32_t start_us; /* after spawn: it was told to run, where that is a step of its own; else 0 */
	uint32_t ready_us; /* after spawn: its ready line was read */
	uint8_t state;	   /* enum vm_state */
};

/* How a VM's being alive was proven when it was counted. */
enum proof { PROOF_READY_LINE, PROOF_CLONE };

enum launch_mode { LAUNCH_EXEC, LAUNCH_FORK, LAUNCH_CLONE, LAUNCH_AUTO };
extern const char *const launch_names[LAUNCH_AUTO + 1];

struct placement;

/* Headings of `run --help` under which backends have options, too. */
#define RUN_GROUP_WHAT "What to run:"
#define RUN_GROUP_LAUNCH "How to launch:"

/* What the options ask for; all pointers are borrowed and outlive the backend. */
struct backend_config {
	const struct guest_image *image;
	const unsigned *devices; /* 1 << enum device: what each VM has, or NULL for none */
	uint32_t memory_mb;	 /* of a VM, instead of the preset's; 0: the preset's */
	uint32_t disk_mb;	 /* of a VM's disk, where it has one */
	const struct vary *vary; /* what differs from VM to VM, or NULL */
	const char *runtime_dir; /* private folder: sockets, firmware, image */
	unsigned jobs;		 /* VMs between spawn and ready at a time */
	uint64_t ready_timeout_ns;
	int cgroup_procs_fd;	    /* cgroup.procs of the population, or -1 */
	int cgroup_version;	    /* of it: 1 or 2 */
	const int *cgroup_more_fds; /* cgroup.procs to join besides, where limits have their own cgroups */
	unsigned cgroup_more;
	bool cgroup_whole; /* all that a VM uses must be counted there, from its first instruction on */
	const struct placement *place; /* CPUs and memory nodes of each VM, or NULL */
	const char *cgroup_relative;   /* its path below the hierarchy's mount point, or NULL */
	struct settings *settings;     /* where what must not outlive us is noted, or NULL (tests) */
	unsigned seed;
	const void *own; /* the backend's own configuration, which its options fill; NULL where it has none */
};

enum backend_event_kind {
	BACKEND_READY,
	BACKEND_FAILED,
	BACKEND_DIED,
	BACKEND_HOST_LOST, /* vm is the number of ready VMs that went with it, sys the host */
	BACKEND_VM_LOST,   /* a VM between spawn and ready went with its host */
};
struct backend_event {
	enum backend_event_kind kind;
	uint32_t vm;
	char *reason; /* owned by the receiver; NULL for BACKEND_READY */
	int sys;      /* errno behind a failure, 0 when none */
};

/* What a backend can do: C(symbol, name, meaning). The command line refuses options that need what it cannot.
 */
#define BACKEND_CAPABILITIES(C)                                                                        \
	C(PROCESSES, "processes", "VMs are processes: PSS can be sampled")                             \
	C(WAKE, "wake", "VMs can be asked over their console")                                         \
	C(PRESETS, "qemu", "made as a preset says, which names programs, launch mode and techniques")  \
	C(SYNTHETIC, "synthetic", "numbers come from arithmetic, not from the host")                   \
	C(SERVICES, "libvirt", "made by services of a whole system: not where there is only a kernel") \
	C(SHARDS, "shards", "one process holds many VMs: honours --shard and --no-kvm-debugfs")        \
	C(NEEDS_KVM, "kvm", "made by KVM itself: not without it, whatever --accel says")               \
	C(RUNTIME, "runtime", "honours --runtime")                                                     \
	C(AFFINITY, "place", "honours --pin and --numa")                                               \
	C(CGROUP, "cgroup", "all of a VM runs in the cgroup given: honours --cgroup and --cgroup-*")   \
	C(DEVICES, "devices", "gives VMs the devices that their guest needs")                          \
	C(VARY, "vary", "gives each VM its own seed and phase")

enum backend_capability_bit {
#define CAPABILITY_BIT(sym, name, meaning) BACKEND_BIT_##sym,
	BACKEND_CAPABILITIES(CAPABILITY_BIT)
#undef CAPABILITY_BIT
		BACKEND_CAPABILITY_COUNT
};
enum {
#define CAPABILITY_FLAG(sym, name, meaning) BACKEND_##sym = 1 << BACKEND_BIT_##sym,
	BACKEND_CAPABILITIES(CAPABILITY_FLAG)
#undef CAPABILITY_FLAG
	/* VMs run on this very host: its cgroups, limits and warnings are theirs */
	BACKEND_HERE = BACKEND_PROCESSES | BACKEND_SHARDS
};
/* Names of the bits, lowest first. */
extern const char *const backend_capability_names[BACKEND_CAPABILITY_COUNT];

/* Steps of a VM's start whose time the kernel takes; ops->stages. */
enum backend_stage {
	BACKEND_STAGE_CREATE_VM,   /* KVM_CREATE_VM */
	BACKEND_STAGE_CREATE_VCPU, /* KVM_CREATE_VCPU */
	BACKEND_STAGE_SETUP,	   /* mapping the vCPU, memory slot, registers */
	BACKEND_STAGE_FIRST_RUN,   /* the first KVM_RUN, until it returned */
	BACKEND_STAGE_COUNT
};

/* One of several hosts that VMs run on; figures are NAN where the host does not tell them. */
enum host_state { HOST_UP, HOST_FULL, HOST_LOST };
extern const char *const host_state_names[HOST_LOST + 1];
struct backend_host {
	const char *name; /* borrowed from the backend */
	enum host_state state;
	uint32_t vms; /* ready ones */
	double cores;
	double cpu_pct; /* since the previous reading */
	double mem_total_kb, mem_used_kb;
	double threshold_pct; /* where it takes no more VMs; 0: the run's */
};

struct backend;

/* What an opened backend runs. Strings are its own, NULL where there is nothing to say. */
struct backend_facts {
	const char *binary, *version, *sha256;
	const char *accel, *accel_note, *machine;
	enum launch_mode launch;
	const char *proof;	     /* of the launch mode, or why it fell back */
	struct tuning *tuning;	     /* what is in force may change while a run goes on */
	const struct strlist *notes; /* for the user to know before the run */
};

struct backend_ops {
	const char *name;
	const char *summary;
	const char *needs; /* for `list backends` */
	unsigned flags;
	/* Optional. Whether it could run on this host, as far as can be seen without starting anything: if
	   not, why, and what to do. */
	error *(*probe)(void);
	const struct option_table *options; /* those of its own, which others refuse; NULL: none */
	/* Prepares a population of at most max VMs; vms is the caller's table of max zeroed entries.
	   Failing with EXIT_CANNOT says why it cannot run here. */
	error *(*open)(const struct backend_config *cfg, struct vm *vms, uint32_t max, struct backend **ret);
	/* Begins to start VMs first..first+count-1, at most room() of them. Their outcome comes from poll().
	   An error here is one of the host's (fork refused): none after *ret_begun was begun. */
	error *(*start)(struct backend *b, uint32_t first, uint32_t count, uint32_t *ret_begun);
	/* How many more VMs may be between spawn and ready now. */
	uint32_t (*room)(const struct backend *b);
	/* Waits up to timeout_ms for something to happen; returns the number of events filled in. */
	size_t (*poll)(struct backend *b, int timeout_ms, struct backend_event *events, size_t max);
	/* Sends one request line to a VM, reads one line of answer (without '\n'). */
	error *(*ask)(struct backend *b, uint32_t vm, const char *request, int timeout_ms, char *reply,
		      size_t size, double *ret_ms);
	/* Kills the whole population and waits until it is gone; progress may be NULL. */
	error *(*stop_all)(struct backend *b, void (*progress)(void *user, uint32_t left), void *user);
	void (*close)(struct backend *b); /* also stops what still runs */
	/* What a VM is declared to cost. NULL: before anything is opened; no memory where that depends on
	   what is opened. */
	struct vm_cost (*cost)(const struct backend *b);
	struct backend_facts (*facts)(struct backend *b);
	/* Optional. What run.json says of it besides its name and facts: argv, environment... */
	json_t *(*details)(const struct backend *b);
	/* BACKEND_SYNTHETIC only: the resources that the living VMs use now. */
	void (*synthetic)(struct backend *b, double *ret_cpu_pct, double *ret_mem_kb);
	/* Optional. Reads the hosts that the VMs run on where they are not this machine alone; fills at most
	   max of them, and returns how many there are: 0 means this machine, as for backends without it. */
	size_t (*hosts)(struct backend *b, struct backend_host *ret, size_t max);
	/* Goes with hosts: no more VMs on that one. */
	void (*host_full)(struct backend *b, size_t host);
	/* Goes with hosts: which of them a VM runs on. */
	size_t (*host_of)(const struct backend *b, uint32_t vm);
	/* Where known: microseconds of each step of a ready VM's start, BACKEND_STAGE_COUNT of them. */
	const float *(*stages)(const struct backend *b, uint32_t vm);
	/* Where one process runs many VMs: that of this one, 0 when it is gone. */
	pid_t (*carrier)(const struct backend *b, uint32_t vm);
};

struct backend {
	const struct backend_ops *ops;
	unsigned lacks; /* flags of ops that this opened one does not have after all */
};

extern const struct backend_ops backend_qemu;
extern const struct backend_ops backend_process;
extern const struct backend_ops backend_oci;
extern const struct backend_ops backend_kvm;
extern const struct backend_ops backend_null;
extern const struct backend_ops backend_libvirt;

/* What an opened backend can do. */
static inline unsigned backend_flags(const struct backend *b)
{
	return b->ops->flags & ~b->lacks;
}

/* The one table of backends, ended by NULL. */
extern const struct backend_ops *const backends[];

/* NULL when there is none of that name. */
const struct backend_ops *backend_find(const char *name);
/* The same for --backend: EXIT_BAD_INPUT lists the known. */
error *backend_choose(const char *name, const struct backend_ops **ret) ERR_MUST_CHECK;
/* What run.json says of an opened backend. */
json_t *backend_describe(struct backend *b);
/* A JSON array of the items, for details(). */
json_t *backend_strings(const struct strlist *l);
/* Refuses a table with an incomplete or ambiguous entry; called at start-up. */
error *backend_check_table(void) ERR_MUST_CHECK;

#endif
