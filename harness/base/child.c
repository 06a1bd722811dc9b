/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/spawn.h"
#include "base/text.h"

#define CAPTURE_SIZE 65536
#define POLL_MS 200
#define LINE_SIZE 1024
/* Lines of a failed run that are kept. */
#define TAIL_LINES 3

int child_wait(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

void child_kill(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGKILL);
	child_wait(pid);
}

bool child_wait_until(pid_t pid, uint64_t deadline, int *ret_status)
{
	pid_t got;

	while ((got = waitpid(pid, ret_status, WNOHANG)) == 0 || (got < 0 && errno == EINTR)) {
		if (clock_ns() < deadline) {
			clock_sleep_ns(1000000);
			continue;
		}
		kill(getpgid(pid) == pid ? -pid : pid, SIGKILL);
		*ret_status = child_wait(pid);
		return false;
	}
	return true;
}

int child_exit_status(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void read_until(int fd, uint64_t deadline, char *buf, size_t size)
{
	size_t len = 0;

	while (len < size - 1) {
		uint64_t left = clock_left_ns(deadline);
		struct pollfd p = { .fd = fd, .events = POLLIN };

		if (!left)
			break;
		/* a signal for the harness is not the end of what the program says */
		if (poll(&p, 1, (int)(left / 1000000) + 1) <= 0)
			continue;
		ssize_t n = read(fd, buf + len, size - 1 - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	buf[len] = '\0';
}

error *child_capture(char *const *argv, int timeout_ms, char **ret_text, int *ret_status)
{
	_cleanup_free_ char *path = fs_find_program(argv[0]);
	uint64_t deadline = clock_ns() + (uint64_t)timeout_ms * 1000000U;
	int fds[2];
	pid_t pid = -1;

	if (!path)
		return err_new(EXIT_CANNOT, "%s: no such program on PATH", argv[0]);
	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(EXIT_CANNOT, errno, "cannot run %s: pipe", path);
	_cleanup_close_ int from = fds[0];
	struct spawn_spec spec = {
		.path = path, .argv = argv, .envp = environ, .stderr_fd = fds[1], .cgroup_procs_fd = -1
	};
	error *e = spawn_process(&spec, &pid);
	close(fds[1]);
	if (e)
		return e;
	_cleanup_free_ char *text = xcalloc(CAPTURE_SIZE, 1);
	read_until(from, deadline, text, CAPTURE_SIZE);
	if (!child_wait_until(pid, deadline, ret_status))
		return err_new(EXIT_CANNOT, "%s %s: gave no answer within %d ms", path,
			       argv[1] ? argv[1] : "", timeout_ms);
	text_clean(text);
	*ret_text = STEAL(text);
	return NULL;
}

/* A run that goes on, and what it says. */
struct output {
	pid_t pid;
	int fd;
	char buf[LINE_SIZE];
	size_t len;
	struct strlist tail;
	void (*line)(void *user, const char *text);
	void *user;
};

static error *begin(struct output *c, const struct strlist *args)
{
	struct strlist argv = { 0 };
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(EXIT_CANNOT, errno, "cannot start a run: pipe");
	strlist_add(&argv, "mvmscale");
	for (size_t i = 0; i < args->count; i++)
		strlist_add(&argv, args->items[i]);
	struct spawn_fd err = { .from = fds[1], .to = STDERR_FILENO };
	/* A group of its own: Ctrl-C reaches it once, from us, and not a second time from the terminal. */
	struct spawn_spec spec = { .path = "/proc/self/exe",
				   .argv = argv.items,
				   .envp = environ,
				   .stderr_fd = -1,
				   .cgroup_procs_fd = -1,
				   .own_group = true,
				   .keep_umask = true,
				   .death_signal = SIGTERM,
				   .fds = &err,
				   .fd_count = 1 };
	error *e = spawn_process(&spec, &c->pid);
	strlist_clear(&argv);
	close(fds[1]);
	c->fd = fds[0];
	if (e)
		close(c->fd);
	else
		fcntl(c->fd, F_SETFL, O_NONBLOCK);
	return e;
}

static void end_line(struct output *c)
{
	c->buf[c->len] = '\0';
	c->len = 0;
	/* what a program says may be anything; this goes onto terminals and into JSON */
	_cleanup_free_ char *text = text_line(c->buf);
	if (!*text)
		return;
	if (c->line)
		c->line(c->user, text);
	strlist_add(&c->tail, text);
	if (c->tail.count <= TAIL_LINES)
		return;
	free(c->tail.items[0]);
	memmove(c->tail.items, c->tail.items + 1, c->tail.count * sizeof(*c->tail.items));
	c->tail.count--;
}

/* Takes what is there: > 0 bytes, 0 at the end, < 0 when nothing is there now. */
static ssize_t take_output(struct output *c)
{
	char got[4096];
	ssize_t n = read(c->fd, got, sizeof(got));

	for (ssize_t i = 0; i < n; i++) {
		if (got[i] != '\n')
			c->buf[c->len++] = got[i];
		if (got[i] == '\n' || c->len == sizeof(c->buf) - 1)
			end_line(c);
	}
	return n;
}

/* What the user pressed since, passed on; the third one is for a run that does not end. */
static void pass_on(const struct output *c, const volatile int *signals, int *passed)
{
	for (; *passed < *signals; (*passed)++)
		kill(c->pid, *passed >= 2 ? SIGKILL : SIGINT);
}

error *child_run(const struct strlist *args, volatile int *signals,
		 void (*line)(void *user, const char *text), void *user, int *ret_status, char **ret_tail)
{
	struct output c = { .line = line, .user = user };
	int passed = 0, status = 0; /* also what came since the caller looked is passed on */
	pid_t got = 0;
	error *e = begin(&c, args);

	if (e)
		return e;
	/* It is over when it is dead: a process that it left with our pipe must not keep us. */
	for (bool open = true; got == 0 || (got < 0 && errno == EINTR);) {
		struct pollfd p = { .fd = open ? c.fd : -1, .events = POLLIN };

		if (poll(&p, 1, POLL_MS) > 0)
			open = take_output(&c) != 0;
		pass_on(&c, signals, &passed);
		got = waitpid(c.pid, &status, WNOHANG);
		if (got == 0 && !open)
			clock_sleep_ns(1000000);
	}
	while (take_output(&c) > 0)
		;
	if (c.len)
		end_line(&c);
	close(c.fd);
	*ret_status = child_exit_status(status);
	*ret_tail = strlist_join(&c.tail);
	strlist_clear(&c.tail);
	return NULL;
}
