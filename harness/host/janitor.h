/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_HOST_JANITOR_H
#define MVM_HOST_JANITOR_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

/* janitor.c: a process that outlives us by a moment and undoes what we could not. */
error *janitor_start(int *ret_fd, pid_t *ret_pid) ERR_MUST_CHECK;
/* Waits until it has ended. With all_done it has nothing to undo. */
void janitor_dismiss(int fd, pid_t pid, bool all_done);

#endif
