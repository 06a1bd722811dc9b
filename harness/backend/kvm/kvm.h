/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BACKEND_KVM_KVM_H
#define MVM_BACKEND_KVM_KVM_H

/* Private to the kvm backend: the harness's side of its runners. */

#include "backend/events.h"
#include "backend/kvm/options.h"
#include "backend/kvm/runner.h"
#include "host/affinity.h"

/* A runner process as the harness sees it. */
struct shard {
	pid_t pid;
	int fd;	       /* -1: it is gone */
	uint32_t used; /* slots given out, each once */
	uint32_t starting;
	uint64_t heard_ns;   /* when it last said something, or had nothing to say before */
	uint32_t *ids;	     /* of the VM in each slot */
	cpu_set_t cpus;	     /* that it was pinned to; none: not pinned */
	char *refusal;	     /* what it said before it ended */
	long long oom_kills; /* of the host when it began */
	int refusal_sys;
};

struct shard_config {
	struct kvm_runner_config runner;
	const char *cwd;
	int cgroup_procs_fd;
	const int *cgroup_more_fds; /* to be joined too */
	unsigned cgroup_more;
};

/* Forks a runner that dies with this thread. It is in its cgroups, on its CPUs and memory nodes (where, NULL
   for ours) before it opens /dev/kvm. */
error *shard_start(const struct shard_config *cfg, const struct binding *where,
		   struct shard *ret) ERR_MUST_CHECK;
error *shard_send(struct shard *s, const struct kvm_message *m) ERR_MUST_CHECK;
/* Takes the next message, if there is one; *ret_ended when the runner is gone. */
bool shard_receive(struct shard *s, struct kvm_message *m, bool *ret_ended);
/* Kills it (kill) or waits for its end; says how it ended, the caller frees that. */
char *shard_reap(struct shard *s, bool kill_it);
void shard_clear(struct shard *s);

struct place {
	uint32_t shard, slot;
};

struct kvm {
	struct backend base;
	struct backend_config cfg;
	struct kvm_config own;
	struct shard_config shard_cfg;
	struct vm *vms;
	uint32_t max, starting, living; /* living: starting or ready */
	struct shard *shards;
	uint32_t shard_count, group; /* group: first of the shards that take VMs now */
	unsigned cores;
	struct place *places;
	float (*stages)[BACKEND_STAGE_COUNT];
	struct event_queue events;
	struct kvm_message answer;
	uint32_t asked; /* the VM whose answer counts */
	uint32_t serial;
	char *image_path, *probe_note;
	char *binary, *version, *sha256; /* this program, of which runners are copies */
};

/* open.c: the ops that begin and describe a population. */
error *kvm_probe(void) ERR_MUST_CHECK;
error *kvm_open(const struct backend_config *cfg, struct vm *vms, uint32_t max,
		struct backend **ret) ERR_MUST_CHECK;
struct vm_cost kvm_cost(const struct backend *b);
struct backend_facts kvm_facts(struct backend *b);
json_t *kvm_details(const struct backend *b);

#endif
