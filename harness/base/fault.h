/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BASE_FAULT_H
#define MVM_BASE_FAULT_H

#include <stdbool.h>

/*
 * Faults that tests inject through MVMSCALE_FAULT=name[:N] (N: let that many
 * occasions pass first). Each stands for a failure that a real host produced.
 */
enum fault {
	FAULT_FORK_EAGAIN,   /* the host is out of pids */
	FAULT_VM_DIES,	     /* a VM is killed after it became ready */
	FAULT_ENOSPC,	     /* the disk fills up under the run folder */
	FAULT_PROC_FIELDS,   /* /proc files lack fields that this kernel has */
	FAULT_NO_KVM,	     /* /dev/kvm opens, but a guest never gets ready under it */
	FAULT_PID_VANISHED,  /* a process is gone between listing and reading it */
	FAULT_NO_PRELOAD,    /* QEMU does not load the launch library */
	FAULT_NO_KSM,	     /* the kernel has no KSM, or refuses it */
	FAULT_NO_ASLR_OFF,   /* personality(2) is refused, as in some containers */
	FAULT_TEMPLATE_DIES, /* the process that VMs are copied from ends before it told of the latest */
	FAULT_RUNNER_HANGS,  /* a process that runs many VMs stops working, and does not end */
	FAULT_NO_ANSWER,     /* a VM runs and does not answer what it is asked */
	FAULT_COUNT
};

/* True when that fault is asked for and its occasion has come. */
bool fault_hit(enum fault f);

#endif
