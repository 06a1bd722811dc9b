/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A signal stops each thread inside a handler: the kernel has then put its whole context
 * on its own stack, and returning from the handler would restore it. A copy of the
 * process has those stacks, but no threads. There, a new thread is made for each with
 * the old thread-local storage, jumps into the waiting handler, and returns from it.
 */
#include <asm/prctl.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/rseq.h>
#include <time.h>
#include <ucontext.h>

#include "preload/zygote.h"

/* On a crowded host a thread may have to wait long for its turn. */
#define PARK_LIMIT_S 2
/* include/linux/sched.h of the kernel: "kernel thread cloned from userspace thread" */
#define PF_USER_WORKER 0x00004000
#define PARK_STEP_NS 100000

struct parked {
	sigjmp_buf context;
	unsigned long tls;   /* FS base, which is also its struct pthread */
	unsigned long stack; /* somewhere below all that it uses */
	void *robust_list;
	size_t robust_len;
	pid_t tid;	 /* whose place it is */
	volatile int in; /* the epoch in which it was stopped; 0: not yet */
	bool asleep;	 /* was stopped in an endless futex wait, or in KVM_RUN */
	bool gone;	 /* had ended before its signal came */
};

static struct parked parked[MAX_THREADS];
/* Grows with each release, so that every stop has a number of its own. */
static volatile int release_epoch = 1;
/* Threads in the handler, whatever they do there: before a place is given anew nobody may still write to it.
 */
static volatile int inside;
static unsigned asked;
static long tid_offset = -1; /* of the thread's ID in libc's struct pthread */

int threads_signal(void)
{
	return SIGRTMAX - 3;
}

static long futex(volatile int *word, int op, int value)
{
	return syscall(SYS_futex, word, op, value, NULL, NULL, 0);
}

/* With SA_RESTART the kernel has put the number of the interrupted call back into rax. */
static bool was_asleep(const ucontext_t *uc)
{
	const greg_t *r = uc->uc_mcontext.gregs;
	int op = (int)r[REG_RSI] & FUTEX_CMD_MASK;

	return r[REG_RAX] == SYS_futex && (op == FUTEX_WAIT || op == FUTEX_WAIT_BITSET) && r[REG_R10] == 0;
}

/* What a signal says: for which stop it was sent, and which place the thread has. */
static uint64_t order_of(int epoch, unsigned place)
{
	return (uint64_t)(unsigned)epoch << 32 | place;
}

static void on_park(int sig, siginfo_t *info, void *context)
{
	int saved_errno = errno;
	uint64_t order = (uintptr_t)info->si_value.sival_ptr;
	int epoch = (int)(order >> 32);
	struct parked *p = &parked[order % MAX_THREADS];

	(void)sig;
	__atomic_add_fetch(&inside, 1, __ATOMIC_SEQ_CST);
	/* A signal that comes when its stop was given up already must not stop anybody: nobody would let that
	   thread go on. */
	if (epoch != release_epoch || p->tid != (pid_t)syscall(SYS_gettid)) {
		__atomic_sub_fetch(&inside, 1, __ATOMIC_SEQ_CST);
		return;
	}
	syscall(SYS_arch_prctl, ARCH_GET_FS, &p->tls);
	syscall(SYS_get_robust_list, 0, &p->robust_list, &p->robust_len);
	p->asleep = was_asleep(context) || kvm_thread_runs_guest();
	/* a new thread starts on this stack, below the frame that it then jumps to */
	p->stack = ((unsigned long)__builtin_frame_address(0) - 1024) & ~63UL;
	if (sigsetjmp(p->context, 0) == 0) {
		__atomic_store_n(&p->in, epoch, __ATOMIC_SEQ_CST);
		while (release_epoch == epoch)
			futex(&release_epoch, FUTEX_WAIT, epoch);
	}
	__atomic_sub_fetch(&inside, 1, __ATOMIC_SEQ_CST);
	errno = saved_errno;
}

/* Where libc keeps a thread's ID, found by looking for it: the layout is not public. */
static long find_tid_offset(void)
{
	const int *self = (const int *)pthread_self();
	int tid = (int)syscall(SYS_gettid);

	for (long i = 0; i < 512; i++)
		if (self[i] == tid)
			return i * (long)sizeof(int);
	return -1;
}

void threads_init(void)
{
	struct sigaction sa = { .sa_sigaction = on_park, .sa_flags = SA_RESTART | SA_SIGINFO };

	sigfillset(&sa.sa_mask);
	sigaction(threads_signal(), &sa, NULL);
	tid_offset = find_tid_offset();
}

/* A task of the kernel's inside this process (KVM has one since 6.11): it runs no handler, and each KVM VM
   makes its own. */
