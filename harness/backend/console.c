/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "backend/console.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/text.h"
#include "base/util.h"

/* So much of a wrong answer is shown. */
#define SHOWN 40

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

bool console_is_ready(const char *line, const char *guest)
{
	size_t n = strlen(line), around = strlen("MVM  ready");

	if (n <= around || !str_starts(line, "MVM ") || !str_eq(line + n - strlen(" ready"), " ready"))
		return false;
	const char *name = line + strlen("MVM ");
	size_t len = n - around;

	/* a foreign guest's name is not known: any word is one */
	if (!*guest)
		return !memchr(name, ' ', len);
	return len == strlen(guest) && strncmp(name, guest, len) == 0;
}

uint64_t console_file(int dir_fd, uint32_t vm, const char *suffix)
{
	struct statx st;
	char name[32];

	snprintf(name, sizeof(name), "%u%s", vm, suffix);
	if (statx(dir_fd, name, AT_SYMLINK_NOFOLLOW, STATX_INO | STATX_BTIME, &st) < 0)
		return 0;
	/* its number may be given to a new file at once; when it was made tells them apart, where that is
	 * kept */
	uint64_t made = st.stx_mask & STATX_BTIME
				? (uint64_t)st.stx_btime.tv_sec * 1000000000U + st.stx_btime.tv_nsec
				: 0;
	return made ^ st.stx_ino << 40 ^ st.stx_ino;
}

/* " ('Hello, wor' came)", for a message; the caller frees it. */
static char *what_came(char *text, size_t len)
{
	if (!len)
		return xstrdup("");
	char *shown =
		xasprintf(" ('%.*s'%s came)", (int)MIN(len, (size_t)SHOWN), text, len > SHOWN ? "..." : "");

	text_clean(shown);
	return shown;
}

error *console_read_line(int fd, uint32_t vm, uint64_t deadline, char *reply, size_t size)
{
	_cleanup_free_ char *came = NULL;
	size_t len = 0;

	while (len < size) {
		uint64_t now = clock_ns();
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int left = now < deadline ? (int)((deadline - now + 999999) / 1000000) : 0;

		if (poll(&p, 1, left) == 0)
			return err_new(EXIT_CANNOT, "VM %u gave no answer in time%s", vm,
				       came = what_came(reply, len));
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
		/* nothing may hide behind the end of a string */
		reply[len] = reply[len] ? reply[len] : '?';
		len++;
	}
	return err_new(EXIT_CANNOT, "VM %u answers with more than %zu bytes and no end of line%s", vm, size,
		       came = what_came(reply, len));
}

bool console_hear(struct ready_line *l, const char *guest, char byte)
{
	if (byte != '\n' && byte != '\r') {
		if (l->len < sizeof(l->text) - 1)
			l->text[l->len++] = byte;
		return false;
	}
	l->text[l->len] = '\0';
	l->len = 0;
	/* the guest's own line, not something a BIOS or a broken guest printed */
	return console_is_ready(l->text, guest);
}

bool console_await_ready(int fd, const char *guest, uint64_t deadline)
{
	struct ready_line line = { 0 };
	char text[256];

	for (uint64_t now; (now = clock_ns()) < deadline;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		if (poll(&p, 1, (int)((deadline - now) / 1000000) + 1) != 1)
			continue;
		ssize_t n = read(fd, text, sizeof(text));
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return false;
		for (ssize_t i = 0; i < n; i++)
			if (console_hear(&line, guest, text[i]))
				return true;
	}
	return false;
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
	if (owner > 0 && waitid(P_PID, (id_t)owner, &ended, WEXITED | WNOHANG | WNOWAIT) == 0)
		child_kill(owner);
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

	/* one that listens itself may not have come so far yet: there is no socket, or nobody at it; EAGAIN:
	   it was stopped, and has not yet got rid of those who asked meanwhile */
	while (e &&
	       (e->sys == EAGAIN ||
		(owner && (e->sys == ENOENT || e->sys == ECONNREFUSED) && kill(owner, 0) == 0)) &&
	       clock_ns() - start < (uint64_t)timeout_ms * 1000000U) {
		clock_sleep_ns(e->sys == EAGAIN ? 2000000 : 200000);
		err_free(e);
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

error *console_fifo_listen(int dir_fd, uint32_t vm, int *ret_fd)
{
	char path[64];

	fifo_path(path, sizeof(path), dir_fd, vm, "out");
	*ret_fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	return *ret_fd < 0 ? err_sys(EXIT_CANNOT, errno, "console of VM %u: cannot connect", vm) : NULL;
}

error *console_fifo_ask(int dir_fd, uint32_t vm, const char *request, int timeout_ms, char *reply,
			size_t size, double *ret_ms)
{
	uint64_t start = clock_ns();
	char path[64], stale[256];
	int left = 0;

	fifo_path(path, sizeof(path), dir_fd, vm, "out");
	_cleanup_close_ int from = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	fifo_path(path, sizeof(path), dir_fd, vm, "in");
	/* ENXIO: nobody reads there any more */
	_cleanup_close_ int to = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	if (from < 0 || to < 0)
		return err_sys(EXIT_CANNOT, errno, "console of VM %u: cannot connect", vm);
	/* what is there by now came too late for whoever asked; one that writes without end fills it anew */
	if (ioctl(from, FIONREAD, &left) < 0)
		left = 0;
	for (ssize_t n = 1; left > 0 && n > 0; left -= (int)n)
		n = read(from, stale, MIN(sizeof(stale), (size_t)left));
	return exchange(to, from, vm, request, timeout_ms, reply, size, start, ret_ms);
}
