/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Both sides of the talk between the harness and a template QEMU. An input is a mode, a number of
 * descriptors, and a packet: 'a' it is an answer to the harness, 'c' or 'f' a request to the library, loaded
 * for clone or fork. Here the library copies nothing and touches no descriptor but those that came.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

#include "backend/qemu/qemu.h"
#include "driver.h"
#include "preload/zygote.h"
#include "preload/zygote_abi.h"

static unsigned copies, moved;

static long no_syscall(long number, ...)
{
	if (number != SYS_clone)
		return 1;
	if (++copies % 100 == 0) {
		errno = EAGAIN;
		return -1;
	}
	return 1000 + copies;
}

static int no_dup2(int from, int to)
{
	moved++;
	return from < 0 || to < 0 ? -1 : to;
}

/* What the other files of the library do. */
bool threads_park(char *refusal, size_t size)
{
	(void)refusal;
	(void)size;
	return true;
}
void threads_init(void)
{
}
void threads_release(void)
{
}
void threads_revive(void)
{
}
unsigned threads_count(void)
{
	return 2;
}
bool threads_all_asleep(void)
{
	return true;
}
int threads_signal(void)
{
	return SIGUSR2;
}
bool fds_survey(int console, int control, bool rebind, char *refusal, size_t size)
{
	(void)console;
	(void)control;
	(void)rebind;
	(void)refusal;
	(void)size;
	return true;
}
void fds_note_pending(void)
{
}
bool fds_renew(unsigned vm)
{
	(void)vm;
	return true;
}
bool kvm_prepare(char *refusal, size_t size)
{
	(void)refusal;
	(void)size;
	return true;
}
bool kvm_capture(char *refusal, size_t size)
{
	(void)refusal;
	(void)size;
	return true;
}
bool kvm_halted(void)
{
	return true;
}
bool kvm_sleeps(void)
{
	return true;
}
bool kvm_renew(void)
{
	return true;
}
bool patch_find(char *refusal, size_t size)
{
	snprintf(refusal, size, "no block");
	return false;
}
void patch_apply(uint32_t seed, uint32_t phase_ms)
{
	(void)seed;
	(void)phase_ms;
}
unsigned libs_leave_out(void)
{
	return 3;
}

#define syscall no_syscall
#define dup2 no_dup2
#define ppoll library_ppoll
#define __ppoll_chk library_ppoll_chk
#define fork library_fork
#define io_uring_queue_init library_io_uring_queue_init
#define pthread_sigmask library_pthread_sigmask
#define sigprocmask library_sigprocmask
#define madvise library_madvise
int library_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *ts, const sigset_t *mask);
int library_ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *ts, const sigset_t *mask,
		      size_t size);
pid_t library_fork(void);
int library_io_uring_queue_init(unsigned entries, void *ring, unsigned ring_flags);
int library_pthread_sigmask(int how, const sigset_t *set, sigset_t *old);
int library_sigprocmask(int how, const sigset_t *set, sigset_t *old);
int library_madvise(void *addr, size_t len, int advice);
#include "preload/zygote.c" /* NOLINT(bugprone-suspicious-include) */

static int next_fd(void)
{
	int fd = dup(0);

	if (fd >= 0)
		close(fd);
	return fd;
}

/* What the harness takes from an answer is a process that it may kill: one of its own children, or none. */
static void answer(const char *bytes, size_t len)
{
	struct qemu q = { .template = { .control_fd = -1 }, .next = { .control_fd = -1 } };
	struct zygote_request req = { .op = ZYGOTE_COPY, .first = 5, .count = 3 };
	int ends[2];

	if (!len || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return;
	q.template.control_fd = ends[0];
	if (send(ends[1], bytes, len, MSG_NOSIGNAL) == (ssize_t)len) {
		error *e = qemu_template_ask(&q, &req, NULL);

		fuzz_must(!e || *e->msg, "an error without words");
		fuzz_must(q.reply.begun <= req.count || *q.reply.refusal, "%u copies of %u", q.reply.begun,
			  req.count);
		fuzz_must(memchr(q.reply.refusal, 0, sizeof(q.reply.refusal)) != NULL,
			  "a refusal without end");
		/* there are no children here */
		fuzz_must(e || !q.reply.begun, "a process that is no child is taken");
		err_free(e);
	}
	close(ends[0]);
	close(ends[1]);
}

static void send_request(int fd, const char *bytes, size_t len, size_t fds)
{
	char space[CMSG_SPACE(5 * sizeof(int))] = { 0 };
	struct iovec io = { .iov_base = (void *)bytes, .iov_len = len };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1 };
	static const int pass[5] = { 0, 0, 0, 0, 0 };

	if (fds) {
		m.msg_control = space;
		m.msg_controllen = CMSG_SPACE(fds * sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(fds * sizeof(int));
		memcpy(CMSG_DATA(c), pass, fds * sizeof(int));
	}
	if (sendmsg(fd, &m, MSG_NOSIGNAL) < 0)
		abort();
}

static void request(bool clone_mode, size_t fds, const char *bytes, size_t len)
{
	int ends[2], before = next_fd();
	struct zygote_request q = { 0 };
	struct zygote_reply r;
	bool gone = false;

	if (!len || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return;
	memcpy(&q, bytes, MIN(len, sizeof(q)));
	mode_clone = clone_mode;
	mode_fork = !clone_mode;
	control_fd = ends[0];
	flags = clone_mode ? ZYGOTE_LATE_THREADS | ZYGOTE_LAZY_LIBS : 0;
	moved = 0;
	send_request(ends[1], bytes, len, fds);
	fuzz_must(!serve(&gone) && !gone, "the template ends");
	fuzz_must(recv(ends[1], &r, sizeof(r), 0) == (ssize_t)sizeof(r), "the answer is no answer");
	bool sound = len >= sizeof(q) && q.op == ZYGOTE_COPY && q.count && q.count <= ZYGOTE_BATCH;
	fuzz_must(r.begun <= (sound ? q.count : 0), "%u copies", r.begun);
	fuzz_must(memchr(r.refusal, 0, sizeof(r.refusal)) != NULL, "a refusal without end");
	fuzz_must(len >= sizeof(q) || (*r.refusal && !moved), "a packet that was cut moved %u descriptors",
		  moved);
	fuzz_must(moved <= MIN(fds, (size_t)ZYGOTE_FDS), "more descriptors were moved than came");
	close(ends[0]);
	close(ends[1]);
	control_fd = -1;
	fuzz_must(next_fd() == before, "a descriptor is left open");
}

static void run(const char *text, size_t len)
{
	if (len < 3)
		return;
	if (*text == 'a')
		answer(text + 2, len - 2);
	else
		request(*text == 'c', (unsigned char)text[1] % 6, text + 2, len - 2);
}

const struct fuzz_target fuzz_target = { .name = "zygote", .run = run, .binary = true };
