/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "nested/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/spawn.h"
#include "nested/inside.h"

/* A kernel that has said nothing by then does not come up with this accelerator. KVM is only tried, and says
   its first words at once; an emulated one unpacks itself first, on a host that may be busy. */
#define SILENCE_KVM_S 15
#define SILENCE_TCG_S 60
/* To end the run inside when it was asked to. */
#define GRACE_S 60
#define POLL_MS 100
#define RESULT_FD 3
#define CHUNK 65536

/*
 * What QEMU 7.2 emulates wrongly, so that one boot of Linux 6.12 in two died anywhere of it:
 * - CMPXCHG16B leaves an operand in the flags when they were not computed before. An interrupt at the next
 * jump saves them, and returns with TF or NT set: #DB or a double fault. The slab allocator has that jump
 * since 6.5; without the instruction it takes its lock.
 * - With a thread for each processor, one still executes the INT3 that another has just replaced, as the
 * kernel does when it patches itself. All in one thread take turns.
 */
#define TCG_CPU "max,cx16=off"
#define TCG_ACCEL "tcg,thread=single"

static void add_arguments(const struct machine *m, const char *qemu, struct strlist *argv)
{
	const struct outer_options *o = m->o;

	strlist_add(argv, qemu);
	strlist_add_words(argv, "-display none -nodefaults -no-reboot -machine pc");
	strlist_add(argv, "-accel");
	strlist_add(argv, str_eq(m->accel, "tcg") ? TCG_ACCEL : m->accel);
	strlist_add(argv, "-cpu");
	strlist_add(argv, str_eq(m->accel, "kvm") ? "host" : TCG_CPU);
	strlist_add(argv, "-m");
	strlist_addf(argv, "%u", o->memory_mb);
	strlist_add(argv, "-smp");
	strlist_addf(argv, "%u", o->cpus);
	strlist_add(argv, "-kernel");
	strlist_add(argv, o->vmlinuz);
	strlist_add(argv, "-initrd");
	strlist_addf(argv, "%s/initramfs", m->dir);
	strlist_add(argv, "-append");
	strlist_addf(argv, "console=ttyS0 rdinit=%s panic=-1%s%s -- kernel --inside", INSIDE_PROGRAM,
		     o->append ? " " : "", o->append ? o->append : "");
	strlist_add(argv, "-serial");
	strlist_addf(argv, "file:%s/console", m->dir);
	strlist_add(argv, "-chardev");
	strlist_addf(argv, "socket,id=result,fd=%d", RESULT_FD);
	strlist_add_words(argv, "-serial chardev:result");
}

char *machine_console(const struct machine *m)
{
	_cleanup_free_ char *path = xasprintf("%s/console", m->dir);
	char *text = NULL;

	err_free(fs_read(path, &text, NULL));
	return text ? text : xstrdup("");
}

static bool has_spoken(const struct machine *m)
{
	_cleanup_free_ char *path = xasprintf("%s/console", m->dir);
	struct stat st;

	return stat(path, &st) == 0 && st.st_size > 0;
}

/* Takes what there is on the line; waits for it at most timeout_ms. False at its end. */
static bool read_line(struct machine *m, int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (poll(&p, 1, timeout_ms) <= 0)
		return true;
	m->result = xrealloc(m->result, m->result_len + CHUNK, 1);
	ssize_t n = read(fd, m->result + m->result_len, CHUNK);
	if (n > 0)
		m->result_len += (size_t)n;
	return n > 0 || (n < 0 && errno == EINTR);
}

static void end_by_force(struct machine *m, pid_t pid, const char *fmt, double seconds)
{
	child_kill(pid);
	free(m->why);
	m->why = xasprintf(fmt, m->accel, seconds);
}

/* Waits for the end of QEMU. When time is over, or somebody interrupts, the run inside is asked to end; only
   a kernel that does not hear that is ended by force. */
