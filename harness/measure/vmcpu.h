/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_MEASURE_VMCPU_H
#define MVM_MEASURE_VMCPU_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* CPU time of all threads of a process, in nanoseconds, the time slice that is running included (which
   /proc/PID/schedstat lacks); -1 when it has gone. */
int64_t vmcpu_ns(pid_t pid);

/* Time that its threads waited for a CPU while others had it, in nanoseconds; 0 where the kernel does not
 * tell. */
int64_t vmcpu_waited_ns(pid_t pid);

#endif
