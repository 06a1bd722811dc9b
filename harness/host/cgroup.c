/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "host/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/util.h"
#include "host/procfs.h"

/* v1 hierarchies that count CPU time; v2 where it is mounted beside v1. */
static const char *const v1_names[] = { "cpuacct", "cpu,cpuacct" };
#define HYBRID_NAME "unified"

static bool has_file(const char *folder, const char *name)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", folder, name);

	return access(path, R_OK) == 0;
}

static bool is_v2(const char *folder)
{
	return has_file(folder, "cgroup.controllers");
}

static char *find_v1(const char *root)
{
	for (size_t i = 0; i < ARRAY_LEN(v1_names); i++) {
		_cleanup_free_ char *folder = xasprintf("%s/%s", root, v1_names[i]);

		if (has_file(folder, "cpuacct.usage"))
			return STEAL(folder);
	}
	return NULL;
}

/* Our own cgroup v2 folder: below it an unprivileged user may have been given the right to make more. */
static char *own_v2(const char *root)
{
	_cleanup_free_ char *text = proc_text("", "/proc/self/cgroup");
	_cleanup_free_ char *own = cgroup_of(text, NULL);

	return xasprintf("%s%s", root, geteuid() == 0 || !own ? "" : own);
}

/* The hierarchy to use: v2, else v1; a v2 beside v1 has the controllers only where there is no v1. The folder
   in it to make cgroups in is NULL where there is no hierarchy. */
static char *find_parent(const char *root, struct cgroup *ret)
{
	_cleanup_free_ char *hybrid = xasprintf("%s/" HYBRID_NAME, root);

	ret->version = 2;
	if (is_v2(root)) {
		ret->mount = xstrdup(root);
		return own_v2(root);
	}
	ret->mount = find_v1(root);
	if (ret->mount)
		ret->version = 1;
	else if (is_v2(hybrid))
		ret->mount = STEAL(hybrid);
	return ret->mount ? xstrdup(ret->mount) : NULL;
}

/* The same of a folder that the user names: below the root, or below the hierarchy that would be used. */
static error *given_parent(const char *root, const char *where, struct cgroup *ret, char **ret_parent)
{
	size_t n = strlen(root);
	bool whole = str_starts(where, root) && (where[n] == '/' || !where[n]);
	const char *below = where + (whole ? n : 0);

	below += strspn(below, "/");
	if (!whole && !ret->mount)
		return err_new(EXIT_CANNOT, "--cgroup %s: no cgroup hierarchy is mounted at %s", where, root);
	_cleanup_free_ char *folder = xasprintf("%s/%s", whole ? root : ret->mount, below);
	for (size_t end = strlen(folder); end > 1 && folder[end - 1] == '/';)
		folder[--end] = '\0';
	if (access(folder, F_OK) < 0)
		return err_sys(EXIT_CANNOT, errno, "--cgroup %s: there is no cgroup %s", where, folder);
	ret->version = is_v2(folder) ? 2 : 1;
	if (ret->version == 1 && !has_file(folder, "cpuacct.usage"))
		return err_new(
			EXIT_CANNOT,
			"--cgroup %s: %s counts no CPU time: name a cgroup of v2, or one of v1 below %s/cpuacct",
			where, folder, root);
	if (whole) {
		free(ret->mount);
		ret->mount = is_v2(root) ? xstrdup(root)
					 : xasprintf("%s/%.*s", root, (int)strcspn(below, "/"), below);
	}
	*ret_parent = STEAL(folder);
	return NULL;
}

error *cgroup_choose(const char *root, const char *where, const char *name, struct cgroup *ret)
{
	*ret = CGROUP_NONE;
	_cleanup_free_ char *parent = find_parent(root, ret);
	error *e = NULL;

	if (where) {
		free(parent);
		parent = NULL;
		e = given_parent(root, where, ret, &parent);
	}
	if (parent)
		ret->path = xasprintf("%s/%s", parent, name);
	else
		cgroup_remove(ret);
	return e;
}

const char *cgroup_relative(const struct cgroup *c)
{
	return c->path + strlen(c->mount);
}

