/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * mvminit IMAGE: what a guest does, done by a process. It reads the parameter block of the
 * 512-byte image and follows the guest named there, over the same console protocol:
 * "MVM <guest> ready\n" once, then "pong" to "ping" and "?" to anything else.
 *
 * Console: descriptor 0. A listening unix socket is served one client at a time, as QEMU
 * serves its serial port; anything else (a FIFO, a terminal, a container's stdio) is read
 * from 0 and written to 1.
 *
 * It is the only program of a container, and is started in thousands: no libc, one page of
 * data, no heap, no thread, and no timer unless its guest has one. x86-64 only.
 */
#include <asm/unistd.h>
#include <linux/poll.h>
#include <linux/time_types.h>

#include "mvm_contract.h"

#define EX_USAGE 64
#define EX_NOINPUT 66
#define EX_UNAVAILABLE 69
#define NSEC 1000000000L
#define EINTR_NEG (-4)
#define ECHO_ 8
/* from <sys/socket.h>, which is libc's */
#define SOL_SOCKET_ 1
#define SO_ACCEPTCONN_ 30

typedef unsigned long word;

static long call(long nr, word a, word b, word c, word d, word e)
{
	register word r10 __asm__("r10") = d;
	register word r8 __asm__("r8") = e;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "0"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
			 : "rcx", "r11", "memory");
	return ret;
}

#define CALL(nr, a, b, c, d, e) call(nr, (word)(a), (word)(b), (word)(c), (word)(d), (word)(e))

static __attribute__((noreturn)) void quit(int status)
{
	for (;;)
		CALL(__NR_exit_group, status, 0, 0, 0, 0);
}

static word length(const char *s)
{
	word n = 0;

	while (s[n])
		n++;
	return n;
}

