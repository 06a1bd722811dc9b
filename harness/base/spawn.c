/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/spawn.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/util.h"

/* Above every number that a child shall find a descriptor under. */
#define CLEAR_OF_ALL 64

/* What the child tells through the memory it shares until exec. */
struct failure {
	const char *step;
	int sys;
};

static int move_fds(const struct spawn_spec *s)
{
	int from[SPAWN_FDS];

	/* What whoever started us left open is none of a child's business: it would count for every VM, and
	   take numbers that one may want. An old kernel that cannot do it does no harm. */
	close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
	int null = open("/dev/null", O_RDWR);

	if (null < 0 || dup2(null, STDIN_FILENO) < 0)
		return -1;
	int err = s->stderr_fd >= 0 ? s->stderr_fd : null;
	if (dup2(err, STDOUT_FILENO) < 0 || dup2(err, STDERR_FILENO) < 0)
		return -1;
	if (null > STDERR_FILENO)
		close(null);
	/* out of the way first: one's number may be what another shall become */
	for (size_t i = 0; i < s->fd_count; i++) {
		from[i] = fcntl(s->fds[i].from, F_DUPFD_CLOEXEC, CLEAR_OF_ALL);
		if (from[i] < 0)
			return -1;
	}
	for (size_t i = 0; i < s->fd_count; i++)
		if (dup2(from[i], s->fds[i].to) < 0)
			return -1;
	return 0;
}

/* Runs in the child between vfork and exec: system calls only, no allocation. */
static const char *become(const struct spawn_spec *s, pid_t parent, const sigset_t *mask)
{
	struct rlimit now;

	if (prctl(PR_SET_PDEATHSIG, s->death_signal ? s->death_signal : SIGKILL) < 0)
		return "prctl(PR_SET_PDEATHSIG)";
	if (getppid() != parent)
		_exit(127); /* the harness died before the signal was armed */
	if (s->own_group && setpgid(0, 0) < 0)
		return "setpgid";
	if (s->cgroup_procs_fd >= 0 && write(s->cgroup_procs_fd, "0", 1) < 0)
		return "joining the cgroup";
	for (unsigned i = 0; i < s->cgroup_more; i++)
		if (write(s->cgroup_more_fds[i], "0", 1) < 0)
			return "joining the cgroup of a limit";
	const char *unbound = s->binding ? binding_apply(s->binding) : NULL;
	if (unbound)
		return unbound;
	if (move_fds(s) < 0)
		return "handing over descriptors";
	if (s->cwd && chdir(s->cwd) < 0)
		return "chdir";
	if (s->fixed_addresses && personality(ADDR_NO_RANDOMIZE) < 0)
		return "personality(ADDR_NO_RANDOMIZE)";
	struct rlimit stack = { .rlim_cur = (rlim_t)s->stack_kb * 1024, .rlim_max = RLIM_INFINITY };
	if (s->stack_kb && (getrlimit(RLIMIT_STACK, &now) < 0 ||
			    (stack.rlim_max = now.rlim_max, setrlimit(RLIMIT_STACK, &stack)) < 0))
		return "setrlimit(RLIMIT_STACK)";
	if (!s->keep_umask)
		umask(077);
	sigprocmask(SIG_SETMASK, mask, NULL);
	execve(s->path, s->argv, s->envp);
	return "exec";
}

error *spawn_process(const struct spawn_spec *spec, pid_t *ret_pid)
{
	volatile struct failure failed = { 0 };
	sigset_t all, old, childs;
	pid_t parent = getpid();

	assert(spec->fd_count <= SPAWN_FDS);
	if (fault_hit(FAULT_FORK_EAGAIN))
		return err_sys(EXIT_CANNOT, EAGAIN, "cannot start %s: fork (injected)", spec->path);
	/* No handler of ours may run in the child while it shares our memory. */
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	childs = old;
	sigdelset(&childs, SIGCHLD); /* we may take it by descriptor; a child expects the usual */
	/* vfork copies neither page tables nor a large VM table, and returns when exec is done: both are
	 * wanted. */
	pid_t pid = vfork(); /* NOLINT(clang-analyzer-security.insecureAPI.vfork) */
	if (pid == 0) {
		/* become() only makes system calls and writes to its own stack */
		failed.step = become(spec, parent, &childs); /* NOLINT(clang-analyzer-unix.Vfork) */
		failed.sys = errno;
		_exit(127); /* NOLINT(clang-analyzer-unix.Vfork) */
	}
	int sys = errno;
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (pid < 0)
		return err_sys(EXIT_CANNOT, sys, "cannot start %s: fork", spec->path);
	if (failed.step) {
		waitpid(pid, NULL, 0);
		return err_sys(EXIT_CANNOT, failed.sys, "cannot start %s: %s", spec->path, failed.step);
	}
	*ret_pid = pid;
	return NULL;
}

/* Lines that say what one could ask, or what goes on, and not what is wrong. */
static bool is_remark(const char *line)
{
	return str_starts(line, "Use ") || strstr(line, "QEMU waiting for connection");
}

char *spawn_complaint(int fd)
{
	char text[4096];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	const char *last = "", *said = NULL;

	text[n > 0 ? n : 0] = '\0';
	for (char *rest = text, *line; (line = strsep(&rest, "\n"));) {
		if (*line && !is_remark(line))
			said = line;
		if (*line && !strstr(line, "QEMU waiting for connection"))
			last = line;
	}
	return xstrdup(said ? said : last);
}
