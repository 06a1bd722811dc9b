/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "backend/console.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/util.h"

static struct sockaddr_un address(int dir_fd, uint32_t vm)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/%u", dir_fd, vm);
	return a;
}

error *console_listen(int dir_fd, uint32_t vm, int *ret_fd)
{
	struct sockaddr_un a = address(dir_fd, vm);
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return err_sys(EXIT_CANNOT, errno, "console of VM %u: socket", vm);
	unlink(a.sun_path);
	/* before it has a name: the name's mode is that of the socket, less the umask */
	if (fchmod(fd, 0600) < 0)
		return err_sys(EXIT_CANNOT, errno, "console of VM %u: cannot keep others out", vm);
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 4) < 0)
		return err_sys(EXIT_CANNOT, errno, "console of VM %u: cannot listen", vm);
	*ret_fd = steal_fd(&fd);
	return NULL;
}

error *console_connect(int dir_fd, uint32_t vm, int *ret_fd)
{
	struct sockaddr_un a = address(dir_fd, vm);
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_sys(EXIT_CANNOT, errno, "console of VM %u: socket", vm);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return err_sys(EXIT_CANNOT, errno, "console of VM %u: cannot connect", vm);
	*ret_fd = steal_fd(&fd);
	return NULL;
}

error *console_read_line(int fd, uint32_t vm, uint64_t deadline, char *reply, size_t size)
{
	size_t len = 0;

	while (len < size) {
		uint64_t now = clock_ns();
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int left = now < deadline ? (int)((deadline - now + 999999) / 1000000) : 0;

		if (poll(&p, 1, left) == 0)
			return err_new(EXIT_CANNOT, "VM %u gave no answer in time (%zu bytes came)", vm, len);
		ssize_t n = read(fd, reply + len, 1);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			return err_sys(EXIT_CANNOT, errno, "console of VM %u", vm);
		if (n == 0)
			return err_new(EXIT_CANNOT, "VM %u closed its console before it answered", vm);
		if (reply[len] == '\n') {
			reply[len] = '\0';
			return NULL;
		}
		len++;
	}
	return err_new(EXIT_CANNOT, "VM %u answers with more than %zu bytes and no end of line", vm, size);
}

pid_t console_owner(int fd)
{
	struct ucred c = { 0 };
	socklen_t len = sizeof(c);

	/* of the connecting side: who called listen(2) */
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &len) == 0 ? c.pid : 0;
}

void console_evict(int dir_fd, uint32_t vm)
{
	_cleanup_close_ int fd = -1;
	struct sockaddr_un a = address(dir_fd, vm);
	error *e = console_connect(dir_fd, vm, &fd);
	pid_t owner = e ? 0 : console_owner(fd);
	siginfo_t ended;

	err_free(e);
	/* of others' processes this is an error; a child's number belongs to nobody else until it was waited
	 * for */
	if (owner > 0 && waitid(P_PID, (id_t)owner, &ended, WEXITED | WNOHANG | WNOWAIT) == 0) {
		kill(owner, SIGKILL);
		while (waitpid(owner, NULL, 0) < 0 && errno == EINTR)
			;
	}
	unlink(a.sun_path);
}

/* The round trip over descriptors that are connected to the VM. */
static error *exchange(int to, int from, uint32_t vm, const char *request, int timeout_ms, char *reply,
		       size_t size, uint64_t start, double *ret_ms)
{
	char line[256];
	int n = snprintf(line, sizeof(line), "%s\n", request);

	if (n >= (int)sizeof(line))
		return err_new(EXIT_BAD_INPUT, "request of %d bytes: at most %zu fit on a guest's line", n,
			       sizeof(line) - 2);
	/* SIGPIPE is ignored by the harness; tests may not, so a socket asks for none */
	ssize_t sent = to == from ? send(to, line, (size_t)n, MSG_NOSIGNAL) : write(to, line, (size_t)n);
	if (sent != n)
		return err_sys(EXIT_CANNOT, errno, "console of VM %u: send", vm);
	error *e = console_read_line(from, vm, start + (uint64_t)timeout_ms * 1000000U, reply, size);
	if (!e && ret_ms)
		*ret_ms = (double)(clock_ns() - start) / 1e6;
	return e;
}

error *console_reach(int dir_fd, uint32_t vm, pid_t owner, int timeout_ms, int *ret_fd)
{
	_cleanup_close_ int fd = -1;
	uint64_t start = clock_ns();
	error *e = console_connect(dir_fd, vm, &fd);

	/* one that listens itself may not have come so far yet: there is no socket, or nobody at it */
	while (e && owner && (e->sys == ENOENT || e->sys == ECONNREFUSED) && kill(owner, 0) == 0 &&
	       clock_ns() - start < (uint64_t)timeout_ms * 1000000U) {
		err_free(e);
		clock_sleep_ns(200000);
		e = console_connect(dir_fd, vm, &fd);
	}
	if (e)
		return e;
	if (owner && console_owner(fd) != owner)
		return err_new(EXIT_UNTRUSTED, "console of VM %u belongs to process %d, the VM is process %d",
			       vm, (int)console_owner(fd), (int)owner);
	*ret_fd = steal_fd(&fd);
	return NULL;
}

error *console_ask(int dir_fd, uint32_t vm, pid_t owner, const char *request, int timeout_ms, char *reply,
		   size_t size, double *ret_ms)
{
	_cleanup_close_ int fd = -1;
	uint64_t start = clock_ns();
	error *e = console_reach(dir_fd, vm, owner, timeout_ms, &fd);

	return e ? e : exchange(fd, fd, vm, request, timeout_ms, reply, size, start, ret_ms);
}

static void fifo_path(char *path, size_t size, int dir_fd, uint32_t vm, const char *end)
{
	snprintf(path, size, "/proc/self/fd/%d/%u.%s", dir_fd, vm, end);
}

error *console_fifo_make(int dir_fd, uint32_t vm, int *ret_in, int *ret_out)
{
	_cleanup_close_ int in = -1, out = -1;
	char path[2][64];

	fifo_path(path[0], sizeof(path[0]), dir_fd, vm, "in");
	fifo_path(path[1], sizeof(path[1]), dir_fd, vm, "out");
	for (int i = 0; i < 2; i++) {
		unlink(path[i]);
		if (mkfifo(path[i], 0600) < 0)
			return err_sys(EXIT_CANNOT, errno, "console of VM %u: cannot make a FIFO", vm);
	}
	in = open(path[0], O_RDWR | O_CLOEXEC);
	out = open(path[1], O_RDWR | O_CLOEXEC);
	if (in < 0 || out < 0)
		return err_sys(EXIT_CANNOT, errno, "console of VM %u: cannot open its FIFOs", vm);
	*ret_in = steal_fd(&in);
	*ret_out = steal_fd(&out);
	return NULL;
}

error *console_fifo_ask(int dir_fd, uint32_t vm, const char *request, int timeout_ms, char *reply,
			size_t size, double *ret_ms)
{
	uint64_t start = clock_ns();
	char path[64], stale[256];

	fifo_path(path, sizeof(path), dir_fd, vm, "out");
	_cleanup_close_ int from = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	fifo_path(path, sizeof(path), dir_fd, vm, "in");
	/* ENXIO: nobody reads there any more */
	_cleanup_close_ int to = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	if (from < 0 || to < 0)
		return err_sys(EXIT_CANNOT, errno, "console of VM %u: cannot connect", vm);
	while (read(from, stale, sizeof(stale)) > 0)
		; /* an answer that came too late for whoever asked */
	return exchange(to, from, vm, request, timeout_ms, reply, size, start, ret_ms);
}
