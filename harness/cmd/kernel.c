/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "cmd/cmd.h"
#include "cmd/run.h"
#include "nested/inside.h"
#include "nested/outer.h"

struct kernel_args {
	struct outer_options o;
	struct strlist run;
	struct run_options parsed; /* of it */
	bool inside;
};

#define AT(field) offsetof(struct kernel_args, field)

/* Sides of ab may differ in the kernel; the outer machine itself must be the same for both. */
#define BOTH .set_by_ab = true

static const struct option_row rows[] = {
	{ "vmlinuz", 0, "FILE", NULL, OPT_TEXT, AT(o.vmlinuz),
	  .help = "The kernel to test, as the boot loader takes it (bzImage)" },
	{ "modules", 0, "DIR", NULL, OPT_ANY, AT(o.modules),
	  .help = "Its modules: a folder with modules.dep, such as /lib/modules/VERSION" },
	{ "load", 0, "NAME,...", NULL, OPT_ANY, AT(o.load),
	  .help = "Modules to load, with what they need (default: what the run needs: KVM's if there are any, zram)" },
	{ "append", 0, "TEXT", NULL, OPT_ANY, AT(o.append), .help = "More for the kernel's command line" },
	{ "memory", 0, "MB", NULL, OPT_WHOLE, AT(o.memory_mb),
	  .help = "Memory of the outer machine (default 2048)", .min = 256, .max = 1 << 24, BOTH },
	{ "cpus", 0, "N", NULL, OPT_WHOLE, AT(o.cpus), .help = "Its processors (default: those of this host)",
	  .min = 1, .max = 255, BOTH },
	{ "accel", 0, "auto|tcg|kvm", NULL, OPT_WORD, AT(o.accel),
	  .help = "Its accelerator; auto: KVM if the kernel comes up with it", .words = "auto tcg kvm",
	  BOTH },
	{ "qemu", 0, "PATH", NULL, OPT_TEXT, AT(o.qemu),
	  .help = "The outer QEMU (default qemu-system-x86_64)", BOTH },
	{ "timeout", 0, "SECONDS", NULL, OPT_REAL, AT(o.timeout_s),
	  .help = "End it after that long (default 600)", .min = 1, .max = 1e6, BOTH },
	{ "out", 'o', "DIR", NULL, OPT_ANY, AT(o.out), .help = "Run folder (default runs/<time>-kernel)",
	  BOTH },
	{ "inside", 0, NULL, NULL, OPT_FLAG, AT(inside), .help = "The part that runs under that kernel",
	  .hidden = true, BOTH },
	{ 0 },
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
	for (const struct option_row *const *o = run_option_rows(); *o; o++) {
		const char word[] = { '-', (char)(*o)->letter, '\0' };
		_cleanup_free_ char *name = xasprintf("--%s", (*o)->name);

		for (size_t i = 0; (*o)->set_by_nested && i < a->run.count; i++)
			if (str_starts(a->run.items[i], name) || str_eq(a->run.items[i], word))
				cmd_usage(&cmd_kernel,
					  "%s: give %s before the --, the folder is on this host",
					  a->run.items[i], name);
	}
}

/* Errors in the options of the run end this here, and not after the kernel has booted. */
static void parse_run(struct kernel_args *a)
{
	_cleanup_free_ char **argv = xcalloc(a->run.count + 2, sizeof(*argv));

	argv[0] = (char *)"run";
	for (size_t i = 0; i < a->run.count; i++)
		argv[i + 1] = a->run.items[i];
	run_parse((int)a->run.count + 1, argv, &a->parsed);
	a->o.run = &a->run;
	a->o.parsed = &a->parsed;
}

static int run(int argc, char **argv)
{
	struct kernel_args a = { .o = { .accel = "auto",
					.qemu = "qemu-system-x86_64",
					.memory_mb = 2048,
					.cpus = (unsigned)sysconf(_SC_NPROCESSORS_ONLN),
					.timeout_s = 600,
					.notice = say } };
	int status = EXIT_DONE;

	cmd_parse(&cmd_kernel, argc, argv, &a);
	if (a.inside && getpid() != 1)
		cmd_usage(&cmd_kernel, "--inside is for the first process of a kernel under test");
	if (a.inside)
		inside_main();
	check(&a);
	_cleanup_free_ char *standard = a.o.out ? NULL : cmd_standard_folder("kernel");
	a.o.out = a.o.out ? a.o.out : standard;
	parse_run(&a);
	cmd_on_end(on_signal);
	error *e = outer_run(&a.o, &status);
	if (e) {
		status = cmd_fail(e);
	} else {
		_cleanup_(aftermath_clear) struct aftermath after;

		outcome_finish(a.o.out, &after);
		printf("%sRun folder: %s\n", after.text, a.o.out);
	}
	run_options_clear(&a.parsed);
	strlist_clear(&a.run);
	return status;
}

const struct command cmd_kernel = {
	.name = "kernel",
	.summary = "make a run under another kernel, in an outer machine",
	.usage = "-- [RUN-OPTION...]",
	.doc = "Makes a run under another kernel, without installing it: boots it in an outer QEMU with this program, QEMU "
	       "and their libraries in an initramfs, and brings the run folder out, marked as nested. Figures of a nested run compare with those of another nested run, not with a run on this host.\v"
	       "Example:\n"
	       "  mvmscale kernel --vmlinuz arch/x86/boot/bzImage -o new/1 -- --preset lean --accel tcg --max 20 --intervals 4\n\n"
	       "The kernel needs an initramfs, devtmpfs and an 8250 console built in. Exit status: that of the run; 3 a part is missing or the kernel does not come up.\n",
	.options = rows,
	.words = AT(run),
	.run = run,
};