void cgroup_v1_mounts(struct strlist *ret)
{
	struct strlist names = { 0 };
	error *e = fs_list(CGROUP_ROOT, "", &names);

	err_free(e);
	for (size_t i = 0; i < names.count; i++) {
		_cleanup_free_ char *path = xasprintf(CGROUP_ROOT "/%s", names.items[i]);
		_cleanup_free_ char *procs = xasprintf("%s/cgroup.procs", path);
		struct stat st;

		/* cpu -> cpu,cpuacct and its like are the same hierarchy */
		if (names.items[i][0] != '.' && lstat(path, &st) == 0 && S_ISDIR(st.st_mode) &&
		    access(procs, F_OK) == 0)
			strlist_add(ret, path);
	}
	strlist_clear(&names);
}

/* An empty one of that name is of a run that is gone; one with processes in it is somebody's. */
error *cgroup_mkdir(const char *path, const char *own)
{
	struct stat a, b;

	if (mkdir(path, 0755) == 0)
		return NULL;
	/* controllers of v1 that are mounted together have one folder */
	if (errno == EEXIST && own && stat(path, &a) == 0 && stat(own, &b) == 0 && a.st_dev == b.st_dev &&
	    a.st_ino == b.st_ino)
		return NULL;
	if (errno == EEXIST && rmdir(path) < 0 && errno == EBUSY)
		return err_new(
			EXIT_CANNOT,
			"cannot create cgroup %s: there is one already, with processes in it that are not of this run: 'mvmscale doctor' lists what runs left behind",
			path);
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return err_sys(EXIT_CANNOT, errno, "cannot create cgroup %s", path);
	return NULL;
}

error *cgroup_create(struct cgroup *c)
{
	_cleanup_free_ char *procs = xasprintf("%s/cgroup.procs", c->path);
	_cleanup_free_ char *usage =
		xasprintf("%s/%s", c->path, c->version == 2 ? "cpu.stat" : "cpuacct.usage");
	error *e = cgroup_mkdir(c->path, NULL);

	if (e) {
		free(c->path);
		c->path = NULL;
		cgroup_remove(c);
		return e;
	}
	c->procs_fd = open(procs, O_WRONLY | O_CLOEXEC);
	c->usage_fd = open(usage, O_RDONLY | O_CLOEXEC);
	if (c->procs_fd < 0 || c->usage_fd < 0 || cgroup_cpu_ns(c) < 0) {
		e = err_sys(EXIT_CANNOT, errno, "cannot use cgroup %s", c->path);
		cgroup_remove(c);
		return e;
	}
	return NULL;
}

static long long read_usage(int fd, int version)
{
	char text[2048];
	ssize_t n = fd < 0 ? -1 : pread(fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return -1;
	text[n] = '\0';
	return version == 2 ? parse_cgroup_cpu_stat(text) : parse_schedstat(text);
}

long long cgroup_cpu_ns(const struct cgroup *c)
{
	return c->path ? read_usage(c->usage_fd, c->version) : -1;
}

void cgroup_remove(struct cgroup *c)
{
	if (c->procs_fd >= 0)
		close(c->procs_fd);
	if (c->usage_fd >= 0)
		close(c->usage_fd);
	for (int k = 0; k < CGROUP_CONTROLLERS; k++)
		if (c->count_fds[k] >= 0)
			close(c->count_fds[k]);
	for (unsigned i = 0; i < c->more; i++)
		close(c->more_fds[i]);
	/* Members that are dead but not yet gone keep the folder busy for a moment. */
	for (int i = 0; c->path && i < 100 && rmdir(c->path) < 0 && errno == EBUSY; i++)
		clock_sleep_ns(20000000);
	free(c->path);
	free(c->mount);
	*c = CGROUP_NONE;
}

int cgroup_open_host_usage(long long busy_ticks, long ticks_per_second)
{
	_cleanup_free_ char *v1 = find_v1(CGROUP_ROOT);
	_cleanup_free_ char *path = v1 ? xasprintf("%s/cpuacct.usage", v1) : NULL;
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	double used_s = (double)read_usage(fd, 1) / 1e9;
	double busy_s = (double)busy_ticks / (double)ticks_per_second;

	if (fd >= 0 && used_s > 0.6 * busy_s && used_s < 3 * busy_s + 60)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}