static int equal(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

static void put(int fd, const char *s)
{
	CALL(__NR_write, fd, s, length(s), 0, 0);
}

static __attribute__((noreturn)) void fail(int status, const char *what, const char *name)
{
	put(2, "mvminit: ");
	put(2, name);
	put(2, what);
	quit(status);
}

/* What a guest does of its own accord. */
struct workload {
	const char *name;
	int answers; /* its console is read after the ready line */
	/* Does what is due and returns the nanoseconds until something is due again, -1 for never. */
	long (*step)(void);
};

static long clock_of(int id)
{
	struct __kernel_timespec t = { 0 };

	CALL(__NR_clock_gettime, id, &t, 0, 0, 0);
	return t.tv_sec * NSEC + t.tv_nsec;
}

static long now_ns(void)
{
	return clock_of(1 /* CLOCK_MONOTONIC */);
}

static long worked_ns(void)
{
	return clock_of(2 /* CLOCK_PROCESS_CPUTIME_ID */);
}

static long step_never(void)
{
	return -1;
}

#define MVM_PIT_HZ 1193182L
/* An untouched PIT, divided by 65,536. */
#define TICK_NS (65536 * NSEC / MVM_PIT_HZ)

static long step_tick(void)
{
	static long next;
	long now = now_ns();

	if (!next)
		next = now;
	/* a tick that could not be taken in time is lost, as with a PC's timer */
	while (next <= now)
		next += TICK_NS;
	return next - now;
}

/* The guest's image; its parameters change as it runs, as they do in the guest. */
static unsigned char image[MVM_IMAGE_SIZE];

static unsigned param(unsigned offset, unsigned bytes)
{
	unsigned v = 0;

	while (bytes--)
		v = v << 8 | image[MVM_PARAM_OFFSET + offset + bytes];
	return v;
}

#define WAVE(field, bytes) param(MVM_PARAM_OFF_PAYLOAD + MVM_WAVE_OFF_##field, bytes)

/* mvm/wave.asm with the host's clock in place of the PIT's; the same names, widths and order. Only work is
   counted otherwise: a guest cannot tell when its host did not run it, a process can. */
static struct {
	long worked;	 /* CPU time that was taken off the credit already */
	long begun;	 /* nanoseconds: when the present slice began */
	unsigned passes; /* left, plus 1; 0: without end */
	long credit;	 /* clocks of work that are due */
	unsigned burst;
	unsigned short left, seed;
	signed char index;
	char started, over;
} wave;

static long clocks_ns(long clocks)
{
	return clocks * NSEC / MVM_PIT_HZ;
}

static void take_phase(void)
{
	unsigned what = param(MVM_PARAM_OFF_PAYLOAD + MVM_WAVE_OFF_PHASES + 2U * (unsigned)wave.index, 2);
	unsigned duration = what >> 8;

	if (what & 0x80)
		duration <<= 8;
	wave.burst = (what << 1 & 0xff) * WAVE(STEP, 2) & 0xffff;
	wave.seed = (unsigned short)(wave.seed * MVM_WAVE_LCG + 1U);
	wave.left = (unsigned short)(duration + (wave.seed * WAVE(JITTER, 2) >> 16));
}

static void begin_slice(void)
{
	while (!wave.left--) {
		if (--wave.index < 0) {
			if (!--wave.passes) {
				wave.over = 1;
				return;
			}
			wave.index = (signed char)WAVE(LAST, 1);
		}
		take_phase();
	}
	wave.credit += wave.burst;
}

static void start_wave(void)
{
	/* it starts at the phase: so many slices are over already, and their work is not done */
	word skip = (word)param(MVM_PARAM_OFF_PHASE, 4) * WAVE(SLICES_PER_MS, 4) >> 32;

	wave.started = 1;
	wave.passes = WAVE(PASSES, 4);
	wave.seed = (unsigned short)param(MVM_PARAM_OFF_SEED, 2);
	wave.over = WAVE(SLICE, 2) < MVM_WAVE_SLICE_UNIT;
	wave.begun = now_ns();
	for (skip = (skip & 0xffff) + 1; skip && !wave.over; skip--)
		begin_slice();
	wave.credit = 0;
	wave.worked = worked_ns();
}

#define BURST_ROUNDS 32768
/* So long it works without a look at the console. */
#define BURN_NS 1000000L

static long step_wave(void)
{
	long now, slice, until, worked;

	if (!wave.started)
		start_wave();
	slice = clocks_ns((long)WAVE(SLICE, 2));
	now = now_ns();
	until = now + BURN_NS;
	while (!wave.over) {
		for (; now - wave.begun >= slice && !wave.over; wave.begun += slice)
			begin_slice();
		if (wave.credit <= 0)
			return wave.begun + slice - now;
		if (now >= until)
			return 0;
		for (unsigned i = 0; i < BURST_ROUNDS; i++)
			__asm__ volatile("");
		/* all it costs counts, looking at clocks included */
		worked = worked_ns();
		wave.credit -= (worked - wave.worked) * MVM_PIT_HZ / NSEC;
		wave.worked = worked;
		now = now_ns();
	}
	return -1;
}

static const struct workload workloads[] = {
	{ "sleep", 1, step_never },
	{ "idle", 0, step_tick },
	{ "wave", 1, step_wave },
};

struct console {
	int in, out;   /* in -1: no client */
	int listening; /* the socket, or -1 */
	unsigned len;
	char line[MVM_LINE_MAX];
};

static void answer(struct console *c)
{
	if (c->len >= MVM_LINE_MAX) {
		put(c->out, "?\n");
	} else if (c->len) {
		c->line[c->len] = '\0';
		put(c->out, equal(c->line, "ping") ? "pong\n" : "?\n");
	}
	c->len = 0;
}

static void serve(struct console *c)
{
	char buf[256];
	long n = CALL(__NR_read, c->in, buf, sizeof(buf), 0, 0);

	if (n == EINTR_NEG)
		return;
	if (n <= 0 && c->listening < 0)
		quit(0); /* whoever held our console is gone for good */
	if (n <= 0) {
		CALL(__NR_close, c->in, 0, 0, 0, 0);
		c->in = -1;
		c->len = 0;
		return;
	}
	for (long i = 0; i < n; i++) {
		/* the kernel filled it, which the analyzer cannot see */
		/* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult) */
		if (buf[i] == '\n' || buf[i] == '\r')
			answer(c);
		else if (c->len < MVM_LINE_MAX)
			c->line[c->len++] = buf[i];
	}
}

static void take_client(struct console *c)
{
	c->in = c->out = (int)CALL(__NR_accept4, c->listening, 0, 0, 02000000 /* SOCK_CLOEXEC */, 0);
}

static void follow(const struct workload *w, struct console *c)
{
	for (;;) {
		long due = w->step();
		struct __kernel_timespec left = { .tv_sec = due / NSEC, .tv_nsec = due % NSEC };
		struct pollfd p = { .fd = c->in >= 0 ? c->in : c->listening, .events = POLLIN };

		if (CALL(__NR_ppoll, &p, w->answers ? 1 : 0, due < 0 ? 0 : &left, 0, 8) <= 0)
			continue;
		if (c->in >= 0)
			serve(c);
		else
			take_client(c);
	}
}

/* A serial port has no echo: what is asked must not come back as if it were the answer. */
static void no_echo(int terminal)
{
	struct {
		unsigned input, output, control, local;
		unsigned char line, chars[19];
	} t;

	if (CALL(__NR_ioctl, terminal, 0x5401 /* TCGETS */, &t, 0, 0) == 0) {
		/* the kernel filled it, which the analyzer cannot see */
		/* NOLINTNEXTLINE(clang-analyzer-core.uninitialized.Assign) */
		t.local &= ~(unsigned)ECHO_;
		CALL(__NR_ioctl, terminal, 0x5402 /* TCSETS */, &t, 0, 0);
	}
}

static void open_console(struct console *c)
{
	int listening = 0, size = sizeof(listening);

	c->in = 0;
	c->out = 1;
	c->listening = -1;
	c->len = 0;
	CALL(__NR_getsockopt, 0, SOL_SOCKET_, SO_ACCEPTCONN_, &listening, &size);
	if (listening) {
		c->listening = 0;
		take_client(c); /* the harness waits in the queue for the ready line */
	}
}

static const struct workload *find(const char *path)
{
	static char name[MVM_PARAM_GUEST_SIZE + 1];

	if (param(MVM_PARAM_OFF_MAGIC, 4) != MVM_PARAM_MAGIC ||
	    param(MVM_PARAM_OFF_VERSION, 1) != MVM_PARAM_VERSION)
		fail(EX_UNAVAILABLE, ": no parameter block that this version knows\n", path);
	for (unsigned i = 0; i < MVM_PARAM_GUEST_SIZE; i++)
		name[i] = (char)param(MVM_PARAM_OFF_GUEST + i, 1);
	for (unsigned i = 0; i < sizeof(workloads) / sizeof(*workloads); i++)
		if (equal(workloads[i].name, name))
			return &workloads[i];
	fail(EX_UNAVAILABLE, ": a process cannot do what this guest does\n", name);
}

__attribute__((noreturn, used)) static void begin(const word *stack)
{
	const char *path = *stack == 2 ? (const char *)stack[2] : 0;
	struct console c;

	if (!path)
		fail(EX_USAGE, "usage: mvminit IMAGE\n", "");
	int fd = (int)CALL(__NR_open, path, 02000000 /* O_RDONLY | O_CLOEXEC */, 0, 0, 0);
	if (fd < 0 || CALL(__NR_read, fd, image, sizeof(image), 0, 0) != (long)sizeof(image))
		fail(EX_NOINPUT, ": cannot read 512 bytes of it\n", path);
	CALL(__NR_close, fd, 0, 0, 0, 0);
	const struct workload *w = find(path);
	open_console(&c);
	no_echo(0);
	put(c.out, "MVM ");
	put(c.out, w->name);
	put(c.out, " ready\n");
	follow(w, &c);
	quit(0);
}

/* The kernel's stack: argument count, arguments, environment. */
__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall begin\n");
