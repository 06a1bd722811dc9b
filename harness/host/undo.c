/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "host/undo.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "base/clock.h"
#include "base/fs.h"
#include "host/facts.h"

#define MAGIC_CGROUP1 0x27e0eb
#define MAGIC_CGROUP2 0x63677270

/* A population of thousands takes a minute to die: give up only when it stops shrinking. */
#define STUCK_NS 30000000000ULL
#define POLL_NS 20000000ULL
/* Who was killed is dying; who was forked meanwhile is killed then. */
#define KILL_AGAIN_NS 1000000000ULL
#define CGROUP_NAME_PREFIX "mvmscale-"
#define LIBVIRT_FOLDER "/run/libvirt"

error *setting_read(const char *path, char **ret)
{
	_cleanup_free_ char *text = NULL;
	error *e = fs_read(path, &text, NULL);

	if (!e)
		*ret = setting_chosen(text);
	return e;
}

error *setting_write(const char *path, const char *value)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	const char *text = *value ? value : "\n";

	if (fd < 0)
		return err_sys(EXIT_CANNOT, errno, "cannot set %s to '%s'", path, value);
	if (write(fd, text, strlen(text)) < 0)
		return err_sys(EXIT_CANNOT, errno, "cannot set %s to '%s'", path, value);
	return NULL;
}

static const char *field(const json_t *entry, const char *key)
{
	const char *v = json_string_value(json_object_get(entry, key));

	return v ? v : "";
}

enum undo_result undo_failed(char **said, error *e)
{
	*said = xasprintf("not restored: %s", e->msg);
	err_free(e);
	return UNDO_FAILED;
}

/* Killed between journal and setting, it is still what we had written before. */
static bool is_our_value(const json_t *entry, const char *now)
{
	const char *before = json_string_value(json_object_get(entry, "before"));

	return str_eq(now, field(entry, "new")) || (before && str_eq(now, before));
}

static enum undo_result undo_file(const json_t *entry, const char *path, char **said)
{
	const char *old = field(entry, "old"), *new = field(entry, "new");
	_cleanup_free_ char *now = NULL, *after = NULL;
	error *e = setting_read(path, &now);

	if (e && e->sys == ENOENT) {
		err_free(e);
		*said = xasprintf("%s is gone: nothing to restore", path);
		return UNDO_NOTHING;
	}
	if (e)
		return undo_failed(said, e);
	if (str_eq(now, old))
		return UNDO_NOTHING;
	if (!is_our_value(entry, now)) {
		*said = xasprintf(
			"left %s at '%s': mvmscale had set it to '%s' (before that '%s'), and someone else changed it since",
			path, now, new, old);
		return UNDO_FOREIGN;
	}
	e = setting_write(path, old);
	if (!e)
		e = setting_read(path, &after);
	if (e)
		return undo_failed(said, e);
	if (!str_eq(after, old)) {
		*said = xasprintf("not restored: %s stayed at '%s' when '%s' was written", path, after, old);
		return UNDO_FAILED;
	}
	*said = xasprintf("restored %s from '%s' to '%s'", path, now, old);
	return UNDO_DONE;
}

/* By device and inode, where they were noted. */
bool undo_is_made(const json_t *entry, const struct stat *st)
{
	const json_t *dev = json_object_get(entry, "dev"), *ino = json_object_get(entry, "ino");

	return !ino || ((json_int_t)st->st_ino == json_integer_value(ino) &&
			(json_int_t)st->st_dev == json_integer_value(dev));
}

static enum undo_result undo_controller(const char *path, const char *controller, char **said)
{
	_cleanup_free_ char *off = xasprintf("-%s", controller);
	error *e;

	if (access(path, F_OK) < 0)
		return UNDO_NOTHING;
	e = setting_write(path, off);
	if (e && e->sys == EBUSY) {
		err_free(e);
		*said = xasprintf("left the controller %s in %s: a cgroup below it has come to need it",
				  controller, path);
		return UNDO_FOREIGN;
	}
	if (e)
		return undo_failed(said, e);
	*said = xasprintf("took the controller %s back in %s", controller, path);
	return UNDO_DONE;
}

static bool in_cgroupfs(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && (fs.f_type == MAGIC_CGROUP1 || fs.f_type == MAGIC_CGROUP2);
}

/* What to do with each cgroup of a tree, the deepest first. */
struct members {
	bool kill, remove;
	bool self;	  /* found: this process is in it */
	const char *name; /* of the top one, by which a member is known */
	long count;
};

/* Whether that process is in a cgroup of that name, or below one. */
static bool is_in(pid_t pid, const char *name)
{
	_cleanup_free_ char *path = xasprintf("/proc/%d/cgroup", (int)pid), *text = NULL;
	_cleanup_err_ error *e = fs_read(path, &text, NULL);
	_cleanup_free_ char *part = xasprintf("/%s", name);
	size_t n = strlen(part);

	for (const char *p = e ? NULL : strstr(text, part); p; p = strstr(p + 1, part))
		if (p[n] == '/' || p[n] == '\n' || !p[n])
			return true;
	return false;
}

