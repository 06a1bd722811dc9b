/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Loaded into one QEMU by LD_PRELOAD, this makes it the template of many: where QEMU
 * would wait for work (clone) or fork into the background (fork), it also listens to the
 * harness, and copies its process as often as told. What it intercepts, and why:
 *
 *   ppoll            main thread, no lock held, nothing half done: the place to copy at
 *   fork             -daemonize calls it before the machine exists: the other place
 *   pthread_sigmask, sigprocmask   QEMU's threads block all signals; one stays open
 *   io_uring_queue_init   a ring is shared memory that copies must not share
 *   ioctl, mmap      KVM's calls are made again in each copy (kvm.c)
 *   madvise          MADV_DONTFORK would leave guest memory out of the copies
 *
 * Copies are children of the harness (CLONE_PARENT): they outlive the template, die with
 * the harness, and their end is told to the harness by the kernel.
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

#include "preload/zygote.h"
#include "preload/zygote_abi.h"

#ifndef PR_SET_MEMORY_MERGE
#define PR_SET_MEMORY_MERGE 67
#endif
#define MAX_POLL 63
#define MIN(a, b) ((a) < (b) ? (a) : (b))
/* Above every number that a copy shall find a descriptor under. */
#define CLEAR_OF_ALL 64
#define ASLEEP_TRIES 40
/* Each about 2 ms: a guest that is busy for a second at a time gets halted in between. */
#define HALT_TRIES 1500
#define TIMER_SOON_S 20
/* So often, and while a request waits so long in all, a template with a timer running is left alone before it
   is copied all the same. */
#define TIMER_TRIES 50
#define TIMER_PATIENCE_NS 5000000000LL

static int (*real_ppoll)(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *);
static int (*real_sigmask)(int, const sigset_t *, sigset_t *);
static pid_t (*real_fork)(void);
static int control_fd = -1, console_fd = -1;
static unsigned flags, lazy_libs, merge_error;
static bool mode_clone, mode_fork, copied;
static pid_t main_tid;

bool zygote_watches_kvm(void)
{
	return mode_clone && !copied;
}

static void find_real(void)
{
	real_ppoll = (__typeof__(real_ppoll))dlsym(RTLD_NEXT, "ppoll");
	real_sigmask = (__typeof__(real_sigmask))dlsym(RTLD_NEXT, "pthread_sigmask");
	real_fork = (__typeof__(real_fork))dlsym(RTLD_NEXT, "fork");
}

__attribute__((constructor)) static void zygote_init(void)
{
	const char *env = getenv(ZYGOTE_ENV);
	char mode[16];

	find_real();
	if (!env || sscanf(env, "%15s %d %d %u", mode, &control_fd, &console_fd, &flags) != 4)
		return;
	if ((flags & ZYGOTE_MERGE) && prctl(PR_SET_MEMORY_MERGE, 1, 0, 0, 0) < 0)
		merge_error = (unsigned)errno;
	main_tid = (pid_t)syscall(SYS_gettid);
	if (flags & ZYGOTE_KEEP_PROCESS)
		return;
	mode_clone = strcmp(mode, ZYGOTE_MODE_CLONE) == 0;
	mode_fork = strcmp(mode, ZYGOTE_MODE_FORK) == 0;
	threads_init();
}

/* No other threads stopped in the middle of something, if that can be had by waiting a little; and a vCPU
   under KVM that is halted, for which a guest with work of its own is waited for longer. */
static bool park(struct zygote_reply *r)
{
	for (int i = 0;; i++) {
		/* not in step with a timer of the guest's */
		struct timespec nap = { .tv_nsec = 1700000 + i % 7 * 100000 };

		if (!threads_park(r->refusal, sizeof(r->refusal)))
			return false;
		r->threads = threads_count();
		fds_note_pending();
		if (mode_clone && !kvm_capture(r->refusal, sizeof(r->refusal))) {
			threads_release();
			return false;
		}
		bool halted = !mode_clone || kvm_halted();
		r->late = (flags & ZYGOTE_LATE_THREADS) && mode_clone && threads_all_asleep() && kvm_sleeps();
		if (halted && (r->late || !(flags & ZYGOTE_LATE_THREADS) || i >= ASLEEP_TRIES - 1))
			return true;
		threads_release();
		if (!halted && i >= HALT_TRIES) {
			snprintf(r->refusal, sizeof(r->refusal), "its vCPU is not halted");
			return false;
		}
		nanosleep(&nap, NULL);
	}
}

/* Makes the VM number i of the request; true in a copy. */
static bool copy(struct zygote_reply *r, const struct zygote_request *q, unsigned i)
{
	pid_t harness = getppid();
	long pid = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);

	if (pid > 0) {
		r->pid[r->begun++] = (int32_t)pid;
		return false;
	}
	if (pid < 0) {
		r->error = errno;
		return false;
	}
	/* the harness is the parent of copies too: they die with it */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != harness || !fds_renew(q->first + i) || !kvm_renew())
		_exit(127);
	close(control_fd);
	if (q->vary)
		patch_apply(q->values[i].seed, q->values[i].phase_ms);
	copied = true;
	return true;
}

