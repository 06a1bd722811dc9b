/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BASE_SPAWN_H
#define MVM_BASE_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/binding.h"
#include "base/err.h"

/* Starts processes. What becomes of them afterwards (time limit, end, output) is child.h's matter. */

#define SPAWN_FDS 8

struct spawn_fd {
	int from, to; /* `from` becomes `to` in the child, open across exec */
};

/* How a child process is made. Only what is set here reaches it. */
struct spawn_spec {
	const char *path;
	char *const *argv, *const *envp;
	const char *cwd;	    /* NULL keeps ours */
	int stderr_fd;		    /* also its standard output; -1 for /dev/null */
	const int *cgroup_more_fds; /* further cgroup.procs to join (v1 has one for each controller) */
	unsigned cgroup_more;
	const struct binding *binding; /* CPUs and memory nodes, NULL for ours */
	int cgroup_procs_fd;  /* joined before exec, so that all it costs is accounted there; -1 for none */
	long stack_kb;	      /* RLIMIT_STACK, which also sizes its threads' stacks; 0 keeps ours */
	bool fixed_addresses; /* personality(ADDR_NO_RANDOMIZE) */
	bool own_group;	      /* what it starts can be killed with it: by its pid, negative */
	bool keep_umask;      /* else what it creates is nobody else's: sockets, FIFOs, state of a VM */
	int death_signal;     /* what it gets when we die; 0: SIGKILL */
	const struct spawn_fd *fds;
	size_t fd_count; /* at most SPAWN_FDS */
};

/*
 * Starts a process that dies with this thread (PR_SET_PDEATHSIG). Returns
 * when its image is in place or exec failed; errors carry errno (EAGAIN: out of
 * pids) and the step that failed.
 */
error *spawn_process(const struct spawn_spec *spec, pid_t *ret_pid) ERR_MUST_CHECK;

/* The last thing that a program wrote into this file to say what is wrong; "" without one. The caller frees
 * it. */
char *spawn_complaint(int fd);

#endif
