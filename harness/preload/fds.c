/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Descriptors are shared between a process and its copies. What would carry a signal
 * from one VM to another is replaced in each copy under the same number: eventfds, and
 * the socket that the console listens on. What cannot be replaced makes us refuse.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "preload/zygote.h"
#include "preload/zygote_abi.h"

static struct {
	int fd, cloexec;
	unsigned pending; /* it was readable: the copy's must be, too */
} events[MAX_FDS];
static unsigned event_count;
static int console = -1, console_cloexec, control = -1;
static bool rebind;

static bool pending(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1 && (p.revents & POLLIN);
}

/* An epoll set names the template's files, not the copy's; an empty one does no harm. */
static bool epoll_in_use(int fd)
{
	char path[64], text[512];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	int info = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = info < 0 ? -1 : read(info, text, sizeof(text) - 1);
	if (info >= 0)
		close(info);
	if (n <= 0)
		return true;
	text[n] = '\0';
	return strstr(text, "tfd:") != NULL;
}

static void survey_socket(int fd, char *refusal, size_t size)
{
	int listening = 0;
	socklen_t len = sizeof(listening);

	if (fd == control || fd <= 2)
		return;
	getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len);
	if (fd == console && listening)
		return;
	snprintf(refusal, size, "descriptor %d is a %s socket besides the console's", fd,
		 listening ? "listening" : "connected");
}

static void survey_one(int fd, const char *what, char *refusal, size_t size)
{
	static const char *const harmless[] = { "/", "anon_inode:[signalfd]", "anon_inode:kvm-v" };
	int cloexec = fcntl(fd, F_GETFD) & FD_CLOEXEC ? 1 : 0;

	for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
		if (strncmp(what, harmless[i], strlen(harmless[i])) == 0)
			return; /* KVM's are kvm.c's matter */
	if (strcmp(what, "anon_inode:[eventfd]") == 0) {
		if (event_count == MAX_FDS) {
			snprintf(refusal, size, "it has more than %d eventfds", MAX_FDS);
			return;
		}
		events[event_count].fd = fd;
		events[event_count++].cloexec = cloexec;
	} else if (strncmp(what, "socket:", 7) == 0) {
		survey_socket(fd, refusal, size);
	} else if (strncmp(what, "pipe:", 5) == 0) {
		return; /* error output, or the end that -daemonize reports on */
	} else if (strcmp(what, "anon_inode:[eventpoll]") != 0 || epoll_in_use(fd)) {
		snprintf(refusal, size, "descriptor %d is %s, which a copy would share", fd, what);
	}
}

bool fds_survey(int console_fd, int control_fd, bool rebind_console, char *refusal, size_t size)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *e;

	if (!dir) {
		snprintf(refusal, size, "its descriptors cannot be listed (%s)", strerror(errno));
		return false;
	}
	event_count = 0;
	rebind = rebind_console;
	console = console_fd;
	control = control_fd;
	console_cloexec = console >= 0 && fcntl(console, F_GETFD) & FD_CLOEXEC ? SOCK_CLOEXEC : 0;
	while ((e = readdir(dir)) && !*refusal) {
		char path[300], what[300];
		int fd = atoi(e->d_name);

		if (e->d_name[0] == '.' || fd == dirfd(dir))
			continue;
		snprintf(path, sizeof(path), "/proc/self/fd/%s", e->d_name);
		ssize_t n = readlink(path, what, sizeof(what) - 1);
		if (n <= 0)
			continue;
		what[n] = '\0';
		survey_one(fd, what, refusal, size);
	}
	closedir(dir);
	return !*refusal;
}

void fds_note_pending(void)
{
	for (unsigned i = 0; i < event_count; i++)
		events[i].pending = pending(events[i].fd);
}

/* dir/NUMBER without libc's formatter, which would dirty pages in every copy. */
static void console_path(char *to, unsigned vm)
{
	char digits[12];
	int n = 0;

	memcpy(to, ZYGOTE_CONSOLE_DIR "/", sizeof(ZYGOTE_CONSOLE_DIR));
	to += sizeof(ZYGOTE_CONSOLE_DIR);
	do
		digits[n++] = (char)('0' + vm % 10);
	while (vm /= 10);
	while (n)
		*to++ = digits[--n];
	*to = '\0';
}

static bool renew_console(unsigned vm)
{
	struct sockaddr_un a;

	if (console < 0 || !rebind)
		return true;
	memset(&a, 0, sizeof(a));
	a.sun_family = AF_UNIX;
	console_path(a.sun_path, vm);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | console_cloexec, 0);
	if (fd < 0)
		return false;
	/* the name that it gets has its mode, less the umask: nobody else may ever connect */
	bool ok = fchmod(fd, 0600) == 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 &&
		  listen(fd, 4) == 0 && dup3(fd, console, console_cloexec ? O_CLOEXEC : 0) == console;
	close(fd);
	return ok;
}

bool fds_renew(unsigned vm)
{
	for (unsigned i = 0; i < event_count; i++) {
		int flags = EFD_NONBLOCK | (events[i].cloexec ? EFD_CLOEXEC : 0);
		int fd = (int)syscall(SYS_eventfd2, events[i].pending, flags);

		if (fd < 0 || dup3(fd, events[i].fd, events[i].cloexec ? O_CLOEXEC : 0) < 0)
			return false;
		close(fd);
	}
	return renew_console(vm);
}
