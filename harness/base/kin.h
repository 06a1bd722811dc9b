/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BASE_KIN_H
#define MVM_BASE_KIN_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

/*
 * Numbers of processes that another program told us: a template QEMU, a container runtime, a pid file. None
 * of them is signalled, or moved to a cgroup, before it was looked at here: 0, -1 and 1 mean more than one
 * process to kill(2), and any other number may be a stranger's.
 */

enum kin {
	KIN_NONE,	/* no such process, this one, or a helper of ours that runs our own program */
	KIN_STRANGER,	/* somebody's */
	KIN_ELSEWHERE,	/* somebody's as well, but in another pid namespace: a container may be that */
	KIN_DESCENDANT, /* a child's child, or further down */
	KIN_CHILD,	/* until we wait for it nobody else gets its number */
};

enum kin kin_of(pid_t pid);
/* What was told as a number of a process; least is the nearest relation that will do. The error says what the
   number is instead; `who` begins its message. */
error *kin_check(long long told, enum kin least, const char *who, pid_t *ret_pid) ERR_MUST_CHECK;
/* Kills it if it is a child or a descendant now; false when it is not, or is gone. */
bool kin_kill(pid_t pid);
/* Kills and waits for those children that have that working folder and that `known` does not know; for those
   that were made for us by a program that died before it told of them. Returns how many. */
unsigned kin_kill_strays(const char *folder, bool (*known)(void *user, pid_t pid), void *user);

#endif