struct suspect {
	pid_t pid;
	int fd; /* a pidfd: once it is open, the number cannot come to mean another process */
};

static struct suspect suspect_open(pid_t pid)
{
	return (struct suspect){ pid, (int)syscall(SYS_pidfd_open, pid, 0) };
}

/* -1 as kill(2); before Linux 5.3 there is nothing but the number. */
static int suspect_kill(const struct suspect *s)
{
	return s->fd >= 0 ? (int)syscall(SYS_pidfd_send_signal, s->fd, SIGKILL, NULL, 0)
			  : kill(s->pid, SIGKILL);
}

static void visit_procs(const char *path, struct members *m)
{
	_cleanup_free_ char *file = xasprintf("%s/cgroup.procs", path);
	_cleanup_fclose_ FILE *f = fopen(file, "re");
	long pid;

	while (f && fscanf(f, "%ld", &pid) == 1) {
		m->count++;
		if (pid == getpid())
			m->self = true;
		if (!m->kill || pid <= 1 || pid == getpid())
			continue;
		struct suspect s = suspect_open((pid_t)pid);
		if (is_in(s.pid, m->name))
			suspect_kill(&s);
		if (s.fd >= 0)
			close(s.fd);
	}
}

static void visit(const char *path, struct members *m)
{
	DIR *d = opendir(path);

	if (!d)
		return;
	for (struct dirent *e; (e = readdir(d));) {
		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		_cleanup_free_ char *below = xasprintf("%s/%s", path, e->d_name);
		visit(below, m);
	}
	closedir(d);
	visit_procs(path, m);
	if (m->remove)
		rmdir(path);
}

/* cgroup.kill (v2, 5.14) also takes those that fork meanwhile. */
static void kill_all(const char *path, const char *name)
{
	_cleanup_free_ char *file = xasprintf("%s/cgroup.kill", path);
	_cleanup_err_ error *e = setting_write(file, "1");

	if (e)
		visit(path, &(struct members){ .kill = true, .name = name });
}

/* Ours by its name; and where we made it, this very one. */
static bool is_our_cgroup(const json_t *entry, const char *path, char **said)
{
	const char *slash = strrchr(path, '/');
	struct stat st;

	if (!in_cgroupfs(path)) {
		*said = xasprintf("not restored: %s is no cgroup", path);
		return false;
	}
	if (!str_starts(slash + 1, CGROUP_NAME_PREFIX)) {
		*said = xasprintf("not restored: the cgroup %s is not named as ours are", path);
		return false;
	}
	if (stat(path, &st) < 0 || !undo_is_made(entry, &st)) {
		*said = xasprintf("left the cgroup %s: it is not the one that was made", path);
		return false;
	}
	return true;
}

static enum undo_result undo_cgroup(const json_t *entry, const char *path, char **said)
{
	uint64_t last = clock_ns(), killed = 0;
	const char *name = strrchr(path, '/') + 1;
	long least = -1;

	if (access(path, F_OK) < 0)
		return UNDO_NOTHING;
	if (!is_our_cgroup(entry, path, said))
		return str_starts(*said, "left ") ? UNDO_FOREIGN : UNDO_FAILED;
	for (;;) {
		struct members m = { 0 };

		visit(path, &m);
		if (m.self) {
			*said = xasprintf("not restored: cgroup %s holds this process itself", path);
			return UNDO_FAILED;
		}
		if (least < 0 || m.count < least) {
			least = m.count;
			last = clock_ns();
		}
		if (m.count && clock_ns() - killed > KILL_AGAIN_NS) {
			kill_all(path, name);
			killed = clock_ns();
		} else if (!m.count) {
			visit(path, &(struct members){ .remove = true });
		}
		if (access(path, F_OK) < 0)
			break;
		if (clock_ns() - last > STUCK_NS) {
			*said = xasprintf("not restored: cgroup %s still holds %ld processes that do not die",
					  path, m.count);
			return UNDO_FAILED;
		}
		clock_sleep_ns(POLL_NS);
	}
	*said = xasprintf("removed cgroup %s", path);
	return UNDO_DONE;
}

/* Whether it is a folder below that one, links resolved; *ret_real is its name then. */
static bool is_below(const char *path, const char *folder, char **ret_real)
{
	_cleanup_free_ char *top = realpath(folder, NULL), *real = realpath(path, NULL);
	size_t n = top ? strlen(top) : 0;
	struct stat st;

	if (!n || !real || strncmp(real, top, n) != 0 || real[n] != '/' || lstat(path, &st) < 0 ||
	    !S_ISDIR(st.st_mode))
		return false;
	*ret_real = STEAL(real);
	return true;
}

