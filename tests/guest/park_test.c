/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Stopping a template's threads while they are inside malloc, which is where a starting QEMU's often are.
 * The template is this program itself: threads that only allocate and free, from one arena, and a main
 * thread that waits in ppoll(). Every request must be answered. Prints TAP.
 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/util.h"
#include "preload/zygote_abi.h"

#define CONTROL_FD 11
#define THREADS 3
#define REQUESTS 1500
#define ANSWER_MS 20000

static void *allocate(void *arg)
{
	for (;;) {
		void *volatile p = malloc(64 + ((uintptr_t)arg & 1) * 4096);

		free(p);
	}
	return NULL;
}

static int be_a_template(void)
{
	struct timespec minute = { .tv_sec = 60 };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (uintptr_t i = 0; i < THREADS; i++) {
		pthread_t t;

		if (pthread_create(&t, NULL, allocate, (void *)i) !=
		    0) /* NOLINT(performance-no-int-to-ptr) */
			return 1;
	}
	for (;;)
		ppoll(NULL, 0, &minute, NULL);
}

static pid_t start_template(const char *self, int *ret_fd)
{
	int pair[2];
	_cleanup_free_ char *library = fs_find_data("lib", "libmvmzygote.so");
	_cleanup_free_ char *how = xasprintf(ZYGOTE_MODE_CLONE " %d -1 0", CONTROL_FD);

	if (!library || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		setenv(ZYGOTE_ENV, how, 1);
		setenv("LD_PRELOAD", library, 1);
		setenv("LD_BIND_NOW", "1", 1);
		setenv("GLIBC_TUNABLES", "glibc.malloc.arena_max=1:glibc.malloc.tcache_count=0", 1);
		dup2(pair[1], CONTROL_FD);
		execl(self, self, "template", (char *)NULL);
		_exit(127);
	}
	close(pair[1]);
	*ret_fd = pair[0];
	return pid;
}

/* NULL, or what went wrong. */
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
	return *r.refusal ? strdup(r.refusal) : NULL;
}

int main(int argc, char **argv)
{
	const char *wrong = NULL;
	unsigned threads = 0, done = 0;
	int fd = -1;

	if (argc > 1)
		return be_a_template();
	pid_t pid = start_template(argv[0], &fd);
	if (pid < 0) {
		printf("Bail out! the template does not start\n");
		return 1;
	}
	while (done < REQUESTS && !wrong) {
		wrong = ask(fd, &threads);
		done += !wrong;
	}
	printf("%sok 1 - a template whose threads allocate answers %d requests\n", wrong ? "not " : "",
	       REQUESTS);
	if (wrong)
		printf("# request %u: %s\n", done + 1, wrong);
	printf("%sok 2 - and all of its threads were stopped\n", threads == THREADS ? "" : "not ");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	printf("1..2\n");
	return wrong || threads != THREADS;
}
