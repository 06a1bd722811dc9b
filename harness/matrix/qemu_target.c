/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a QEMU is, whatever its name says: a wrapper script may stand for another program, and
 * "qemu-system-i386" has been a name of the 64-bit emulator. QEMU itself says over QMP what it emulates.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/spawn.h"
#include "matrix/matrix.h"

#define ANSWER_TIMEOUT_NS 10000000000ULL
#define ANSWER_SIZE 4096

/* It dies with us, however we end. */
static error *start(const char *program, int in, int out, pid_t *ret)
{
	char *argv[] = { (char *)program,	(char *)"-machine", (char *)"none",
			 (char *)"-nodefaults", (char *)"-display", (char *)"none",
			 (char *)"-qmp",	(char *)"stdio",    NULL };
	const struct spawn_fd ask = { .from = in, .to = STDIN_FILENO };
	const struct spawn_spec spec = {
		.path = program,
		.argv = argv,
		.envp = environ,
		.stderr_fd = out,
		.cgroup_procs_fd = -1,
		.fds = &ask,
		.fd_count = 1,
	};

	return spawn_process(&spec, ret);
}

/* Reads until the answer is there, the program ends, or time is up. */
static void read_answer(int fd, char *text)
{
	uint64_t until = clock_ns() + ANSWER_TIMEOUT_NS;
	size_t len = 0;

	while (len < ANSWER_SIZE - 1 && !strstr(text, "\"arch\"") && clock_ns() < until) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		if (poll(&p, 1, 100) <= 0)
			continue;
		ssize_t n = read(fd, text + len, ANSWER_SIZE - 1 - len);
		if (n == 0 || (n < 0 && errno != EINTR))
			return;
		len += n > 0 ? (size_t)n : 0;
		text[len] = '\0';
	}
}

static char *program_of(pid_t pid)
{
	_cleanup_free_ char *link = xasprintf("/proc/%d/exe", (int)pid);
	char path[PATH_MAX];
	ssize_t n = readlink(link, path, sizeof(path) - 1);

	if (n <= 0)
		return NULL;
	path[n] = '\0';
	return xstrdup(path);
}

/* The value of "arch" in QMP's answer; NULL without one. */
static char *arch_of(const char *text)
{
	const char *at = strstr(text, "\"arch\"");

	at = at ? strchr(at + strlen("\"arch\""), '"') : NULL;
	return at ? xasprintf("%.*s", (int)strcspn(at + 1, "\""), at + 1) : NULL;
}

error *qemu_target(const char *program, char **ret_binary, char **ret_target)
{
	static const char ask[] = "{\"execute\":\"qmp_capabilities\"}{\"execute\":\"query-target\"}";
	int in[2] = { -1, -1 }, out[2] = { -1, -1 };
	char text[ANSWER_SIZE] = "";
	pid_t pid = 0;
	error *e = NULL;

	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
		e = err_sys(EXIT_CANNOT, errno, "cannot ask %s what it emulates", program);
	if (!e)
		e = start(program, in[0], out[1], &pid);
	_cleanup_close_ int from = in[0], ask_fd = in[1], answer_fd = out[0];
	(void)from;
	if (out[1] >= 0)
		close(out[1]); /* so that its end is seen */
	if (e)
		return e;
	/* it fits into the pipe, so nobody has to read it yet */
	if (write(ask_fd, ask, strlen(ask)) == (ssize_t)strlen(ask))
		read_answer(answer_fd, text);
	_cleanup_free_ char *binary = program_of(pid);
	child_kill(pid);
	*ret_target = arch_of(text);
	if (!*ret_target)
		return err_new(EXIT_CANNOT, "%s does not say over QMP what it emulates: is it a QEMU?",
			       program);
	*ret_binary = binary ? STEAL(binary) : xstrdup(program);
	return NULL;
}