static enum undo_result undo_tree(const char *path, const char *folder, char **said)
{
	_cleanup_free_ char *real = NULL;
	struct stat st;

	if (lstat(path, &st) < 0 && errno == ENOENT)
		return UNDO_NOTHING;
	if (!is_below(path, folder, &real)) {
		*said = xasprintf("not removed: %s is no folder below %s", path, folder);
		return UNDO_FAILED;
	}
	fs_remove_tree(real);
	if (access(real, F_OK) == 0) {
		*said = xasprintf("not removed: %s: something in it cannot be removed", path);
		return UNDO_FAILED;
	}
	*said = xasprintf("removed %s", path);
	return UNDO_DONE;
}

/* Whether the command line of a process holds that word, anywhere. */
static bool runs_with(pid_t pid, const char *word)
{
	_cleanup_free_ char *path = xasprintf("/proc/%d/cmdline", (int)pid), *args = NULL;
	size_t len = 0;
	_cleanup_err_ error *e = fs_read(path, &args, &len);

	return !e && *word && memmem(args, len, word, strlen(word));
}

/* Whoever has files of his own in it keeps it. */
static enum undo_result undo_empty(const char *path, const char *name, char **said)
{
	_cleanup_free_ char *file = *name ? xasprintf("%s/%s", path, name) : NULL;
	size_t n = strlen(LIBVIRT_FOLDER);

	if (strchr(name, '/') || !str_starts(path, LIBVIRT_FOLDER) || (path[n] && path[n] != '/') ||
	    strstr(path, "/..")) {
		*said = xasprintf("not removed: %s is no folder below " LIBVIRT_FOLDER, path);
		return UNDO_FAILED;
	}
	if (file)
		unlink(file);
	return rmdir(path) == 0 ? UNDO_DONE : UNDO_NOTHING;
}

/* A daemonized process is no child of ours, and the number in its file may be another's by now. */
static enum undo_result undo_pidfiles(const char *path, const char *word, char **said)
{
	DIR *d = opendir(path);
	int killed = 0;

	if (!d)
		return UNDO_NOTHING;
	for (struct dirent *e; (e = readdir(d));) {
		size_t n = strlen(e->d_name);
		long long pid = 0;

		if (n < 5 || !str_eq(e->d_name + n - 4, ".pid"))
			continue;
		_cleanup_free_ char *file = xasprintf("%s/%s", path, e->d_name);
		if (!fs_read_number(file, &pid) || pid <= 1 || pid > INT_MAX || pid == getpid())
			continue;
		struct suspect s = suspect_open((pid_t)pid);
		if (runs_with(s.pid, word) && suspect_kill(&s) == 0)
			killed++;
		if (s.fd >= 0)
			close(s.fd);
	}
	closedir(d);
	if (!killed)
		return UNDO_NOTHING;
	*said = xasprintf("killed %d processes that %s names", killed, path);
	return UNDO_DONE;
}

static enum undo_result undo_runtime(const char *root, const char *folder, const char *runtime, char **said)
{
	_cleanup_free_ char *real = NULL;
	struct stat st;

	if (lstat(root, &st) < 0 && errno == ENOENT)
		return UNDO_NOTHING;
	if (is_below(root, folder, &real))
		return undo_containers(root, runtime, said);
	*said = xasprintf("not restored: the containers in %s, which is no folder below %s", root, folder);
	return UNDO_FAILED;
}

enum undo_result undo_entry(const json_t *entry, const char *folder, bool same_boot, char **said)
{
	const char *kind = field(entry, "kind"), *path = field(entry, "path");

	*said = NULL;
	if (*path != '/') {
		*said = xasprintf("not restored: the journal names no absolute path ('%s')", path);
		return UNDO_FAILED;
	}
	if (str_eq(kind, "swapoff"))
		return undo_swap(entry, path, same_boot, said);
	if (str_eq(kind, "rmtree"))
		return undo_tree(path, folder, said);
	/* the rest is kernel state, which a reboot has cleared */
	if (!same_boot)
		return UNDO_NOTHING;
	if (str_eq(kind, "file"))
		return undo_file(entry, path, said);
	if (str_eq(kind, "rmdir"))
		return undo_cgroup(entry, path, said);
	if (str_eq(kind, "controller"))
		return undo_controller(path, field(entry, "value"), said);
	if (str_eq(kind, "zram"))
		return undo_zram(path, field(entry, "value"), said);
	if (str_eq(kind, "containers"))
		return undo_runtime(path, folder, field(entry, "value"), said);
	if (str_eq(kind, "pidfiles"))
		return undo_pidfiles(path, field(entry, "value"), said);
	if (str_eq(kind, "emptydir"))
		return undo_empty(path, field(entry, "value"), said);
	*said = xasprintf("not restored: this version does not know the journal entry '%s' for %s", kind,
			  path);
	return UNDO_FAILED;
}
