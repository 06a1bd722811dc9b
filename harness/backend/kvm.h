/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BACKEND_KVM_H
#define MVM_BACKEND_KVM_H

/* Private to the kvm backend: the harness's side of its runners. */

#include "backend/backend.h"
#include "backend/kvm_runner.h"

/* A runner process as the harness sees it. */
struct shard {
	pid_t pid;
	int fd;	       /* -1: it is gone */
	uint32_t used; /* slots given out, each once */
	uint32_t *ids; /* of the VM in each slot */
	char *refusal; /* what it said before it ended */
	int refusal_sys;
};

struct shard_config {
	struct kvm_runner_config runner;
	const char *cwd;
	int cgroup_procs_fd;
};

/* Forks a runner that dies with this thread. */
error *shard_start(const struct shard_config *cfg, struct shard *ret) ERR_MUST_CHECK;
error *shard_send(struct shard *s, const struct kvm_message *m) ERR_MUST_CHECK;
/* Takes the next message, if there is one; *ret_ended when the runner is gone. */
bool shard_receive(struct shard *s, struct kvm_message *m, bool *ret_ended);
/* Kills it (kill) or waits for its end; says how it ended, the caller frees that. */
char *shard_reap(struct shard *s, bool kill_it);
void shard_clear(struct shard *s);

#endif
