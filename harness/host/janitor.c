/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The janitor waits until the harness is gone, however it went, and then undoes what
 * the journals say. VMs need none of it: the kernel kills them with their parent.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/child.h"
#include "base/clock.h"
#include "host/janitor.h"
#include "host/journal.h"
#include "host/settings.h"

/* Longer than this it does not try: the next start of mvmscale does. */
#define TRIES 5
#define TRY_LIMIT_NS 60000000000ULL
/* What the harness says when there is nothing left to do. */
#define ALL_DONE 'd'

/* Of what the harness and its caller have open and where they are, nothing is kept: not a terminal or pipe
   that somebody waits for the end of, not a folder that somebody wants to unmount. */
static int let_go(int fd)
{
	_cleanup_free_ char *own = journal_folder(), *host = journal_host_folder();
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int i = 0; i < 3 && null >= 0; i++)
		dup2(null, i);
	/* relative ones are meant from here */
	setenv("MVMSCALE_STATE", own, 1);
	if (getenv("MVMSCALE_HOST_STATE"))
		setenv("MVMSCALE_HOST_STATE", host, 1);
	if (chdir("/") < 0 || dup2(fd, 3) < 0)
		return fd;
	close_range(4, ~0U, 0);
	return 3;
}

static void wait_and_clean(int fd)
{
	char c = 0;
	ssize_t n;
	struct strlist said = { 0 };

	/* before anything else: a Ctrl-C of this moment is for the harness */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	setsid();
	prctl(PR_SET_NAME, "mvmscale-janitr");
	fd = let_go(fd);
	while ((n = read(fd, &c, 1)) < 0 && errno == EINTR)
		;
	if (n == 1 && c == ALL_DONE)
		_exit(0);
	/* the dead harness' VMs are being killed; a cgroup is only removed when they are gone */
	uint64_t start = clock_ns();
	for (int i = 0; i < TRIES && clock_ns() - start < TRY_LIMIT_NS; i++) {
		error *e = settings_recover(&said);
		bool done = !e;

		err_free(e);
		if (done)
			break;
		clock_sleep_ns(1000000000);
	}
	_exit(0);
}

error *janitor_start(int *ret_fd, pid_t *ret_pid)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(EXIT_CANNOT, errno, "cannot start the janitor process: pipe");
	pid_t pid = fork();
	if (pid < 0) {
		int sys = errno;

		close(fds[0]);
		close(fds[1]);
		return err_sys(EXIT_CANNOT, sys, "cannot start the janitor process: fork");
	}
	if (pid == 0) {
		close(fds[1]);
		wait_and_clean(fds[0]);
	}
	close(fds[0]);
	*ret_fd = fds[1];
	*ret_pid = pid;
	return NULL;
}

void janitor_dismiss(int fd, pid_t pid, bool all_done)
{
	const char c = ALL_DONE;

	if (fd < 0)
		return;
	/* a janitor that was killed makes this EPIPE, which changes nothing (SIGPIPE is ignored) */
	while (all_done && write(fd, &c, 1) < 0 && errno == EINTR)
		;
	close(fd);
	child_wait(pid);
}
