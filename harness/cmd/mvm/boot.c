/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One guest in a real QEMU, its serial line on stdin and stdout. */
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>

#include "backend/console.h"
#include "backend/qemu/trial.h"
#include "base/clock.h"
#include "base/util.h"
#include "cmd/mvm/mvm.h"
#include "guest/image.h"

/* A key that no guest wants and no line editor takes: Ctrl-], as telnet has it. */
#define LEAVE_KEY 0x1d
/* With --accel auto: KVM that needs longer than this is slower than TCG. */
#define KVM_GOOD_TIME_S 5.0

struct boot {
	struct strlist path;
	const char *accel, *qemu;
	bool terminal;
	double wait_s, ready_timeout_s;

	struct guest_image image;
	struct trial_boot vm; /* machine and firmware are the options' */
	char *binary;
	bool ready;
	struct ready_line line;
};

static error *take_machine(const struct option_row *o, const char *arg, void *config)
{
	struct boot *b = config;

	(void)o;
	for (b->vm.machine = trial_machines; !str_eq(b->vm.machine->name, arg);)
		b->vm.machine++;
	return NULL;
}

#define AT(field) offsetof(struct boot, field)

static const struct option_row options[] = {
	{ "accel", 0, "auto|tcg|kvm", NULL, OPT_WORD, AT(accel), .words = "auto tcg kvm",
	  .help = "Accelerator (default auto: KVM where the guest gets ready under it)" },
	{ "machine", 0, "TYPE", NULL, OPT_WORD, AT(vm.machine), .words = "isapc pc microvm",
	  .take = take_machine, .help = "QEMU's machine type: isapc, pc or microvm (default isapc)" },
	/* words in the order of enum trial_medium */
	{ "firmware", 0, "own|seabios|floppy", NULL, OPT_CHOICE, AT(vm.medium), .words = "own seabios floppy",
	  .help = "own: the toolkit's ROM with the image in it; seabios: the image as a hard disk; floppy: SeaBIOS and the image as a floppy (default own)" },
	{ "memory", 0, "MB", NULL, OPT_WHOLE, AT(vm.memory_mb),
	  .help = "Memory of the guest, in megabytes (default 1)", .min = 1, .max = 3072 },
	{ "qemu", 0, "PATH", NULL, OPT_TEXT, AT(qemu), .help = "QEMU binary (default qemu-system-x86_64)" },
	{ "wait", 0, "SECONDS", NULL, OPT_REAL, AT(wait_s),
	  .help = "When standard input is no terminal: wait so long for replies after its end (default 2)",
	  .max = 3600 },
	{ "ready-timeout", 0, "S", NULL, OPT_REAL, AT(ready_timeout_s),
	  .help = "Give up when the guest is not ready after so many seconds (default 20)", .min = 0.05,
	  .max = 3600 },
	{ 0 },
};

static error *check(void *config)
{
	const struct boot *b = config;

	return b->vm.medium == TRIAL_FIRMWARE || b->vm.machine->has_bios
		       ? NULL
		       : err_new(EXIT_BAD_INPUT,
				 "--machine %s has no disk controller that SeaBIOS could boot from: use --firmware own",
				 b->vm.machine->name);
}

static volatile sig_atomic_t leave;

static void on_signal(int sig)
{
	leave = sig;
}

static void note_output(struct boot *b, const char *data, size_t n)
{
	for (size_t i = 0; i < n && !b->ready; i++)
		b->ready = *b->image.guest && console_hear(&b->line, b->image.guest, data[i]);
}

/* Hands the guest's output on; an error when QEMU has gone. */
static error *take_output(struct boot *b)
{
	char buf[4096];
	ssize_t n = read(b->vm.serial_fd, buf, sizeof(buf));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return NULL;
	if (n <= 0) {
		trial_boot_stop(&b->vm);
		_cleanup_free_ char *said = trial_boot_complaint(&b->vm);
		return err_new(EXIT_CANNOT, "%s ended by itself%s%s", b->binary,
			       b->ready ? "" : " before the guest was ready", said);
	}
	note_output(b, buf, (size_t)n);
	fwrite(buf, 1, (size_t)n, stdout);
	/* nobody takes it any more: why, is told at the end of the program */
	if (fflush(stdout))
		leave = SIGPIPE;
	return NULL;
}

/* Never long: a signal between a look at `leave` and the wait is seen soon. */
static int ms_until(uint64_t deadline)
{
	uint64_t now = clock_ns();

	return now >= deadline ? 0 : (int)MIN((deadline - now) / 1000000 + 1, 200U);
}

static error *await_ready(struct boot *b, double timeout_s)
{
	uint64_t deadline = clock_ns() + (uint64_t)(timeout_s * 1e9);

	while (!leave && !b->ready) {
		struct pollfd p = { .fd = b->vm.serial_fd, .events = POLLIN };
		error *e;

		if (poll(&p, 1, ms_until(deadline)) > 0 && (e = take_output(b)))
			return e;
		if (b->ready || leave || clock_ns() < deadline)
			continue;
		_cleanup_free_ char *said = trial_boot_complaint(&b->vm);
		return err_new(
			EXIT_CANNOT,
			"guest '%s' was not ready within %.1f s on machine %s under %s%s (more time: --ready-timeout)",
			b->image.guest, timeout_s, b->vm.machine->name, b->binary, said);
	}
	return NULL;
}

