/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_PRELOAD_ZYGOTE_H
#define MVM_PRELOAD_ZYGOTE_H

/*
 * Private to the library that is preloaded into a template QEMU (docs/clone.md tells
 * the whole idea). From threads_park() to threads_release() in the template, and to
 * threads_revive() in a copy, only system calls and plain memory may be used here: a
 * stopped thread may hold any of libc's locks, malloc's above all.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define MAX_THREADS 32
#define MAX_FDS 32

/* threads.c: stopping the template's other threads, and making them again in a copy. */
void threads_init(void);
/* Stops every other thread in a signal handler that holds its context. False: refusal says why. */
bool threads_park(char *refusal, size_t size);
/* Lets them go on, in the template. */
void threads_release(void);
/* Makes them in a copy; each goes on where its original was stopped. */
void threads_revive(void);
unsigned threads_count(void);
/* All wait for a futex without a time limit: none can do anything before somebody else does. */
bool threads_all_asleep(void);
/* The signal that parks; must never be blocked. */
int threads_signal(void);

/* fds.c: what a copy must not share with its template. */
/* rebind_console: copies listen on a socket of their own name, instead of the one that is open now. */
bool fds_survey(int console_fd, int control_fd, bool rebind_console, char *refusal, size_t size);
/* Once the threads are stopped: which of them carry a wake-up that a copy must have as well. */
void fds_note_pending(void);
/* Replaces them, in a copy; vm names its console. */
bool fds_renew(unsigned vm);

/* kvm.c: a KVM VM of its own for each copy. */
/* The process has a KVM VM. */
bool kvm_present(void);
/* The calling thread is in KVM_RUN, or was when a signal took it out. */
bool kvm_thread_runs_guest(void);
/* Before threads are stopped: what needs memory. False: refusal says why. */
bool kvm_prepare(char *refusal, size_t size);
/* Reads the stopped template's VM. False: refusal says why it cannot be copied (now). */
bool kvm_capture(char *refusal, size_t size);
/* After kvm_capture(): the vCPU is halted; only then nothing of what it does is in the kernel alone. */
bool kvm_halted(void);
/* After kvm_capture(): the vCPU is halted, and no timer of the kernel's will wake it. */
bool kvm_sleeps(void);
/* In a copy, after fds_renew(): makes its own VM, in the captured state. */
bool kvm_renew(void);
/* zygote.c: whether QEMU's KVM calls are to be watched. */
bool zygote_watches_kvm(void);

/* patch.c: a copy's own seed and phase, in its guest's parameter block. */
/* Finds the block, in the template. False: refusal says why. */
bool patch_find(char *refusal, size_t size);
/* In a copy, before its threads run: plain memory only. */
void patch_apply(uint32_t seed, uint32_t phase_ms);

/* libs.c: libraries that a sleeping QEMU does not use are left out and come back when touched. */
unsigned libs_leave_out(void);

#endif
