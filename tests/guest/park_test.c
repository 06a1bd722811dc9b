/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * When a template answers: while its threads are inside malloc, which is where a starting QEMU's often are;
 * after a thread could not be stopped in time; and with a timer that never ends. The template is this program
 * itself: its threads, and a main thread that waits in ppoll() as QEMU's does. Prints TAP.
 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/util.h"
#include "preload/zygote_abi.h"

#define CONTROL_FD 11
#define REQUESTS 1500
#define ANSWER_MS 20000

static volatile unsigned turns; /* of the thread that was stuck */
static volatile bool is_stuck;

static void *allocate(void *arg)
{
	for (;;) {
		void *volatile p = malloc(64 + ((uintptr_t)arg & 1) * 4096);

		free(p);
	}
	return NULL;
}

/* A thread in vfork() takes no signal until its child is gone: longer than anybody waits for it. */
static void *get_stuck(void *arg)
{
	struct timespec once = { .tv_sec = 3 }, soon = { .tv_nsec = 1000000 };

	(void)arg;
	pid_t pid = vfork(); /* NOLINT(clang-analyzer-security.insecureAPI.vfork) */
	if (pid == 0) {
		is_stuck = true;	/* NOLINT(clang-analyzer-unix.Vfork) */
		nanosleep(&once, NULL); /* NOLINT(clang-analyzer-unix.Vfork) */
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	for (;;) {
		turns++;
		nanosleep(&soon, NULL);
	}
	return NULL;
}

static const struct role {
	const char *name;
	unsigned threads, flags;
	void *(*work)(void *);
	long timer_s; /* its main thread's, again and again */
} roles[] = {
	{ "allocate", 3, 0, allocate, 60 },
	{ "stuck", 1, 0, get_stuck, 60 },
	{ "timer", 0, ZYGOTE_LATE_THREADS, NULL, 12 },
	{ "full", 0, 0, NULL, 0 }, /* makes copies where it forks, and has no room for their descriptors */
};

static int be_a_template(const char *name)
{
	const struct role *r = roles;

	while (strcmp(r->name, name) != 0)
		r++;
	struct timespec timer = { .tv_sec = r->timer_s };
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!r->timer_s) {
		const struct rlimit few = { CONTROL_FD + 20, CONTROL_FD + 20 };

		setrlimit(RLIMIT_NOFILE, &few);
		return fork() < 0;
	}
	for (uintptr_t i = 0; i < r->threads; i++) {
		pthread_t t;

		if (pthread_create(&t, NULL, r->work, (void *)i) != 0) /* NOLINT(performance-no-int-to-ptr) */
			return 1;
	}
	while (r->work == get_stuck && !is_stuck)
		usleep(1000);
	for (;;) {
		/* the stuck one tells by its end that its thread goes on */
		if (turns > 500)
			return 0;
		ppoll(NULL, 0, &timer, NULL);
	}
}

static pid_t start_template(const char *self, const struct role *r, int *ret_fd)
{
	int pair[2];
	_cleanup_free_ char *library = fs_find_data("lib", "libmvmzygote.so");
	_cleanup_free_ char *how = xasprintf("%s %d -1 %u", r->timer_s ? ZYGOTE_MODE_CLONE : ZYGOTE_MODE_FORK,
					     CONTROL_FD, r->flags);

	if (!library || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		setenv(ZYGOTE_ENV, how, 1);
		setenv("LD_PRELOAD", library, 1);
		setenv("LD_BIND_NOW", "1", 1);
		setenv("GLIBC_TUNABLES", "glibc.malloc.arena_max=1:glibc.malloc.tcache_count=0", 1);
		dup2(pair[1], CONTROL_FD);
		execl(self, self, r->name, (char *)NULL);
		_exit(127);
	}
	close(pair[1]);
	*ret_fd = pair[0];
	return pid;
}

/* NULL, or what went wrong, until the next request. */
static const char *ask(int fd, unsigned *ret_threads)
{
	static struct zygote_reply r;
	struct zygote_request q = { .op = ZYGOTE_PING };
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (send(fd, &q, sizeof(q), MSG_NOSIGNAL) < 0)
		return "the template is gone";
	if (poll(&p, 1, ANSWER_MS) != 1)
		return "no answer: it waits for ever";
	if (recv(fd, &r, sizeof(r), 0) != (ssize_t)sizeof(r))
		return "the template ended";
	*ret_threads = r.threads;
	return *r.refusal ? r.refusal : NULL;
}

