/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How a template stops its threads (harness/preload/threads.c itself, not a model of it), under every order
 * of events with few delays. Its system calls are played here: threads are coroutines, each call is a place
 * where another may go on, and time may run out at any of them. Looked for: a thread that stays stopped, a
 * thread that still runs while copies are made, a place that holds another thread's context, and a main
 * thread that waits for a lock whose owner it has stopped (malloc's, which opendir() and free() take).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <asm/prctl.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/util.h"
#include "preload/zygote.h"

#define MAIN 0
#define ACTORS 4 /* the main thread, two more, and one that is made on the way */
#define MADE 3
#define FIRST_TID 100
#define STACK 65536
#define STEPS_MAX 3000
#define CHOICES_MAX 4096
#define DELAYS 2
#define TIMEOUTS 1
#define ROUNDS 2
#define ORDERS 8

enum fate { NOT_MADE, READY, WAITS_FUTEX, WAITS_LOCK, NAPS, ENDED };

static struct actor {
	ucontext_t context;
	enum fate fate;
	int tid; /* also what libc would have in struct pthread */
	siginfo_t orders[ORDERS];
	unsigned order_count;
	bool handles; /* a signal, or blocks them: the next one waits */
} actors[ACTORS];
static _Alignas(64) char stacks[ACTORS][STACK];
static ucontext_t scheduler;
static int current, lock_owner; /* of malloc's lock, -1: nobody */
static long clock_s;
static unsigned delays, timeouts, steps, listed;
static char wrong[128];

/* One run's choices; the next run goes as far as the last one that has another way. */
static struct {
	unsigned char taken, of;
} choices[CHOICES_MAX];
static unsigned depth, known;

static unsigned choose(unsigned of)
{
	if (of < 2)
		return 0;
	if (depth == known) {
		choices[depth].taken = 0;
		choices[depth].of = (unsigned char)of;
		known++;
	}
	return choices[depth++].taken;
}

static bool next_run(void)
{
	while (known && choices[known - 1].taken + 1 == choices[known - 1].of)
		known--;
	if (known)
		choices[known - 1].taken++;
	return known;
}

static void found(const char *what)
{
	if (!*wrong)
		snprintf(wrong, sizeof(wrong), "%s", what);
}

static void give_way(enum fate f)
{
	actors[current].fate = f;
	swapcontext(&actors[current].context, &scheduler);
}

static void on_park(int sig, siginfo_t *info, void *context);

/* As on the way back from the kernel. */
static void take_signals(void)
{
	struct actor *a = &actors[current];

	while (current != MAIN && a->order_count && !a->handles) {
		ucontext_t stopped = { 0 };
		siginfo_t order = a->orders[0];

		memmove(a->orders, a->orders + 1, --a->order_count * sizeof(order));
		a->handles = true;
		on_park(0, &order, &stopped);
		a->handles = false;
	}
}

/* Where another one may go on. */
static void point(void)
{
	give_way(READY);
	take_signals();
}

static void lock(void)
{
	point();
	while (lock_owner >= 0) {
		give_way(WAITS_LOCK);
		take_signals();
	}
	lock_owner = current;
}

static void unlock(void)
{
	lock_owner = -1;
	for (int i = 0; i < ACTORS; i++)
		if (actors[i].fate == WAITS_LOCK)
			actors[i].fate = READY;
	point();
}

static struct actor *actor_of(int tid)
{
	int i = tid - FIRST_TID;

	return i >= 0 && i < ACTORS && actors[i].fate != NOT_MADE && actors[i].fate != ENDED ? &actors[i]
											     : NULL;
}

static long play_futex(const volatile int *word, int op, int value)
{
	if (op == FUTEX_WAIT) {
		if (*word == value)
			give_way(WAITS_FUTEX);
		return 0;
	}
	for (int i = 0; i < ACTORS; i++)
		if (actors[i].fate == WAITS_FUTEX)
			actors[i].fate = READY;
	return 0;
}

/* One thread a call: others may be made and end between two of them. */
static int next_listed(void)
{
	while (listed < ACTORS && !actor_of(FIRST_TID + (int)listed))
		listed++;
	return listed < ACTORS ? FIRST_TID + (int)listed++ : 0;
}

struct entry_head {
	uint64_t inode;
	int64_t next;
	unsigned short length;
	unsigned char type;
	char name[13];
};

static long play_getdents(void *space)
{
	struct entry_head e = { .length = sizeof(e) };
	int tid = next_listed();

	if (!tid)
		return 0;
	snprintf(e.name, sizeof(e.name), "%d", tid);
	memcpy(space, &e, sizeof(e));
	return sizeof(e);
}

static long play_syscall(long number, ...)
{
	va_list ap;
	long a[4];

	va_start(ap, number);
	for (int i = 0; i < 4; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	point();
	struct actor *self = &actors[current], *other = actor_of((int)a[1]);
	switch (number) {
	case SYS_futex:
		/* NOLINTNEXTLINE(performance-no-int-to-ptr) */
		return play_futex((const volatile int *)a[0], (int)a[1], (int)a[2]);
	case SYS_gettid:
		return self->tid;
	case SYS_arch_prctl:
		*(unsigned long *)a[1] = (unsigned long)&self->tid; /* NOLINT(performance-no-int-to-ptr) */
		return 0;
	case SYS_getdents64:
		return play_getdents((void *)a[1]); /* NOLINT(performance-no-int-to-ptr) */
	case SYS_rt_tgsigqueueinfo:
	case SYS_tgkill:
		errno = ESRCH;
		if (!other)
			return -1;
		if (number == SYS_rt_tgsigqueueinfo && other->order_count < ORDERS)
			other->orders[other->order_count++] = *(const siginfo_t *)a[3]; /* NOLINT */
		if (other->order_count && other->fate == WAITS_LOCK)
			other->fate = READY;
		return 0;
	default:
		return 0;
	}
}

static int play_nanosleep(const struct timespec *t, struct timespec *left)
{
	(void)t;
	(void)left;
	if (timeouts < TIMEOUTS && choose(2)) {
		timeouts++;
		clock_s += 100;
	}
	give_way(NAPS);
	return 0;
}

static int play_clock(clockid_t id, struct timespec *t)
{
	(void)id;
	*t = (struct timespec){ .tv_sec = clock_s };
	return 0;
}

static int play_open(const char *path, int how)
{
	(void)how;
	listed = 0;
	return strstr(path, "/stat") ? -1 : 7;
}

static void play_malloc(void)
{
	lock();
	point();
	unlock();
}

/* Nothing here calls these three; a stop that did must be found out. */
#define NOT_CALLED __attribute__((unused))

NOT_CALLED static DIR *play_opendir(void)
{
	play_malloc();
	listed = 0;
	return (DIR *)&listed;
}

NOT_CALLED static struct dirent *play_readdir(void)
{
	static struct dirent e;
	int tid;

	point();
	tid = next_listed();
	snprintf(e.d_name, sizeof(e.d_name), "%d", tid);
	return tid ? &e : NULL;
}

NOT_CALLED static int play_closedir(void)
{
	play_malloc();
	return 0;
}

bool kvm_thread_runs_guest(void)
{
	return false;
}

#undef sigsetjmp
#define sigsetjmp(env, save) (point(), 0)
#define syscall play_syscall
#define nanosleep play_nanosleep
#define clock_gettime play_clock
#define open(path, ...) play_open(path, 0)
#define close(fd) ((void)(fd))
#define getpid() FIRST_TID
#define opendir(path) ((void)(path), play_opendir())
#define readdir(d) ((void)(d), play_readdir())
#define closedir(d) ((void)(d), play_closedir())
#include "preload/threads.c" /* NOLINT(bugprone-suspicious-include) */
#undef sigsetjmp
#undef syscall
#undef nanosleep
#undef clock_gettime
#undef open
#undef close
#undef getpid
#undef opendir
#undef readdir
#undef closedir

/* No thread runs, and each has a place of its own with what is its own. */
static void look_at_stopped(void)
{
	unsigned alive = 0;

	for (int i = MAIN + 1; i < ACTORS; i++) {
		struct actor *a = &actors[i];
		bool in_place = false;

		if (!actor_of(a->tid))
			continue;
		alive++;
		for (unsigned k = 0; k < asked; k++)
			in_place |= parked[k].in == release_epoch && parked[k].tid == a->tid &&
				    parked[k].tls == (unsigned long)&a->tid;
		if (!in_place)
			found("a thread runs while copies are made");
	}
	if (threads_count() != alive)
		found("threads are counted wrongly");
}

static void be_main(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		char refusal[160] = "";
		bool stopped = threads_park(refusal, sizeof(refusal));

		if (!stopped && clock_s == 0)
			found("it is refused though there was time");
		if (stopped) {
			look_at_stopped();
			point();
			look_at_stopped();
			threads_release();
		}
		play_malloc();
	}
	give_way(ENDED);
}

static void be_thread(void)
{
	if (current == 1) {
		actors[MADE].fate = READY;
		point();
	}
	play_malloc();
	actors[current].handles = true; /* libc blocks all signals on a thread's way out */
	point();
	give_way(ENDED);
}

static void make_actor(int i)
{
	struct actor *a = &actors[i];

	*a = (struct actor){ .fate = i == MADE ? NOT_MADE : READY, .tid = FIRST_TID + i };
	getcontext(&a->context);
	a->context.uc_stack = (stack_t){ .ss_sp = stacks[i], .ss_size = STACK };
	a->context.uc_link = &scheduler;
	makecontext(&a->context, i == MAIN ? be_main : be_thread, 0);
}

/* Who goes on: the one that did, else the next one in turn. Each that is passed over instead is a delay, of
   which there are few in a run: most faults need no more, and all orders would be too many. */
static int pick(void)
{
	int can[ACTORS], n = 0;

	for (int i = 0; i < ACTORS; i++)
		if (actors[(current + i) % ACTORS].fate == READY)
			can[n++] = (current + i) % ACTORS;
	for (int i = 0; !n && i < ACTORS; i++)
		if (actors[i].fate == NAPS)
			can[n++] = i;
	if (!n)
		return -1;
	unsigned skip = choose(MIN((unsigned)n, DELAYS - delays + 1));
	delays += skip;
	/* whoever naps looks again once somebody has gone on */
	for (int i = 0; i < ACTORS; i++)
		if (actors[i].fate == NAPS)
			actors[i].fate = READY;
	return can[skip];
}

static void run_once(void)
{
	memset(parked, 0, sizeof(parked));
	release_epoch = 1;
	inside = 0;
	asked = 0;
	tid_offset = 0;
	lock_owner = -1;
	clock_s = 0;
	delays = timeouts = steps = depth = 0;
	current = MAIN;
	for (int i = 0; i < ACTORS; i++)
		make_actor(i);
	for (int next; !*wrong && (next = pick()) >= 0;) {
		current = next;
		if (++steps > STEPS_MAX) {
			found("it goes on for ever");
			return;
		}
		swapcontext(&scheduler, &actors[current].context);
	}
	if (actors[MAIN].fate == WAITS_LOCK)
		found("the main thread waits for a lock of a thread that it has stopped");
	for (int i = 0; i < ACTORS; i++)
		if (actors[i].fate != ENDED && actors[i].fate != NOT_MADE)
			found("a thread stays stopped for ever");
}

static void no_order_of_events_stops_a_thread_for_ever(void **state)
{
	unsigned long runs = 0;

	(void)state;
	known = 0;
	do {
		run_once();
		runs++;
	} while (!*wrong && next_run());
	if (*wrong)
		fail_msg("after %lu orders of events: %s", runs, wrong);
	print_message("%lu orders of events\n", runs);
	assert_true(runs > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_order_of_events_stops_a_thread_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