/* Receives one request; fds are the descriptors that came with it, or -1. False when the harness is gone. */
static bool receive(struct zygote_request *q, int fds[ZYGOTE_FDS])
{
	char space[CMSG_SPACE(ZYGOTE_FDS * sizeof(int))];
	struct iovec io = { .iov_base = q, .iov_len = sizeof(*q) };
	struct msghdr m = {
		.msg_iov = &io, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof(space)
	};
	ssize_t n;

	for (int i = 0; i < ZYGOTE_FDS; i++)
		fds[i] = -1;
	do
		n = recvmsg(control_fd, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return false;
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	if (c && c->cmsg_type == SCM_RIGHTS)
		memcpy(fds, CMSG_DATA(c), MIN(c->cmsg_len - CMSG_LEN(0), ZYGOTE_FDS * sizeof(int)));
	if (n !=
	    sizeof(*q)) /* malformed: answered, and nothing done, nor to the descriptors that came along */
		memset(q, 0, sizeof(*q));
	return true;
}

/* What a copy by fork inherits, under the numbers that QEMU's options name. False when one of them did not
   come or has no room: under its number there would be what the copy before had. */
static bool take_fds(const struct zygote_request *q, int fds[ZYGOTE_FDS])
{
	bool wanted[ZYGOTE_FDS], good = true;

	/* out of the way first: the number that one arrived under may be what another shall become */
	for (unsigned i = 0; i < ZYGOTE_FDS; i++) {
		int came = fds[i];

		wanted[i] = i < q->fd_count && mode_fork;
		if (wanted[i])
			fds[i] = fcntl(came, F_DUPFD_CLOEXEC, CLEAR_OF_ALL);
		good &= !wanted[i] || fds[i] >= 0;
		if (came >= 0)
			close(came);
	}
	for (unsigned i = 0; i < ZYGOTE_FDS; i++) {
		if (!wanted[i] || fds[i] < 0)
			continue;
		good &= dup2(fds[i], q->fd_as[i]) >= 0;
		close(fds[i]);
	}
	return good;
}

/* Serves one request; true in a copy. */
static bool serve(bool *ret_gone)
{
	static struct zygote_reply r;
	static struct zygote_request q;
	bool in_copy = false;
	int fds[ZYGOTE_FDS];

	*ret_gone = !receive(&q, fds);
	if (*ret_gone)
		return false;
	memset(&r, 0, sizeof(r));
	r.serial = q.serial;
	r.first = q.first;
	r.merge_error = merge_error;
	if (q.op != ZYGOTE_PING && (q.op != ZYGOTE_COPY || !q.count || q.count > ZYGOTE_BATCH))
		snprintf(r.refusal, sizeof(r.refusal), "malformed request");
	else if (mode_clone && (flags & ZYGOTE_LAZY_LIBS))
		lazy_libs = libs_leave_out();
	r.lazy_libs = lazy_libs;
	if (!take_fds(&q, fds) && !*r.refusal)
		snprintf(r.refusal, sizeof(r.refusal), "it cannot take its copies' descriptors (errno %d)",
			 errno);
	if (q.vary && !*r.refusal)
		patch_find(r.refusal, sizeof(r.refusal));
	if (!*r.refusal && mode_clone)
		kvm_prepare(r.refusal, sizeof(r.refusal));
	if (!*r.refusal && fds_survey(console_fd, control_fd, mode_clone, r.refusal, sizeof(r.refusal)) &&
	    park(&r)) {
		for (unsigned i = 0; q.op == ZYGOTE_COPY && i < q.count && !r.error && !in_copy; i++)
			in_copy = copy(&r, &q, i);
		if (in_copy) {
			if (!r.late)
				threads_revive();
			return true;
		}
		threads_release();
	}
	*ret_gone = send(control_fd, &r, sizeof(r), MSG_NOSIGNAL) < 0;
	return false;
}

/* In a copy whose threads do not exist yet: they are made before QEMU sees anything. */
static int sleep_then_revive(struct pollfd *fds, nfds_t n, const struct timespec *ts, const sigset_t *mask)
{
	int r = real_ppoll(fds, n, ts, mask);
	int saved = errno;

	threads_revive();
	errno = saved;
	return r;
}

static bool threads_are_missing(void)
{
	return threads_count() && syscall(SYS_getpid) == syscall(SYS_gettid) &&
	       (flags & ZYGOTE_LATE_THREADS) && threads_all_asleep() && kvm_sleeps();
}

/* A timer that is due soon would wake every copy once: let it pass in the template first. One that never
   stops (the guest's own) is waited for once, not before every request. */
static bool timer_is_soon(const struct timespec *ts)
{
	static unsigned seen;

	if (!ts || ts->tv_sec >= TIMER_SOON_S || !(flags & ZYGOTE_LATE_THREADS)) {
		if (seen < TIMER_TRIES)
			seen = 0;
		return false;
	}
	if (seen == TIMER_TRIES)
		return false;
	seen++;
	return true;
}

/* The poll that QEMU asked for, while a request waits; its time goes on *patience_ns. */
static int poll_alone(struct pollfd *fds, nfds_t n, const struct timespec *ts, const sigset_t *mask,
		      long long *patience_ns)
{
	struct timespec begin, end, most = { .tv_sec = *patience_ns / 1000000000 + 1 };

	clock_gettime(CLOCK_MONOTONIC, &begin);
	/* that nothing came in this time is no news to QEMU: it looks at its clock and asks again */
	int r = real_ppoll(fds, n, ts->tv_sec < most.tv_sec ? ts : &most, mask);
	int saved = errno;

	clock_gettime(CLOCK_MONOTONIC, &end);
	*patience_ns -= (end.tv_sec - begin.tv_sec) * 1000000000LL + end.tv_nsec - begin.tv_nsec;
	errno = saved;
	return r;
}

static int poll_as_template(struct pollfd *fds, nfds_t n, const struct timespec *ts, const sigset_t *mask)
{
	static long long patience_ns = TIMER_PATIENCE_NS;
	static bool asked; /* a request waits that was not looked at */
	struct pollfd more[MAX_POLL + 1];
	bool gone = false, wait = timer_is_soon(ts) && patience_ns > 0;

	if (asked && wait)
		return poll_alone(fds, n, ts, mask, &patience_ns);
	asked = false;
	memcpy(more, fds, n * sizeof(*fds));
	more[n] = (struct pollfd){ .fd = control_fd, .events = POLLIN };
	int r = real_ppoll(more, n + 1, ts, mask);
	memcpy(fds, more, n * sizeof(*fds));
	if (r <= 0 || !more[n].revents)
		return r;
	if (wait) {
		asked = true;
		return r - 1;
	}
	bool in_copy = serve(&gone);
	if (gone)
		_exit(0); /* the harness closed the channel: the template's work is done */
	if (in_copy)
		return threads_are_missing() ? sleep_then_revive(fds, n, ts, mask)
					     : real_ppoll(fds, n, ts, mask);
	return r - 1;
}

EXPORT int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *ts, const sigset_t *mask)
{
	if (!real_ppoll)
		find_real();
	if (!mode_clone || copied || n > MAX_POLL || syscall(SYS_gettid) != main_tid)
		return real_ppoll(fds, n, ts, mask);
	return poll_as_template(fds, n, ts, mask);
}

