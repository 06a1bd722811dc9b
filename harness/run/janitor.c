/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The janitor waits until the harness is gone, however it went, and then undoes what
 * the journals say. VMs need none of it: the kernel kills them with their parent.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "run/session.h"

static void wait_and_clean(int fd)
{
	char c;
	struct strlist said = { 0 };

	setsid();
	prctl(PR_SET_NAME, "mvmscale-janitr");
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	/* a terminal or pipe of the caller must not stay open because of us */
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int i = 0; i < 3 && null >= 0; i++)
		dup2(null, i);
	while (read(fd, &c, 1) < 0 && errno == EINTR)
		;
	/* the dead harness' VMs are being killed; a cgroup is only removed when they are gone */
	for (int i = 0; i < 5; i++) {
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

void janitor_dismiss(int fd, pid_t pid)
{
	if (fd < 0)
		return;
	close(fd);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}