static bool is_kernel_task(const char *tid)
{
	char path[64], text[256], *end;
	unsigned task_flags = 0;

	snprintf(path, sizeof(path), "/proc/self/task/%.16s/stat", tid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	/* the name may hold blanks and parentheses; flags are the 7th field after it */
	end = strrchr(text, ')');
	return end && sscanf(end + 1, " %*c %*d %*d %*d %*d %*d %u", &task_flags) == 1 &&
	       (task_flags & PF_USER_WORKER);
}

/* One entry of getdents64(2); libc's declaration hides behind opendir(). */
struct task_entry {
	uint64_t inode;
	int64_t next;
	unsigned short length;
	unsigned char type;
	char name[];
};

static bool was_asked(pid_t tid)
{
	for (unsigned i = 0; i < asked; i++)
		if (parked[i].tid == tid && !parked[i].gone)
			return true;
	return false;
}

static void signal_task(const char *name, char *refusal, size_t size)
{
	pid_t self = getpid(), tid = (pid_t)atoi(name);
	siginfo_t order = { .si_signo = threads_signal(), .si_code = SI_QUEUE, .si_pid = self };

	if (tid <= 0 || tid == self || was_asked(tid) || is_kernel_task(name))
		return;
	if (asked == MAX_THREADS) {
		snprintf(refusal, size, "it has more than %d threads", MAX_THREADS);
		return;
	}
	parked[asked].tid = tid;
	/* NOLINTNEXTLINE(performance-no-int-to-ptr) */
	order.si_value.sival_ptr = (void *)(uintptr_t)order_of(release_epoch, asked);
	if (syscall(SYS_rt_tgsigqueueinfo, self, tid, threads_signal(), &order) == 0)
		asked++;
	else if (errno != ESRCH) /* which has ended meanwhile */
		snprintf(refusal, size, "thread %d cannot be signalled (errno %d)", tid, errno);
}

/* Those that were not signalled yet. Not by opendir(): a thread may be stopped inside malloc, and then
   closedir() would wait for it for ever. */
static bool signal_others(char *refusal, size_t size)
{
	_Alignas(struct task_entry) char space[4096];
	int fd = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	long n;

	if (fd < 0)
		snprintf(refusal, size, "its threads cannot be listed (%s)", strerror(errno));
	while (fd >= 0 && !*refusal && (n = syscall(SYS_getdents64, fd, space, sizeof(space))) > 0)
		for (long at = 0; at < n && !*refusal;) {
			const struct task_entry *e = (const void *)(space + at);

			signal_task(e->name, refusal, size);
			at += e->length;
		}
	if (fd >= 0)
		close(fd);
	return !*refusal;
}

static unsigned arrived(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < asked; i++)
		n += parked[i].in == release_epoch || parked[i].gone;
	return n;
}

/* A signal to a thread that was about to end is lost with it. */
static void note_gone(void)
{
	for (unsigned i = 0; i < asked; i++)
		if (parked[i].in != release_epoch && !parked[i].gone)
			parked[i].gone =
				syscall(SYS_tgkill, getpid(), parked[i].tid, 0) < 0 && errno == ESRCH;
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void nap(void)
{
	struct timespec step = { .tv_nsec = PARK_STEP_NS };

	nanosleep(&step, NULL);
}

/* Until no thread is found that was not signalled: one that was not stopped yet may have made another. */
static bool stop_all(int64_t give_up, char *refusal, size_t size)
{
	unsigned before;

	do {
		before = asked;
		if (!signal_others(refusal, size))
			return false;
		while (arrived() < asked && now_ns() < give_up) {
			nap();
			note_gone();
		}
	} while (asked > before && arrived() == asked);
	return true;
}

bool threads_park(char *refusal, size_t size)
{
	int64_t give_up = now_ns() + PARK_LIMIT_S * 1000000000LL;

	while (inside && now_ns() < give_up)
		nap();
	if (inside) {
		snprintf(refusal, size, "%d of its threads have not left their last stop", inside);
		return false;
	}
	asked = 0;
	memset(parked, 0, sizeof(parked));
	if (tid_offset < 0) {
		snprintf(refusal, size, "this libc keeps the thread ID where it cannot be found");
		return false;
	}
	if (stop_all(give_up, refusal, size) && arrived() < asked)
		snprintf(refusal, size, "%u of its %u threads do not stop", asked - arrived(), asked);
	for (unsigned i = 0; i < asked && !*refusal; i++)
		if (!parked[i].gone && *(int *)(parked[i].tls + (unsigned long)tid_offset) != parked[i].tid)
			snprintf(refusal, size, "thread %d is not one of libc's", parked[i].tid);
	if (*refusal)
		threads_release();
	return !*refusal;
}

void threads_release(void)
{
	__atomic_add_fetch(&release_epoch, 1, __ATOMIC_SEQ_CST);
	futex(&release_epoch, FUTEX_WAKE, MAX_THREADS);
}

/*
 * glibc registered these for the original thread; the kernel forgot them in the copy.
 * The restartable-sequence area lies at a fixed distance from the thread pointer.
 */
static void register_again(const struct parked *p)
{
	if (p->robust_list)
		syscall(SYS_set_robust_list, p->robust_list, p->robust_len);
#if defined(SYS_rseq) && defined(RSEQ_SIG)
	if (__rseq_size)
		syscall(SYS_rseq, p->tls + (unsigned long)__rseq_offset, 32, 0, RSEQ_SIG);
#endif
}

static int begin(void *arg)
{
	struct parked *p = arg;

	register_again(p);
	siglongjmp(p->context, 1);
}

void threads_revive(void)
{
	const int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
			  CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;

	*(int *)((char *)pthread_self() + tid_offset) = (int)syscall(SYS_gettid);
	release_epoch++; /* a thread that looks again must not wait again */
	for (unsigned i = 0; i < asked; i++) {
		int *tid = (int *)(parked[i].tls + (unsigned long)tid_offset);

		if (parked[i].gone)
			continue;
		/* A VM with half its threads would look alive and never answer. */
		if (clone(begin, (void *)parked[i].stack, flags, &parked[i], tid, (void *)parked[i].tls,
			  tid) < 0)
			_exit(126);
	}
}

unsigned threads_count(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < asked; i++)
		n += !parked[i].gone;
	return n;
}

bool threads_all_asleep(void)
{
	for (unsigned i = 0; i < asked; i++)
		if (!parked[i].asleep && !parked[i].gone)
			return false;
	return true;
}
