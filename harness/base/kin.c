/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/kin.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/child.h"
#include "base/fs.h"
#include "base/util.h"

/* Nobody's line of parents is longer. */
#define GENERATIONS_MAX 64

/* Also one that has ended, until it is waited for. */
static bool is_child(pid_t pid)
{
	siginfo_t ended;

	return waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/* 0 when it is gone. */
static pid_t parent_of(pid_t pid)
{
	_cleanup_free_ char *path = xasprintf("/proc/%d/stat", (int)pid), *text = NULL;
	_cleanup_err_ error *e = fs_read(path, &text, NULL);
	/* the name may hold blanks and parentheses */
	const char *rest = e ? NULL : strrchr(text, ')');
	int parent = 0;

	return rest && sscanf(rest + 1, " %*c %d", &parent) == 1 ? (pid_t)parent : 0;
}

static bool descends(pid_t pid)
{
	for (int i = 0; i < GENERATIONS_MAX && pid > 1; i++) {
		pid = parent_of(pid);
		if (pid == getpid())
			return true;
	}
	return false;
}

/* Whether a link of that process leads to the same as ours; it may not be for us to see. */
static bool same_of(pid_t pid, const char *what, const char *other)
{
	char path[64];
	struct stat its, ours;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, what);
	return stat(path, &its) == 0 && stat(other, &ours) == 0 && its.st_dev == ours.st_dev &&
	       its.st_ino == ours.st_ino;
}

/* The janitor is a child as well; no VM runs the harness's program. */
static bool is_helper(pid_t pid)
{
	return same_of(pid, "exe", "/proc/self/exe");
}

enum kin kin_of(pid_t pid)
{
	if (pid <= 1 || pid == getpid())
		return KIN_NONE;
	if (is_child(pid))
		return is_helper(pid) ? KIN_NONE : KIN_CHILD;
	if (kill(pid, 0) < 0 && errno == ESRCH)
		return KIN_NONE;
	if (descends(pid))
		return is_helper(pid) ? KIN_NONE : KIN_DESCENDANT;
	return same_of(pid, "ns/pid", "/proc/self/ns/pid") ? KIN_STRANGER : KIN_ELSEWHERE;
}

static const char *relation(long long told, enum kin k)
{
	if (told <= 1 || told > INT_MAX)
		return "is no process's number";
	if (told == getpid())
		return "is this program itself";
	if (k == KIN_NONE)
		return "is no process of its making";
	return k == KIN_DESCENDANT ? "is a process that it did not make itself"
				   : "is somebody else's process";
}

error *kin_check(long long told, enum kin least, const char *who, pid_t *ret_pid)
{
	bool possible = told > 1 && told <= INT_MAX;
	enum kin k = possible ? kin_of((pid_t)told) : KIN_NONE;

	if (k < least)
		return err_new(EXIT_CANNOT, "%s names process %lld, which %s", who, told, relation(told, k));
	*ret_pid = (pid_t)told;
	return NULL;
}

bool kin_kill(pid_t pid)
{
	if (pid <= 1 || pid == getpid())
		return false;
	if (is_child(pid))
		return kill(pid, SIGKILL) == 0;
	/* a number that may be another's by now: what is looked at must be what is killed */
	_cleanup_close_ int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	return fd >= 0 && kin_of(pid) == KIN_DESCENDANT &&
	       syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) == 0;
}

unsigned kin_kill_strays(const char *folder, bool (*known)(void *user, pid_t pid), void *user)
{
	_cleanup_free_ char *path = xasprintf("/proc/self/task/%d/children", (int)getpid()), *text = NULL;
	_cleanup_err_ error *e = fs_read(path, &text, NULL); /* not every kernel has it */
	unsigned killed = 0;

	for (char *rest = e ? NULL : text, *word; rest && (word = strsep(&rest, " "));) {
		long pid;

		if (!parse_long(word, 2, INT_MAX, &pid) || known(user, (pid_t)pid) ||
		    !same_of((pid_t)pid, "cwd", folder) || kin_of((pid_t)pid) != KIN_CHILD)
			continue;
		child_kill((pid_t)pid);
		killed++;
	}
	return killed;
}
