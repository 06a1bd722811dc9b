/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BASE_CHILD_H
#define MVM_BASE_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/util.h"

/*
 * Programs that are run for their answer (a version, a listing, a figure, a run of this program), and the end
 * of any child: what spawn_process() started is waited for, limited in time and killed here. Not for VMs that
 * run: their supervisor takes their end as an event.
 */

/* Waits for its end; its wait status. */
int child_wait(pid_t pid);
/* Kills it and waits for its end; none where pid <= 0. */
void child_kill(pid_t pid);
/* Waits until that time of clock_ns() at most. False when it did not end by itself: then it is dead, and
 * where it leads a group, so is that. */
bool child_wait_until(pid_t pid, uint64_t deadline, int *ret_status);
/* The exit status of a wait status, 128 + signal if one killed it, as a shell tells it. */
int child_exit_status(int status);

/* Runs a program, returns what it wrote to stdout and stderr (cut at 64 KiB; the caller frees it) and its
   wait status; killed after timeout_ms, which is an error. */
error *child_capture(char *const *argv, int timeout_ms, char **ret_text, int *ret_status) ERR_MUST_CHECK;

/*
 * Runs this program with these arguments: a run of a matrix, or of ab. It has its own janitor, limits and
 * journal, and whatever becomes of it, the other runs do not notice. It does not outlive us. Every line of
 * its error output goes to `line`, the last ones also into *ret_tail (the caller frees it). Each of *signals
 * is passed on as SIGINT, from the third as SIGKILL. *ret_status is as child_exit_status().
 */
error *child_run(const struct strlist *args, volatile int *signals,
		 void (*line)(void *user, const char *text), void *user, int *ret_status,
		 char **ret_tail) ERR_MUST_CHECK;

#endif