static bool watch(struct machine *m, pid_t pid, int line, int *ret_status)
{
	uint64_t start = clock_ns(), asked = 0;
	double silence = str_eq(m->accel, "kvm") ? SILENCE_KVM_S : SILENCE_TCG_S;

	for (bool open = true; waitpid(pid, ret_status, WNOHANG) != pid;) {
		double seconds = (double)(clock_ns() - start) / 1e9;
		bool over = seconds > m->o->timeout_s;

		if (open)
			open = read_line(m, line, POLL_MS);
		else
			clock_sleep_ns(POLL_MS * 1000000ULL);
		if (run_interrupted == SIGKILL || (run_interrupted && !has_spoken(m))) {
			end_by_force(m, pid, "under %s it was interrupted after %.0f s", seconds);
			return false;
		}
		if (seconds > silence && !has_spoken(m)) {
			end_by_force(m, pid, "under %s the kernel has said nothing after %.0f s", seconds);
			return false;
		}
		if (asked && (double)(clock_ns() - asked) / 1e9 > GRACE_S) {
			end_by_force(m, pid,
				     "under %s the kernel did not end its run after %.0f s (--timeout)",
				     seconds);
			return false;
		}
		if (asked || (!over && !run_interrupted))
			continue;
		asked = clock_ns();
		if (over)
			m->why = xasprintf("under %s the run was not done after %.0f s (--timeout)", m->accel,
					   seconds);
		if (write(line, INSIDE_END, 1) < 0)
			end_by_force(m, pid, "under %s it could not be told to end, after %.0f s", seconds);
	}
	while (read_line(m, line, 0))
		if (poll(&(struct pollfd){ .fd = line, .events = POLLIN }, 1, 0) <= 0)
			break;
	return true;
}

static error *qemu_failed(const struct machine *m, int status)
{
	_cleanup_free_ char *path = xasprintf("%s/qemu.log", m->dir), *said = NULL;

	err_free(fs_read(path, &said, NULL));
	return err_new(EXIT_CANNOT, "the outer QEMU ended with status %d under %s: %s",
		       child_exit_status(status), m->accel, said && *said ? said : "it said nothing");
}

static error *boot(struct machine *m)
{
	_cleanup_free_ char *qemu = fs_find_program(m->o->qemu), *log = xasprintf("%s/qemu.log", m->dir);
	_cleanup_close_ int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	_cleanup_close_ int ours = -1;
	struct strlist argv = { 0 };
	int ends[2], status = 0;
	pid_t pid;

	if (!qemu)
		return err_new(EXIT_CANNOT,
			       "%s is not on PATH: install qemu-system-x86, or name it with --qemu",
			       m->o->qemu);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return err_sys(EXIT_CANNOT, errno, "cannot make a line to the outer machine");
	ours = ends[0];
	m->result_len = 0;
	add_arguments(m, qemu, &argv);
	struct spawn_fd line = { .from = ends[1], .to = RESULT_FD };
	struct spawn_spec spec = { .path = qemu,
				   .argv = argv.items,
				   .envp = environ,
				   .stderr_fd = fd,
				   .cgroup_procs_fd = -1,
				   .fds = &line,
				   .fd_count = 1 };
	error *e = spawn_process(&spec, &pid);
	strlist_clear(&argv);
	close(ends[1]);
	if (e)
		return e;
	if (!watch(m, pid, ours, &status) || !status)
		return NULL;
	if (!m->result_len)
		return qemu_failed(m, status);
	/* what came out until then is kept */
	free(m->why);
	_cleanup_err_ error *failed = qemu_failed(m, status);
	m->why = xstrdup(failed->msg);
	return NULL;
}

/* That /dev/kvm opens does not say that it carries a kernel. */
error *machine_run(struct machine *m)
{
	bool given = !str_eq(m->o->accel, "auto");
	bool try_kvm = given ? str_eq(m->o->accel, "kvm") : access("/dev/kvm", R_OK | W_OK) == 0;
	error *e = NULL;

	m->accel = "kvm";
	if (try_kvm)
		e = boot(m);
	if (try_kvm && (given || run_interrupted || has_spoken(m)))
		return e;
	if (try_kvm) {
		_cleanup_free_ char *text = xasprintf("no KVM for the outer machine: %s; trying TCG",
						      e	       ? e->msg
						      : m->why ? m->why
							       : "the kernel ended without a word");

		m->o->notice(text);
		err_free(e);
		free(STEAL(m->why));
	}
	m->accel = "tcg";
	return boot(m);
}

void machine_clear(struct machine *m)
{
	free(m->result);
	free(m->why);
}
