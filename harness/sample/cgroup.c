/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sample/cgroup.h"

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
#include "sample/procfs.h"

static const char *const v1_mounts[] = { "/sys/fs/cgroup/cpuacct", "/sys/fs/cgroup/cpu,cpuacct" };

static char *find_v1(void)
{
	for (size_t i = 0; i < ARRAY_LEN(v1_mounts); i++) {
		_cleanup_free_ char *usage = xasprintf("%s/cpuacct.usage", v1_mounts[i]);

		if (access(usage, R_OK) == 0)
			return xstrdup(v1_mounts[i]);
	}
	return NULL;
}

/* Our own cgroup v2 folder: below it an unprivileged user may have been given the right to make more. */
static char *find_v2(void)
{
	_cleanup_free_ char *text = NULL;
	error *e = fs_read("/proc/self/cgroup", &text, NULL);
	const char *line = e ? NULL : strstr(text, "0::/");

	err_free(e);
	if (access("/sys/fs/cgroup/cgroup.controllers", R_OK) < 0)
		return NULL;
	if (geteuid() == 0 || !line)
		return xstrdup("/sys/fs/cgroup");
	line += strlen("0::");
	return xasprintf("/sys/fs/cgroup%.*s", (int)strcspn(line, "\n"), line);
}

char *cgroup_choose(const char *name, int *ret_version)
{
	_cleanup_free_ char *v2 = find_v2();
	_cleanup_free_ char *v1 = v2 ? NULL : find_v1();

	if (!v1 && !v2)
		return NULL;
	*ret_version = v2 ? 2 : 1;
	return xasprintf("%s/%s", v2 ? v2 : v1, name);
}

const char *cgroup_relative(const struct cgroup *c)
{
	const char *below = c->path + strlen(CGROUP_ROOT);

	/* v1: the first name is the controller's */
	return c->version == 2 ? below : strchr(below + 1, '/');
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

error *cgroup_create(char *path, int version, struct cgroup *ret)
{
	*ret = (struct cgroup){ .path = path, .version = version, .procs_fd = -1, .usage_fd = -1 };
	_cleanup_free_ char *procs = xasprintf("%s/cgroup.procs", ret->path);
	_cleanup_free_ char *usage =
		xasprintf("%s/%s", ret->path, version == 2 ? "cpu.stat" : "cpuacct.usage");
	if (mkdir(ret->path, 0755) < 0 && errno != EEXIST) {
		error *e = err_sys(EXIT_CANNOT, errno, "cannot create cgroup %s", ret->path);
		free(ret->path);
		ret->path = NULL;
		return e;
	}
	ret->procs_fd = open(procs, O_WRONLY | O_CLOEXEC);
	ret->usage_fd = open(usage, O_RDONLY | O_CLOEXEC);
	if (ret->procs_fd < 0 || ret->usage_fd < 0 || cgroup_cpu_ns(ret) < 0) {
		error *e = err_sys(EXIT_CANNOT, errno, "cannot use cgroup %s", ret->path);
		cgroup_remove(ret);
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
	for (unsigned i = 0; i < c->more; i++)
		close(c->more_fds[i]);
	/* Members that are dead but not yet gone keep the folder busy for a moment. */
	for (int i = 0; c->path && i < 100 && rmdir(c->path) < 0 && errno == EBUSY; i++)
		clock_sleep_ns(20000000);
	free(c->path);
	*c = (struct cgroup){ .procs_fd = -1, .usage_fd = -1 };
}

int cgroup_open_host_usage(long long busy_ticks, long ticks_per_second)
{
	_cleanup_free_ char *v1 = find_v1();
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
