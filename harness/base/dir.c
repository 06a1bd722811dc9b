/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/dir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"

#define LINKS_MAX 40
#define NAMES_TRIED 100

/* A walk from one folder to the next by descriptor; `rest` is what is left of the path. */
struct walk {
	const char *path; /* as it was asked for */
	unsigned want;
	int at;
	struct stat st; /* of `at` */
	char *rest;
	unsigned links;
};

static char *who(uid_t uid)
{
	const struct passwd *p = getpwuid(uid);

	return p ? xasprintf("%s (uid %u)", p->pw_name, (unsigned)uid) : xasprintf("uid %u", (unsigned)uid);
}

/* root can do all anyway; within a user namespace it may bear another number, that of the owner of "/". */
static bool trusted(uid_t uid)
{
	struct stat root;

	return uid == geteuid() || uid == 0 || (stat("/", &root) == 0 && uid == root.st_uid);
}

/* By others than its owner: a group that is root's, or ours alone by custom, is no other. */
static bool others_write(const struct stat *st)
{
	return (st->st_mode & S_IWOTH) ||
	       ((st->st_mode & S_IWGRP) && st->st_gid != 0 && st->st_gid != getegid());
}

static error *foreign_link(const struct walk *w, const char *name, uid_t owner)
{
	_cleanup_free_ char *user = who(owner);

	return err_new(
		EXIT_BAD_INPUT,
		"%s: '%s' on the way there is a symbolic link of user %s, in a folder where others may write: it is not followed; name another place",
		w->path, name, user);
}

/* What a link says comes before the rest of the path. */
static error *follow(struct walk *w, int link, const char *name, const struct stat *st)
{
	char target[PATH_MAX];
	ssize_t n;

	if (others_write(&w->st) && !trusted(st->st_uid) && st->st_uid != w->st.st_uid)
		return foreign_link(w, name, st->st_uid);
	if (++w->links > LINKS_MAX)
		return err_sys(EXIT_BAD_INPUT, ELOOP, "%s", w->path);
	n = readlinkat(link, "", target, sizeof(target) - 1);
	if (n <= 0)
		return err_sys(EXIT_BAD_INPUT, errno, "%s", w->path);
	target[n] = '\0';
	char *rest = xasprintf("%s/%s", target, w->rest);
	free(w->rest);
	w->rest = rest;
	if (*target != '/')
		return NULL;
	int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_sys(EXIT_CANNOT, errno, "%s", w->path);
	close(w->at);
	w->at = root;
	return NULL;
}

static const char *kind_of(mode_t mode)
{
	return S_ISREG(mode)			? "a file"
	       : S_ISCHR(mode) || S_ISBLK(mode) ? "a device"
	       : S_ISFIFO(mode)			? "a FIFO"
	       : S_ISSOCK(mode)			? "a socket"
	       : S_ISLNK(mode)			? "a symbolic link"
						: "no folder";
}

