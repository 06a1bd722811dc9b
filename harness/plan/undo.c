/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "plan/undo.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/vfs.h>

#include "base/clock.h"
#include "base/fs.h"
#include "plan/host.h"

#define MAGIC_CGROUP1 0x27e0eb
#define MAGIC_CGROUP2 0x63677270

/* A population of thousands takes a minute to die: give up only when it stops shrinking. */
#define STUCK_NS 30000000000ULL
#define POLL_NS 20000000ULL

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

static enum undo_result failed(char **said, error *e)
{
	*said = xasprintf("not restored: %s", e->msg);
	err_free(e);
	return UNDO_FAILED;
}

static enum undo_result undo_file(const char *path, const char *old, const char *new, char **said)
{
	_cleanup_free_ char *now = NULL, *after = NULL;
	error *e = setting_read(path, &now);

	if (e && e->sys == ENOENT) {
		err_free(e);
		*said = xasprintf("%s is gone: nothing to restore", path);
		return UNDO_NOTHING;
	}
	if (e)
		return failed(said, e);
	if (str_eq(now, old))
		return UNDO_NOTHING;
	if (!str_eq(now, new)) {
		*said = xasprintf(
			"left %s at '%s': mvmscale had set it to '%s' (before that '%s'), and someone "
			"else changed it since",
			path, now, new, old);
		return UNDO_FOREIGN;
	}
	e = setting_write(path, old);
	if (!e)
		e = setting_read(path, &after);
	if (e)
		return failed(said, e);
	if (!str_eq(after, old)) {
		*said = xasprintf("not restored: %s stayed at '%s' when '%s' was written", path, after, old);
		return UNDO_FAILED;
	}
	*said = xasprintf("restored %s from '%s' to '%s'", path, new, old);
	return UNDO_DONE;
}

/* Without privilege swapoff(2) refuses before it looks. */
static bool is_swap(const char *path)
{
	_cleanup_free_ char *swaps = NULL;
	_cleanup_err_ error *e = fs_read("/proc/swaps", &swaps, NULL);

	return !e && strstr(swaps, path);
}

static enum undo_result undo_swap(const char *path, bool same_boot, char **said)
{
	struct stat st;
	bool off = same_boot && swapoff(path) == 0;
	int sys = errno;

	/* EINVAL: no swap is there, ENOENT: no file */
	if (same_boot && !off && sys != EINVAL && sys != ENOENT && is_swap(path)) {
		*said = xasprintf("not restored: cannot take swap %s out of use: %s", path, strerror(sys));
		return UNDO_FAILED;
	}
	if (lstat(path, &st) == 0 && S_ISREG(st.st_mode) && unlink(path) == 0) {
		*said = xasprintf("removed swap file %s", path);
		return UNDO_DONE;
	}
	if (off)
		*said = xasprintf("took swap %s out of use", path);
	return off ? UNDO_DONE : UNDO_NOTHING;
}

static bool in_cgroupfs(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && (fs.f_type == MAGIC_CGROUP1 || fs.f_type == MAGIC_CGROUP2);
}

/* What to do with each cgroup of a tree, the deepest first. */
struct members {
	bool kill, remove;
	bool self; /* found: this process is in it */
	long count;
};

static void visit_procs(const char *path, struct members *m)
{
	_cleanup_free_ char *file = xasprintf("%s/cgroup.procs", path);
	_cleanup_fclose_ FILE *f = fopen(file, "re");
	long pid;

	while (f && fscanf(f, "%ld", &pid) == 1) {
		m->count++;
		if (pid == getpid())
			m->self = true;
		else if (m->kill && pid > 1)
			kill((pid_t)pid, SIGKILL);
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
static void kill_all(const char *path)
{
	_cleanup_free_ char *file = xasprintf("%s/cgroup.kill", path);
	_cleanup_err_ error *e = setting_write(file, "1");

	if (e)
		visit(path, &(struct members){ .kill = true });
}

static enum undo_result undo_cgroup(const char *path, char **said)
{
	uint64_t last = clock_ns();
	long least = -1;

	if (access(path, F_OK) < 0)
		return UNDO_NOTHING;
	if (!in_cgroupfs(path)) {
		*said = xasprintf("not restored: %s is no cgroup", path);
		return UNDO_FAILED;
	}
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
		if (m.count)
			kill_all(path);
		else
			visit(path, &(struct members){ .remove = true });
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

static enum undo_result undo_tree(const char *path, const char *folder, char **said)
{
	_cleanup_free_ char *top = realpath(folder, NULL), *real = realpath(path, NULL);
	struct stat st;

	if (lstat(path, &st) < 0 && errno == ENOENT)
		return UNDO_NOTHING;
	size_t n = top ? strlen(top) : 0;
	if (!n || !real || strncmp(real, top, n) != 0 || real[n] != '/' || !S_ISDIR(st.st_mode)) {
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
static enum undo_result undo_empty(const char *path, const char *name)
{
	_cleanup_free_ char *file = *name ? xasprintf("%s/%s", path, name) : NULL;

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
		if (fs_read_number(file, &pid) && pid > 1 && pid != getpid() && runs_with((pid_t)pid, word) &&
		    kill((pid_t)pid, SIGKILL) == 0)
			killed++;
	}
	closedir(d);
	if (!killed)
		return UNDO_NOTHING;
	*said = xasprintf("killed %d processes that %s names", killed, path);
	return UNDO_DONE;
}

static enum undo_result undo_write(const char *path, const char *value, char **said)
{
	error *e;

	if (access(path, F_OK) < 0)
		return UNDO_NOTHING;
	e = setting_write(path, value);
	if (e)
		return failed(said, e);
	*said = xasprintf("wrote '%s' to %s", value, path);
	return UNDO_DONE;
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
		return undo_swap(path, same_boot, said);
	if (str_eq(kind, "rmtree"))
		return undo_tree(path, folder, said);
	/* the rest is kernel state, which a reboot has cleared */
	if (!same_boot)
		return UNDO_NOTHING;
	if (str_eq(kind, "file"))
		return undo_file(path, field(entry, "old"), field(entry, "new"), said);
	if (str_eq(kind, "rmdir"))
		return undo_cgroup(path, said);
	if (str_eq(kind, "containers"))
		return undo_containers(path, field(entry, "value"), said);
	if (str_eq(kind, "pidfiles"))
		return undo_pidfiles(path, field(entry, "value"), said);
	if (str_eq(kind, "emptydir"))
		return undo_empty(path, field(entry, "value"));
	if (str_eq(kind, "write"))
		return undo_write(path, field(entry, "value"), said);
	*said = xasprintf("not restored: this version does not know the journal entry '%s' for %s", kind,
			  path);
	return UNDO_FAILED;
}
