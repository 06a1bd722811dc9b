/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BACKEND_KVM_VM_H
#define MVM_BACKEND_KVM_VM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/backend.h"
#include "backend/kvm/board.h"
#include "base/err.h"

/* One VM by /dev/kvm: two descriptors, one mapping, and the pages of its memory that it touches. */

struct kvm_run;

/* /dev/kvm, opened once per process. */
struct kvm_host {
	int fd;
	size_t run_size;    /* bytes of a vCPU's mapping */
	uint32_t memory_mb; /* of each VM, at least 1 */
	bool keep_debugfs;  /* false: VMs without a folder below /sys/kernel/debug/kvm */
};
/* EXIT_CANNOT says why KVM cannot be used here. */
error *kvm_host_open(struct kvm_host *h) ERR_MUST_CHECK;
void kvm_host_close(struct kvm_host *h);

struct kvm_vm {
	int vm_fd, vcpu_fd;
	struct kvm_run *run;
	struct board board;
	float stage_us[BACKEND_STAGE_COUNT]; /* what the kernel took for each step of the start */
	bool ran;
};

/* memory: board_memory_size() bytes of zeros, page aligned; stays the caller's, and must outlive the VM. */
error *kvm_vm_create(const struct kvm_host *h, uint8_t *memory, const unsigned char *image,
		     const struct board_line *line, void *user, struct kvm_vm *ret) ERR_MUST_CHECK;
void kvm_vm_destroy(const struct kvm_host *h, struct kvm_vm *vm);

/* Preempts whatever KVM_RUN this thread is in, at a time set by kvm_vm_run(). Once per process. */
error *kvm_alarm_open(void) ERR_MUST_CHECK;

enum kvm_outcome {
	KVM_SLEEPS,    /* halted until an interrupt comes */
	KVM_PREEMPTED, /* has more to do */
	KVM_DEAD,      /* will never run again; why is in the error */
};
/* Runs the VM until it sleeps, dies, or the monotonic time deadline_ns is reached. *ret_why is set and
   owned by the caller for KVM_DEAD only. */
enum kvm_outcome kvm_vm_run(struct kvm_vm *vm, uint64_t deadline_ns, error **ret_why);

#endif
