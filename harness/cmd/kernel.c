/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/util.h"
#include "cmd/cmd.h"
#include "cmd/run.h"
#include "nested/inside.h"
#include "nested/outer.h"

enum {
	KEY_VMLINUZ = 256,
	KEY_MODULES,
	KEY_LOAD,
	KEY_APPEND,
	KEY_MEMORY,
	KEY_CPUS,
	KEY_TIMEOUT,
	KEY_QEMU,
	KEY_ACCEL,
	KEY_INSIDE
};

struct kernel_args {
	struct outer_options o;
	struct strlist run;
	struct run_args parsed; /* of it */
	char *out;
	bool inside;
};

static const struct argp_option options[] = {
	{ "vmlinuz", KEY_VMLINUZ, "FILE", 0, "The kernel to test, as the boot loader takes it (bzImage)", 0 },
	{ "modules", KEY_MODULES, "DIR", 0,
	  "Its modules: a folder with modules.dep, such as /lib/modules/VERSION", 0 },
	{ "load", KEY_LOAD, "NAME,...", 0,
	  "Modules to load, with what they need (default: what the run needs: KVM's if there are any, zram)",
	  0 },
	{ "append", KEY_APPEND, "TEXT", 0, "More for the kernel's command line", 0 },
	{ "memory", KEY_MEMORY, "MB", 0, "Memory of the outer machine (default 2048)", 0 },
	{ "cpus", KEY_CPUS, "N", 0, "Its processors (default: those of this host)", 0 },
	{ "accel", KEY_ACCEL, "auto|tcg|kvm", 0, "Its accelerator; auto: KVM if the kernel comes up with it",
	  0 },
	{ "qemu", KEY_QEMU, "PATH", 0, "The outer QEMU (default qemu-system-x86_64)", 0 },
	{ "timeout", KEY_TIMEOUT, "SECONDS", 0, "End it after that long (default 600)", 0 },
	{ "out", 'o', "DIR", 0, "Run folder (default runs/<time>-kernel)", 0 },
	{ "inside", KEY_INSIDE, NULL, OPTION_HIDDEN, "The part that runs under that kernel", 0 },
	{ 0 },
};

static error_t parse_machine(int key, char *arg, struct argp_state *st, struct outer_options *o)
{
	switch (key) {
	case KEY_MEMORY:
		o->memory_mb = cmd_whole(st, "memory", arg, 256, 1L << 24);
		return 0;
	case KEY_CPUS:
		o->cpus = cmd_whole(st, "cpus", arg, 1, 255);
		return 0;
	case KEY_ACCEL:
		if (!str_eq(arg, "auto") && !str_eq(arg, "tcg") && !str_eq(arg, "kvm"))
			argp_error(st, "--accel %s: must be auto, tcg or kvm", arg);
		o->accel = arg;
		return 0;
	case KEY_QEMU:
		o->qemu = cmd_text(st, "qemu", arg);
		return 0;
	case KEY_TIMEOUT:
		o->timeout_s = cmd_real(st, "timeout", arg, 1, 1e6);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse(int key, char *arg, struct argp_state *st)
{
	struct kernel_args *a = st->input;

	switch (key) {
	case KEY_VMLINUZ:
		a->o.vmlinuz = cmd_text(st, "vmlinuz", arg);
		return 0;
	case KEY_MODULES:
		a->o.modules = arg;
		return 0;
	case KEY_LOAD:
		a->o.load = arg;
		return 0;
	case KEY_APPEND:
		a->o.append = arg;
		return 0;
	case 'o':
		a->out = xstrdup(arg);
		return 0;
	case KEY_INSIDE:
		a->inside = true;
		return 0;
	case ARGP_KEY_ARG:
		strlist_add(&a->run, arg);
		return 0;
	default:
		return parse_machine(key, arg, st, &a->o);
	}
}

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "-- [RUN-OPTION...]",
	.doc = "Makes a run under another kernel, without installing it: boots it in an outer QEMU with this program, QEMU "
	       "and their libraries in an initramfs, and brings the run folder out, marked as nested. Figures of a nested run compare with those of another nested run, not with a run on this host.\v"
	       "Example:\n"
	       "  mvmscale kernel --vmlinuz arch/x86/boot/bzImage -o new/1 -- --preset lean --accel tcg --max 20 --intervals 4\n\n"
	       "The kernel needs an initramfs, devtmpfs and an 8250 console built in. Exit status: that of the run; 3 a part is missing or the kernel does not come up.\n",
};

static void say(const char *text)
{
	fprintf(stderr, "mvmscale: %s\n", text);
}

/* The first ends the run inside, and its results come out; the second ends the outer machine. */
static void on_signal(int sig)
{
	run_interrupted = run_interrupted ? SIGKILL : sig;
}

static void check(const struct kernel_args *a)
{
	if (!a->o.vmlinuz)
		cmd_usage(&cmd_kernel, "name the kernel with --vmlinuz");
	for (size_t i = 0; i < a->run.count; i++)
		if (str_starts(a->run.items[i], "--out") || str_eq(a->run.items[i], "-o"))
			cmd_usage(&cmd_kernel, "%s: give --out before the --, the folder is on this host",
				  a->run.items[i]);
}

/* Errors in the options of the run end this here, and not after the kernel has booted. */
static void parse_run(struct kernel_args *a)
{
	_cleanup_free_ char **argv = xcalloc(a->run.count + 2, sizeof(*argv));

	argv[0] = (char *)"run";
	for (size_t i = 0; i < a->run.count; i++)
		argv[i + 1] = a->run.items[i];
	run_args_parse((int)a->run.count + 1, argv, &a->parsed);
	a->o.run = &a->run;
	a->o.parsed = &a->parsed.o;
}

static int run(int argc, char **argv)
{
	struct kernel_args a = { .o = { .accel = "auto",
					.qemu = "qemu-system-x86_64",
					.memory_mb = 2048,
					.cpus = sysconf(_SC_NPROCESSORS_ONLN),
					.timeout_s = 600,
					.notice = say } };
	int status = EXIT_DONE;

	cmd_parse(&cmd_kernel, argc, argv, &a);
	if (a.inside && getpid() != 1)
		cmd_usage(&cmd_kernel, "--inside is for the first process of a kernel under test");
	if (a.inside)
		inside_main();
	check(&a);
	if (!a.out) {
		char stamp[17];

		clock_utc_stamp(stamp);
		a.out = xasprintf("runs/%s-kernel", stamp);
	}
	parse_run(&a);
	a.o.out = a.out;
	sigaction(SIGINT, &(struct sigaction){ .sa_handler = on_signal }, NULL);
	sigaction(SIGTERM, &(struct sigaction){ .sa_handler = on_signal }, NULL);
	sigaction(SIGHUP, &(struct sigaction){ .sa_handler = on_signal }, NULL);
	error *e = outer_run(&a.o, &status);
	if (e) {
		status = cmd_fail(e);
	} else {
		_cleanup_(aftermath_clear) struct aftermath after;

		outcome_finish(a.out, &after);
		printf("%sRun folder: %s\n", after.text, a.out);
	}
	run_args_clear(&a.parsed);
	strlist_clear(&a.run);
	free(a.out);
	return status;
}

const struct command cmd_kernel = {
	.name = "kernel",
	.summary = "make a run under another kernel, in an outer machine",
	.argp = &argp,
	.run = run,
};