EXPORT int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *ts, const sigset_t *mask,
		       size_t size)
{
	(void)size;
	return ppoll(fds, n, ts, mask);
}

/* QEMU's parent would wait on this pipe for its child's report; here every copy reports to us. */
static int find_report_pipe(void)
{
	for (int fd = 3; fd < 64; fd++) {
		char path[64], what[64];
		int mode = fcntl(fd, F_GETFL);

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		ssize_t n = mode < 0 ? -1 : readlink(path, what, sizeof(what));
		if (n > 5 && strncmp(what, "pipe:", 5) == 0 && (mode & O_ACCMODE) == O_RDONLY)
			return fd;
	}
	return -1;
}

static void drain(int fd)
{
	char text[256];
	struct pollfd p = { .fd = fd, .events = POLLIN };

	while (fd >= 0 && poll(&p, 1, 0) == 1 && read(fd, text, sizeof(text)) > 0)
		;
}

EXPORT pid_t fork(void)
{
	bool gone = false;

	if (!real_fork)
		find_real();
	if (!mode_fork)
		return real_fork();
	if (copied)
		return 0; /* the second step into the background: a copy is there already */
	int report = find_report_pipe();
	while (!gone) {
		if (serve(&gone))
			return 0;
		drain(report);
	}
	_exit(0);
}

/* A ring would be shared by all copies; without one QEMU polls, and drops its rings later anyhow. */
EXPORT int io_uring_queue_init(unsigned entries, void *ring, unsigned ring_flags)
{
	static int (*real)(unsigned, void *, unsigned);

	if (mode_fork || mode_clone)
		return -ENOSYS;
	if (!real)
		real = (__typeof__(real))dlsym(RTLD_NEXT, "io_uring_queue_init");
	return real ? real(entries, ring, ring_flags) : -ENOSYS;
}

EXPORT int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	sigset_t open;

	if (!real_sigmask)
		find_real();
	if (set && how != SIG_UNBLOCK && (mode_clone || mode_fork)) {
		open = *set;
		sigdelset(&open, threads_signal());
		sigdelset(&open, SIGSEGV);
		set = &open;
	}
	return real_sigmask(how, set, old);
}

EXPORT int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
	int e = pthread_sigmask(how, set, old);

	errno = e ? e : errno;
	return e ? -1 : 0;
}

EXPORT int madvise(void *addr, size_t len, int advice)
{
	if (advice == MADV_DONTFORK && mode_clone)
		return 0;
	return (int)syscall(SYS_madvise, addr, len, advice);
}
