/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A run as a child process of this program (of a matrix, or of ab): it has its own janitor, limits and
 * journal, and whatever becomes of it, the other runs do not notice. It does not outlive us.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/text.h"
#include "matrix/matrix.h"

#define POLL_MS 200
#define LINE_SIZE 1024
/* Lines of a failed run that are kept. */
#define TAIL_LINES 3

struct child {
	pid_t pid;
	int fd;
	char buf[LINE_SIZE];
	size_t len;
	struct strlist tail;
	void (*line)(void *user, const char *text);
	void *user;
};

static void become(char **argv, int err_fd, pid_t parent)
{
	int null = open("/dev/null", O_RDWR);

	/* A group of its own: Ctrl-C reaches it once, from us, and not a second time from the terminal. */
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(EXIT_INTERRUPTED);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
	    dup2(err_fd, STDERR_FILENO) < 0)
		_exit(EXIT_CANNOT);
	if (null > STDERR_FILENO)
		close(null);
	execv("/proc/self/exe", argv);
	_exit(EXIT_CANNOT);
}

static error *begin(struct child *c, const struct strlist *args)
{
	struct strlist argv = { 0 };
	pid_t parent = getpid();
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(EXIT_CANNOT, errno, "cannot start a run: pipe");
	strlist_add(&argv, "mvmscale");
	for (size_t i = 0; i < args->count; i++)
		strlist_add(&argv, args->items[i]);
	fflush(NULL);
	c->pid = fork();
	int sys = errno;
	if (c->pid == 0)
		become(argv.items, fds[1], parent);
	strlist_clear(&argv);
	close(fds[1]);
	c->fd = fds[0];
	if (c->pid < 0) {
		close(fds[0]);
		return err_sys(EXIT_CANNOT, sys, "cannot start a run: fork");
	}
	setpgid(c->pid, c->pid); /* whichever of us comes first */
	fcntl(c->fd, F_SETFL, O_NONBLOCK);
	return NULL;
}

static void end_line(struct child *c)
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
static ssize_t take_output(struct child *c)
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
static void pass_on(const struct child *c, const volatile int *signals, int *passed)
{
	for (; *passed < *signals; (*passed)++)
		kill(c->pid, *passed >= 2 ? SIGKILL : SIGINT);
}

error *child_run(const struct strlist *argv, volatile int *signals,
		 void (*line)(void *user, const char *text), void *user, int *ret_status, char **ret_tail)
{
	struct child c = { .line = line, .user = user };
	int passed = 0, status = 0; /* also what came since the caller looked is passed on */
	pid_t got = 0;
	error *e = begin(&c, argv);

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
	*ret_status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	*ret_tail = strlist_join(&c.tail);
	strlist_clear(&c.tail);
	return NULL;
}