/* A boot sector of somebody else's says no ready line that could be waited for. */
static error *start_with(struct boot *b, enum accel a, double timeout_s)
{
	error *e;

	if (a == ACCEL_KVM && access("/dev/kvm", R_OK | W_OK) < 0)
		return err_sys(EXIT_CANNOT, errno, "KVM cannot be used: /dev/kvm");
	b->vm.accel = a;
	b->ready = false;
	b->line.len = 0;
	e = trial_boot_start(&b->vm);
	if (!e && b->image.has_params)
		e = await_ready(b, timeout_s);
	if (e)
		trial_boot_close(&b->vm);
	return e;
}

static error *start_guest(struct boot *b)
{
	if (!str_eq(b->accel, "auto"))
		return start_with(b, str_eq(b->accel, "kvm") ? ACCEL_KVM : ACCEL_TCG, b->ready_timeout_s);
	if (b->image.has_params) {
		_cleanup_err_ error *e = start_with(b, ACCEL_KVM, fmin(KVM_GOOD_TIME_S, b->ready_timeout_s));

		if (!e)
			return NULL;
	}
	return start_with(b, ACCEL_TCG, b->ready_timeout_s);
}

/* What was read from stdin and not yet taken by the guest. */
struct pending {
	char buf[4097]; /* one more, for the last line's missing end */
	size_t from, to;
	bool end;
	char last;
};

static void read_input(struct pending *in)
{
	ssize_t n = read(STDIN_FILENO, in->buf, sizeof(in->buf) - 1);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	in->from = 0;
	in->to = n > 0 ? (size_t)n : 0;
	in->end = n <= 0;
	if (in->end && in->last && in->last != '\n')
		in->buf[in->to++] = '\n';
	if (in->to)
		in->last = in->buf[in->to - 1];
}

static void send_input(struct boot *b, struct pending *in)
{
	ssize_t n = send(b->vm.serial_fd, in->buf + in->from, in->to - in->from, MSG_NOSIGNAL);

	if (n > 0)
		in->from += (size_t)n;
}

/* Until the user leaves, or the input ended and the time for replies has passed. */
static error *talk(struct boot *b)
{
	struct pending in = { .last = '\0' };
	uint64_t deadline = UINT64_MAX;
	error *e = NULL;

	while (!e && !leave) {
		bool waiting = in.from < in.to;
		struct pollfd p[] = {
			{ .fd = b->vm.serial_fd, .events = (short)(POLLIN | (waiting ? POLLOUT : 0)) },
			{ .fd = in.end || waiting ? -1 : STDIN_FILENO, .events = POLLIN },
		};

		if (in.end && !waiting && deadline == UINT64_MAX)
			deadline = clock_ns() + (b->terminal ? 0 : (uint64_t)(b->wait_s * 1e9));
		if (clock_ns() >= deadline)
			return NULL;
		if (poll(p, 2, ms_until(deadline)) <= 0)
			continue;
		if (p[0].revents & POLLOUT)
			send_input(b, &in);
		if (p[0].revents & (POLLIN | POLLHUP | POLLERR))
			e = take_output(b);
		if (p[1].revents)
			read_input(&in);
	}
	return e;
}

static void catch_signals(void)
{
	cmd_on_end(on_signal);
	sigaction(SIGQUIT, &(struct sigaction){ .sa_handler = on_signal }, NULL);
	signal(SIGPIPE, SIG_IGN); /* the terminal is put back first */
}

/* The terminal goes on editing lines and echoing; only Ctrl-] is made to end us, as Ctrl-C does. */
static bool take_terminal(struct termios *ret_before)
{
	struct termios t;

	if (tcgetattr(STDIN_FILENO, ret_before) < 0)
		return false;
	t = *ret_before;
	t.c_cc[VQUIT] = LEAVE_KEY;
	return tcsetattr(STDIN_FILENO, TCSANOW, &t) == 0;
}

static int run(int argc, char **argv)
{
	struct boot b = { .accel = "auto",
			  .vm = { .machine = trial_machines, .serial_fd = -1, .log_fd = -1 },
			  .wait_s = 2,
			  .ready_timeout_s = 20 };
	struct termios before;

	cmd_parse(&mvm_boot, argc, argv, &b);
	catch_signals();
	b.terminal = take_terminal(&before);
	error *e = image_load(b.path.items[0], &b.image);
	if (!e)
		e = trial_devices(&b.image, &b.vm.devices);
	if (!e)
		e = trial_find_qemu(b.qemu, &b.binary);
	b.vm.binary = b.binary;
	b.vm.image = &b.image;
	if (!e)
		e = start_guest(&b);
	if (!e)
		e = talk(&b);
	trial_boot_close(&b.vm);
	if (b.terminal)
		tcsetattr(STDIN_FILENO, TCSANOW, &before);
	free(b.binary);
	strlist_clear(&b.path);
	return e ? cmd_fail(e) : EXIT_DONE;
}

const struct command mvm_boot = {
	.name = "boot",
	.summary = "run one image, its serial line on your terminal",
	.usage = "IMG",
	.doc = "Boots IMG, a 512-byte boot sector, in QEMU, its serial line on your terminal. What you type goes to the guest line by line; Ctrl-C, Ctrl-] or Ctrl-D ends it."
	       "\v"
	       "Examples:\n"
	       "  mvm boot sleep.img\n"
	       "  echo ping | mvm boot sleep.img\n"
	       "  mvm boot sleep.img --machine pc --firmware seabios --accel tcg\n"
	       "\n"
	       "Exit status: 0 done, 2 usage or bad image, 3 QEMU is missing or the guest never got ready.",
	.options = options,
	.words = AT(path),
	.most = 1,
	.too_many = "one image at a time: '%s' is too many",
	.none = "which image? 'mvm build PROFILE -o IMG' makes one",
	.check = check,
	.run = run,
};
