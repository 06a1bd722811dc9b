/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The lock of a folder of journals. It is held for one operation, and the kernel lets go of it when its
 * holder dies. Whoever holds it longer is named, and not waited for without end.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "base/clock.h"
#include "base/fs.h"
#include "host/journal.h"

#define POLL_NS 10000000ULL
#define SAY_AFTER_NS 1000000000ULL
/* A population of tens of thousands takes a minute to die, and its cgroup is removed under the lock. */
#define GIVE_UP_S 120
#define COMMAND_SHOWN 60

static void (*say_wait)(const char *line);

void journal_on_wait(void (*say)(const char *line))
{
	say_wait = say;
}

struct lock_holder {
	json_int_t pid;	 /* 0: not known */
	long long since; /* of the wall clock, 0: not known */
};

/* What the holder wrote into the file. It is empty while nobody holds it, and that of a dead one says
 * nothing. */
static bool holder_by_content(int fd, struct lock_holder *ret)
{
	char text[128];
	long long pid, start, since;
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	text[MAX(n, 0)] = '\0';
	if (sscanf(text, "%lld %lld %lld", &pid, &start, &since) != 3 || start < 0 ||
	    journal_process_start(pid) != start)
		return false;
	*ret = (struct lock_holder){ pid, since };
	return true;
}

void lock_holder_parse(const char *locks, unsigned major, unsigned minor, unsigned long long inode,
		       json_int_t *ret)
{
	for (const char *line = locks; line && *line;
	     line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		unsigned a, b;
		unsigned long long i;
		long long pid;

		/* "1: FLOCK  ADVISORY  WRITE 1234 fe:00:5678 0 EOF"; one that waits is "1: -> FLOCK ..." */
		if (sscanf(line, "%*d: FLOCK %*s %*s %lld %x:%x:%llu", &pid, &a, &b, &i) == 4 && a == major &&
		    b == minor && i == inode && pid > 0)
			*ret = pid;
	}
}

static struct lock_holder find_holder(int fd)
{
	struct lock_holder h = { 0 };
	_cleanup_free_ char *locks = NULL;
	struct stat st;

	if (holder_by_content(fd, &h) || fstat(fd, &st) < 0)
		return h;
	_cleanup_err_ error *e = fs_read("/proc/locks", &locks, NULL);
	if (!e)
		lock_holder_parse(locks, major(st.st_dev), minor(st.st_dev), st.st_ino, &h.pid);
	return h;
}

/* Its command line, cut, and nothing in it that a terminal would obey. */
static char *command_of(json_int_t pid)
{
	_cleanup_free_ char *path = xasprintf("/proc/%lld/cmdline", (long long)pid);
	char *text = NULL;
	size_t len = 0;
	_cleanup_err_ error *e = fs_read(path, &text, &len);

	if (e)
		return xstrdup("");
	len = MIN(len, (size_t)COMMAND_SHOWN);
	for (size_t i = 0; i < len; i++)
		if (!isprint((unsigned char)text[i]))
			text[i] = text[i] ? '?' : ' ';
	while (len && text[len - 1] == ' ')
		len--;
	text[len] = '\0';
	return text;
}

static char *describe_holder(const struct lock_holder *h)
{
	char since[32] = "";
	time_t t = (time_t)h->since;
	struct tm tm;

	if (!h->pid)
		return xstrdup("a process that cannot be seen from here");
	_cleanup_free_ char *command = command_of(h->pid);
	if (h->since && localtime_r(&t, &tm))
		strftime(since, sizeof(since), ", since %H:%M:%S", &tm);
	return xasprintf("process %lld%s%s%s%s", (long long)h->pid, *command ? " (" : "", command,
			 *command ? ")" : "", since);
}

static uint64_t give_up_ns(void)
{
	const char *given = getenv("MVMSCALE_LOCK_WAIT");
	double seconds = GIVE_UP_S;

	if (given && !parse_double(given, 0, 1e6, &seconds))
		seconds = GIVE_UP_S;
	return (uint64_t)(seconds * 1e9);
}

/* 0, or the errno that ended it. */
static int try_lock(int fd)
{
	int got;

	while ((got = flock(fd, LOCK_EX | LOCK_NB)) < 0 && errno == EINTR)
		;
	return got < 0 ? errno : 0;
}

static error *gave_up(const char *path, const struct lock_holder *h)
{
	_cleanup_free_ char *who = describe_holder(h);
	error *e = err_new(
		EXIT_CANNOT,
		"%s is still locked by %s: gave up; wait until it has ended, or end it (MVMSCALE_LOCK_WAIT=SECONDS waits longer)",
		path, who);

	e->sys = EWOULDBLOCK;
	return e;
}

static error *wait_for(int fd, const char *path)
{
	uint64_t start = clock_ns(), limit = give_up_ns();
	struct lock_holder h = { 0 };
	bool said = false;
	int sys;

	while ((sys = try_lock(fd)) == EWOULDBLOCK) {
		uint64_t waited = clock_ns() - start;

		if (waited >= MIN(limit, SAY_AFTER_NS)) {
			struct lock_holder now = find_holder(fd);

			/* in a queue each holder gets the whole time */
			if (said && now.pid && h.pid && now.pid != h.pid) {
				start = clock_ns();
				said = false;
				h = now;
				continue;
			}
			h = now;
			if (waited >= limit)
				return gave_up(path, &h);
			if (!said && say_wait) {
				_cleanup_free_ char *who = describe_holder(&h);
				_cleanup_free_ char *line =
					xasprintf("waiting for %s, locked by %s", path, who);
				say_wait(line);
			}
			said = true;
		}
		clock_sleep_ns(waited < SAY_AFTER_NS ? POLL_NS : 5 * POLL_NS);
	}
	return sys ? err_sys(EXIT_CANNOT, sys, "cannot lock the state folder: %s", path) : NULL;
}

/* Only to be named by: that it cannot be written does no harm. */
static void sign(int fd)
{
	char text[96];
	int n = snprintf(text, sizeof(text), "%lld %lld %lld\n", (long long)getpid(),
			 (long long)journal_process_start(getpid()), (long long)time(NULL));

	if (ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)n, 0) < 0)
		return;
}

error *journal_lock(const char *folder, int *ret)
{
	_cleanup_free_ char *path = xasprintf("%s/lock", folder);

	for (;;) {
		_cleanup_close_ int fd =
			open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
		struct stat st;

		if (fd < 0)
			return err_sys(EXIT_CANNOT, errno, "cannot lock the state folder: %s", path);
		error *e = wait_for(fd, path);
		if (e)
			return e;
		/* removed meanwhile, with its folder: whoever comes next locks another file */
		if (fstat(fd, &st) < 0 || !st.st_nlink)
			continue;
		sign(fd);
		*ret = steal_fd(&fd);
		return NULL;
	}
}

/* Unlocked by name: a child forked meanwhile holds the descriptor too. */
void journal_unlockp(int *fd)
{
	if (*fd < 0)
		return;
	if (ftruncate(*fd, 0) < 0) {
		/* it names us for as long as we live: only for whoever waits for another holder */
	}
	flock(*fd, LOCK_UN);
	close(*fd);
}
