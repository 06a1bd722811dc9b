/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BACKEND_KVM_RUNNER_H
#define MVM_BACKEND_KVM_RUNNER_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/backend.h"

/*
 * A runner: one process, one thread, one event loop for up to `capacity` VMs. It and the harness talk
 * by the messages below over a SOCK_SEQPACKET pair; a VM goes by its slot, 0..capacity-1.
 */

enum kvm_op {
	/* to the runner */
	KVM_OP_START, /* slot, vm */
	KVM_OP_ASK,   /* slot, serial, text: a request without its '\n' */
	KVM_OP_KILL,  /* slot; for tests of a VM's death */
	/* from it */
	KVM_OP_REFUSED, /* sys, text: the runner cannot work at all, and ends */
	KVM_OP_READY,	/* slot, times, stages */
	KVM_OP_FAILED,	/* slot, sys, text: never became ready */
	KVM_OP_DIED,	/* slot, sys, text */
	KVM_OP_ANSWER,	/* slot, serial, text: the next whole line that the guest sent */
};

#define KVM_TEXT 256

struct kvm_message {
	uint32_t op, slot;
	uint32_t vm;	 /* its number in the population */
	uint32_t serial; /* of a request; its answer carries it */
	int32_t sys;
	uint32_t up_us, ready_us; /* as in struct vm */
	uint64_t spawn_ns;
	float stage_us[BACKEND_STAGE_COUNT];
	char text[KVM_TEXT];
};

struct kvm_runner_config {
	const struct guest_image *image;
	const struct vary *vary; /* what differs from VM to VM, or NULL */
	uint32_t capacity;
	unsigned jobs; /* VMs between spawn and ready at a time */
	uint64_t ready_timeout_ns;
	uint32_t memory_mb; /* of each VM, at least 1 */
	bool keep_debugfs;
};

/* Works until the other end of the socket is closed. Returns an error when it could not begin. */
error *kvm_runner_work(const struct kvm_runner_config *cfg, int socket_fd) ERR_MUST_CHECK;

/* One VM with so much memory (at least 1) whose COM1 is the descriptor fd (both ways); until its other end
   closes or the guest dies, which is an error. */
error *kvm_console_work(const struct guest_image *image, uint32_t memory_mb, int fd) ERR_MUST_CHECK;

#endif