static int report(bool good, const char *what, const char *note)
{
	static unsigned count;

	printf("%sok %u - %s\n", good ? "" : "not ", ++count, what);
	if (!good && note)
		printf("# %s\n", note);
	fflush(stdout);
	return !good;
}

static int threads_that_allocate(int fd, pid_t pid)
{
	const char *wrong = NULL;
	unsigned threads = 0;

	(void)pid;
	for (unsigned done = 0; done < REQUESTS && !wrong; done++)
		wrong = ask(fd, &threads);
	return report(!wrong, "a template whose threads allocate answers all requests", wrong) +
	       report(threads == roles[0].threads, "and all of its threads were stopped", NULL);
}

/* The signal that was sent for the first request comes when nobody waits for it any more. */
static int a_thread_that_is_late(int fd, pid_t pid)
{
	struct timespec nap = { .tv_sec = 1, .tv_nsec = 500000000 };
	unsigned threads = 0;
	int bad, status = 0;
	const char *wrong = ask(fd, &threads);

	bad = report(wrong && strstr(wrong, "do not stop"), "a thread that does not stop is told", wrong);
	nanosleep(&nap, NULL);
	wrong = ask(fd, &threads);
	bad += report(!wrong && threads == 1, "once it can be stopped, the template can be copied", wrong);
	nanosleep(&nap, NULL);
	wrong = ask(fd, &threads); /* takes its main thread out of ppoll() */
	bad += report(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && !WEXITSTATUS(status),
		      "and the thread goes on between requests", wrong);
	return bad;
}

static int a_timer_without_end(int fd, pid_t pid)
{
	unsigned threads;
	const char *wrong = ask(fd, &threads);

	(void)pid;
	if (!wrong)
		wrong = ask(fd, &threads);
	return report(!wrong, "a template with a timer of 12 s, again and again, does not fall silent",
		      wrong);
}

/* A copy that went on would have what the one before it had under that number: another VM's disk. */
static int descriptors_that_do_not_arrive(int fd, pid_t pid)
{
	static struct zygote_reply r;
	struct zygote_request q = { .op = ZYGOTE_COPY, .count = 1, .fd_count = 1, .fd_as = { 5 } };
	char space[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec io = { .iov_base = &q, .iov_len = sizeof(q) };
	struct msghdr m = {
		.msg_iov = &io, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof(space)
	};
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	(void)pid;
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	bool answers = sendmsg(fd, &m, MSG_NOSIGNAL) > 0 && poll(&p, 1, ANSWER_MS) == 1 &&
		       recv(fd, &r, sizeof(r), 0) == (ssize_t)sizeof(r);
	int bad = report(answers && !r.begun && strstr(r.refusal, "cannot take its copies' descriptors"),
			 "a template without room for a copy's descriptors makes none", r.refusal);
	q.fd_count = 2; /* more than come */
	answers = sendmsg(fd, &m, MSG_NOSIGNAL) > 0 && poll(&p, 1, ANSWER_MS) == 1 &&
		  recv(fd, &r, sizeof(r), 0) == (ssize_t)sizeof(r);
	return bad +
	       report(answers && !r.begun && *r.refusal, "nor one whose descriptors do not come", r.refusal);
}

int main(int argc, char **argv)
{
	static int (*const tests[])(int, pid_t) = { threads_that_allocate, a_thread_that_is_late,
						    a_timer_without_end, descriptors_that_do_not_arrive };
	int bad = 0;

	if (argc > 1)
		return be_a_template(argv[1]);
	for (size_t i = 0; i < ARRAY_LEN(tests); i++) {
		int fd = -1;
		pid_t pid = start_template(argv[0], &roles[i], &fd);

		if (pid < 0) {
			printf("Bail out! the template does not start\n");
			return 1;
		}
		bad += tests[i](fd, pid);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		close(fd);
	}
	printf("1..8\n");
	return bad != 0;
}
