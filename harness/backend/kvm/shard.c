/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Runner processes: made by fork, without exec, so that they need no program of their own. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/kvm/kvm.h"
#include "base/child.h"
#include "base/fs.h"
#include "base/util.h"

#define SOCKET_FD 3
#define SEND_TRIES 10
#define SEND_TRY_MS 100

static error *lost_step(const char *step)
{
	return err_sys(EXIT_CANNOT, errno, "a KVM runner cannot begin: %s", step);
}

/* Leaves everything of the harness behind but the socket and the memory that fork copied. */
static error *become_runner(const struct shard_config *cfg, const struct binding *where, pid_t parent,
			    int socket_fd)
{
	sigset_t none;
	struct rlimit files;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return lost_step("prctl(PR_SET_PDEATHSIG)");
	if (getppid() != parent)
		_exit(EXIT_CANNOT); /* the harness died before the signal was armed */
	/* Ctrl-C goes to all of a terminal's foreground: the harness decides what becomes of the VMs */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGTERM, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (cfg->cgroup_procs_fd >= 0 && write(cfg->cgroup_procs_fd, "0", 1) < 0)
		return lost_step("joining the cgroup");
	for (unsigned i = 0; i < cfg->cgroup_more; i++)
		if (write(cfg->cgroup_more_fds[i], "0", 1) < 0)
			return lost_step("joining the cgroup of a limit");
	/* what KVM allocates for a VM, and the thread that the kernel makes for it, follow the runner */
	const char *unbound = where ? binding_apply(where) : NULL;
	if (unbound)
		return lost_step(unbound);
	int null = open("/dev/null", O_RDWR);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
	    dup2(null, STDERR_FILENO) < 0)
		return lost_step("/dev/null");
	/* also the janitor's pipe, which tells by its end that the harness is gone */
	if (dup2(socket_fd, SOCKET_FD) < 0 || close_range(SOCKET_FD + 1, ~0U, 0) < 0)
		return lost_step("closing descriptors");
	if (cfg->cwd && chdir(cfg->cwd) < 0)
		return lost_step("chdir");
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	prctl(PR_SET_NAME, "mvm-kvm-runner");
	return NULL;
}

static void __attribute__((noreturn))
run_child(const struct shard_config *cfg, const struct binding *where, pid_t parent, int socket_fd)
{
	error *e = become_runner(cfg, where, parent, socket_fd);

	if (!e) {
		socket_fd = SOCKET_FD;
		e = kvm_runner_work(&cfg->runner, socket_fd);
	}
	if (e) {
		struct kvm_message m = { .op = KVM_OP_REFUSED, .sys = e->sys };

		snprintf(m.text, sizeof(m.text), "%s", e->msg);
		send(socket_fd, &m, sizeof(m), MSG_NOSIGNAL);
	}
	/* nothing of the harness's own (buffers, handlers) may run here */
	_exit(e ? EXIT_CANNOT : EXIT_DONE);
}

/* Processes that the kernel has killed for want of memory since it booted; -1 where it does not tell. */
static long long oom_kills(void)
{
	_cleanup_free_ char *text = NULL;
	error *e = fs_read("/proc/vmstat", &text, NULL);
	const char *line = e ? NULL : strstr(text, "\noom_kill ");

	err_free(e);
	return line ? strtoll(line + strlen("\noom_kill "), NULL, 10) : -1;
}

error *shard_start(const struct shard_config *cfg, const struct binding *where, struct shard *ret)
{
	pid_t parent = getpid();
	int pair[2];

	*ret = (struct shard){ .fd = -1 };
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(EXIT_CANNOT, errno, "cannot make a channel to a KVM runner");
	ret->pid = fork();
	if (ret->pid == 0)
		run_child(cfg, where, parent, pair[1]);
	int sys = errno;
	close(pair[1]);
	if (ret->pid < 0) {
		close(pair[0]);
		return err_sys(EXIT_CANNOT, sys, "cannot start a KVM runner: fork");
	}
	ret->fd = pair[0];
	ret->oom_kills = oom_kills();
	if (where)
		ret->cpus = where->cpus;
	ret->ids = xcalloc(cfg->runner.capacity, sizeof(*ret->ids));
	return NULL;
}

error *shard_send(struct shard *s, const struct kvm_message *m)
{
	struct pollfd p = { .fd = s->fd, .events = POLLOUT };
	int waits = 0;

	/* a runner that was stopped reads nothing, and must not stop us as well */
	while (send(s->fd, m, sizeof(*m), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		if (errno == EAGAIN && waits++ < SEND_TRIES)
			poll(&p, 1, SEND_TRY_MS);
		else if (errno != EINTR)
			return err_sys(EXIT_CANNOT, errno == EPIPE ? 0 : errno,
				       "KVM runner %d does not listen", (int)s->pid);
	return NULL;
}

bool shard_receive(struct shard *s, struct kvm_message *m, bool *ret_ended)
{
	ssize_t n;

	*ret_ended = false;
	do
		n = recv(s->fd, m, sizeof(*m), MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n == (ssize_t)sizeof(*m)) {
		m->text[KVM_TEXT - 1] = '\0';
		return true;
	}
	*ret_ended = n >= 0 || errno != EAGAIN;
	return false;
}

char *shard_reap(struct shard *s, bool kill_it)
{
	if (kill_it)
		kill(s->pid, SIGKILL);
	int status = child_wait(s->pid);
	close(s->fd);
	s->fd = -1;
	if (s->refusal)
		return xstrdup(s->refusal);
	if (WIFSIGNALED(status)) {
		long long now = WTERMSIG(status) == SIGKILL ? oom_kills() : -1;
		const char *why = now < 0 || s->oom_kills < 0 ? ""
				  : now > s->oom_kills	      ? ", perhaps by the kernel for want of memory"
							      : ", not for want of memory";

		return xasprintf("its runner (process %d) was killed by signal %d (%s)%s", (int)s->pid,
				 WTERMSIG(status), sigabbrev_np(WTERMSIG(status)), why);
	}
	return xasprintf("its runner (process %d) exited with status %d", (int)s->pid, WEXITSTATUS(status));
}

void shard_clear(struct shard *s)
{
	free(s->ids);
	free(s->refusal);
	*s = (struct shard){ .fd = -1 };
}