static error *open_next(const struct walk *w, const char *name, bool last, int *ret)
{
	bool private = last && (w->want & DIR_PRIVATE);

	*ret = openat(w->at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (*ret < 0 && errno == ENOENT && (w->want & DIR_CREATE)) {
		if (mkdirat(w->at, name, private ? 0700 : 0755) < 0 && errno != EEXIST)
			return err_sys(EXIT_CANNOT, errno, "cannot create folder %s", w->path);
		*ret = openat(w->at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	}
	return *ret < 0 ? err_sys(EXIT_CANNOT, errno,
				  w->want & DIR_CREATE ? "cannot create folder %s" : "cannot open folder %s",
				  w->path)
			: NULL;
}

/* Whoever may rename this folder, or what is in it, may put another one in the place of what we looked at. */
static error *check_way(const struct walk *w)
{
	if (!(w->want & DIR_PRIVATE) ||
	    (trusted(w->st.st_uid) && (!others_write(&w->st) || (w->st.st_mode & S_ISVTX))))
		return NULL;
	_cleanup_free_ char *link = xasprintf("/proc/self/fd/%d", w->at), *user = who(w->st.st_uid);
	char name[PATH_MAX];
	ssize_t n = readlink(link, name, sizeof(name) - 1);

	name[MAX(n, 0)] = '\0';
	return err_new(
		EXIT_BAD_INPUT,
		"%s is not safe: %s above it (mode %04o, of user %s) lets others put something else in its place: name a folder elsewhere",
		w->path, name, w->st.st_mode & 07777, user);
}

static error *step(struct walk *w, const char *name, bool last)
{
	_cleanup_close_ int next = -1;
	struct stat st;
	error *e = fstat(w->at, &w->st) < 0 ? err_sys(EXIT_CANNOT, errno, "%s", w->path) : check_way(w);

	if (e || (e = open_next(w, name, last, &next)))
		return e;
	if (fstat(next, &st) < 0)
		return err_sys(EXIT_CANNOT, errno, "%s", w->path);
	if (S_ISLNK(st.st_mode) && !(last && (w->want & DIR_PRIVATE)))
		return follow(w, next, name, &st);
	if (!S_ISDIR(st.st_mode))
		return err_new(EXIT_BAD_INPUT, "%s is no folder: %s of that name is in the way (%s)", w->path,
			       kind_of(st.st_mode), name);
	close(w->at);
	w->at = steal_fd(&next);
	return NULL;
}

static error *walk(struct walk *w)
{
	for (;;) {
		char *s = w->rest + strspn(w->rest, "/");
		size_t n = strcspn(s, "/");

		if (!n)
			return NULL;
		_cleanup_free_ char *name = xasprintf("%.*s", (int)n, s);
		bool last = s[n + strspn(s + n, "/")] == '\0';
		memmove(w->rest, s + n, strlen(s + n) + 1);
		error *e = str_eq(name, ".") ? NULL : step(w, name, last);
		if (e)
			return e;
	}
}

static error *check_own(const char *path, const struct stat *st, bool private)
{
	_cleanup_free_ char *owner = who(st->st_uid), *me = who(geteuid());
	unsigned mode = st->st_mode & 07777;

	if (st->st_uid != geteuid())
		return err_new(
			EXIT_BAD_INPUT,
			"%s belongs to user %s, and this is user %s: name a folder of your own, or a new one",
			path, owner, me);
	if (private && (mode & 077))
		return err_new(
			EXIT_BAD_INPUT,
			"%s (mode %04o, of user %s) is open to others, who could reach the VMs' consoles: 'chmod 700 %s', or name another folder",
			path, mode, owner, path);
	if (others_write(st))
		return err_new(
			EXIT_BAD_INPUT,
			"others may write in %s (mode %04o, of user %s): name a new folder in it, or 'chmod go-w' it if it is yours",
			path, mode, owner);
	return NULL;
}

/* A folder can be synchronized and locked only through a descriptor that may read it. */
static error *finish(struct walk *w, struct dir *ret)
{
	int fd = openat(w->at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	error *e = NULL;

	if (fd < 0)
		fd = steal_fd(&w->at);
	if (fstat(fd, &w->st) < 0)
		e = err_sys(EXIT_CANNOT, errno, "%s", w->path);
	else if (w->want & (DIR_OWN | DIR_PRIVATE))
		e = check_own(w->path, &w->st, w->want & DIR_PRIVATE);
	if (e)
		close(fd);
	else
		*ret = (struct dir){ .fd = fd, .path = xstrdup(w->path) };
	return e;
}

error *dir_open(const char *path, unsigned want, struct dir *ret)
{
	struct walk w = { .path = path, .want = want };

	*ret = DIR_NONE;
	if (!*path)
		return err_new(EXIT_BAD_INPUT, "the name of the folder is empty");
	if ((want & DIR_PRIVATE) && *path != '/')
		return err_new(EXIT_BAD_INPUT, "%s: the path of a private folder must start with /", path);
	w.at = open(*path == '/' ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (w.at < 0)
		return err_sys(EXIT_CANNOT, errno, "%s", path);
	w.rest = xstrdup(path);
	error *e = walk(&w);
	if (!e)
		e = finish(&w, ret);
	if (w.at >= 0)
		close(w.at);
	free(w.rest);
	return e;
}

void dir_close(struct dir *d)
{
	if (d->fd >= 0)
		close(d->fd);
	free(d->path);
	*d = DIR_NONE;
}

error *dir_create(const struct dir *d, const char *name, int *ret)
{
	*ret = openat(d->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0644);
	return *ret < 0 ? err_sys(EXIT_CANNOT, errno, "cannot create %s/%s", d->path, name) : NULL;
}

/* 0, or the errno. */
static int write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : ENOSPC;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

error *dir_cannot_write(int sys, const char *path)
{
	struct rlimit limit;

	if (sys != EFBIG || getrlimit(RLIMIT_FSIZE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
		return err_sys(EXIT_CANNOT, sys, "cannot write %s", path);
	error *e = err_new(EXIT_CANNOT,
			   "cannot write %s: a file may have %llu bytes here (RLIMIT_FSIZE, see 'ulimit -f')",
			   path, (unsigned long long)limit.rlim_cur);
	e->sys = sys;
	return e;
}

error *dir_finish_output(void)
{
	char name[PATH_MAX];
	bool lost = fflush(stdout) != 0;
	int sys = lost ? errno : 0;

	/* of a failure long ago only the mark is left: ask again */
	if (!lost && ferror(stdout) && write(STDOUT_FILENO, "\n", 1) < 0)
		sys = errno;
	lost |= ferror(stdout) != 0;
	ssize_t n = sys == EFBIG ? readlink("/proc/self/fd/1", name, sizeof(name) - 1) : 0;
	if (fclose(stdout) != 0 && !lost) {
		lost = true;
		sys = errno;
	}
	/* a reader that wants no more (`| head`) is no failure, and who closed it on purpose wants none */
	if (!lost || sys == EPIPE || sys == EBADF)
		return NULL;
	name[MAX(n, 0)] = '\0';
	return *name ? dir_cannot_write(sys, name) : err_sys(EXIT_CANNOT, sys ? sys : EIO, "standard output");
}

void dir_expect_full(void)
{
	signal(SIGXFSZ, SIG_IGN);
}

error *dir_append(int fd, const char *path, const void *data, size_t len)
{
	off_t before = lseek(fd, 0, SEEK_END);
	int sys = write_all(fd, data, len);

	if (!sys)
		return NULL;
	error *e = dir_cannot_write(sys, path);
	if (before >= 0 && ftruncate(fd, before) < 0)
		return err_wrap(e, "half a row stays at the end of %s", path);
	return e;
}

/* Unique, so that two who write the same file do not meet in it, and nobody can be there first. */
static int create_temporary(int dir, char *name, size_t size)
{
	for (int i = 0; i < NAMES_TRIED; i++) {
		unsigned long long random = 0;

		if (getrandom(&random, sizeof(random), 0) != sizeof(random))
			return -1;
		snprintf(name, size, ".mvm-%016llx.tmp", random);
		int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
		if (fd >= 0 || errno != EEXIST)
			return fd;
	}
	return -1;
}

error *dir_replace(const struct dir *d, const char *name, const void *data, size_t len)
{
	return dir_replace_padded(d, name, data, len, 0);
}

error *dir_replace_padded(const struct dir *d, const char *name, const void *data, size_t len, off_t size)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", d->path, name);
	char tmp[64];
	struct stat st;

	if (fstatat(d->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(st.st_mode))
		return err_new(EXIT_BAD_INPUT,
			       "cannot write %s: it is there, and is %s instead of a plain file", path,
			       S_ISDIR(st.st_mode) ? "a folder" : kind_of(st.st_mode));
	int fd = create_temporary(d->fd, tmp, sizeof(tmp));
	if (fd < 0)
		return dir_cannot_write(errno, path);
	int sys = write_all(fd, data, len);
	if (!sys && size > (off_t)len && ftruncate(fd, size) < 0)
		sys = errno;
	if (close(fd) < 0 && !sys)
		sys = errno;
	if (!sys && renameat(d->fd, tmp, d->fd, name) < 0)
		sys = errno;
	if (!sys)
		return NULL;
	unlinkat(d->fd, tmp, 0);
	return dir_cannot_write(sys, path);
}
