/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "counts.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/util.h"

static void add_descriptor(const char *path, struct vm_cost *sum)
{
	_cleanup_free_ char *to = realpath(path, NULL);
	struct stat st;

	sum->fds_vm++;
	sum->ptys += to && (str_eq(to, "/dev/ptmx") || str_eq(to, "/dev/pts/ptmx"));
	sum->pipes += to && stat(path, &st) == 0 && S_ISFIFO(st.st_mode);
}

static void add_entries(pid_t pid, const char *what, struct vm_cost *sum)
{
	_cleanup_free_ char *folder = xasprintf("/proc/%d/%s", (int)pid, what);
	DIR *d = opendir(folder);

	for (struct dirent *e; d && (e = readdir(d));) {
		_cleanup_free_ char *path = xasprintf("%s/%s", folder, e->d_name);

		if (*e->d_name == '.')
			continue;
		if (str_eq(what, "task"))
			sum->tasks++;
		else
			add_descriptor(path, sum);
	}
	if (d)
		closedir(d);
}

/* A private mapping that may be written is charged to the commit limit, whatever is touched of it. */
static void add_commit(pid_t pid, struct vm_cost *sum)
{
	_cleanup_free_ char *path = xasprintf("/proc/%d/maps", (int)pid), *text = NULL;
	char line[512];

	err_free(fs_read(path, &text, NULL));
	for (const char *rest = text ? text : ""; (rest = str_line(rest, line, sizeof(line)));) {
		unsigned long from, to;
		char may[5];

		if (sscanf(line, "%lx-%lx %4s", &from, &to, may) == 3 && may[1] == 'w' && may[3] == 'p')
			sum->commit_kb += (double)(to - from) / 1024;
	}
}

/* Its line in the v1 hierarchy that counts memory, else that in v2; the caller frees it. */
static char *memory_cgroup(pid_t pid)
{
	_cleanup_free_ char *path = xasprintf("/proc/%d/cgroup", (int)pid), *text = NULL;
	char line[512], *found = NULL;

	err_free(fs_read(path, &text, NULL));
	for (const char *rest = text ? text : ""; (rest = str_line(rest, line, sizeof(line)));) {
		if (!strstr(line, ":memory:") && (found || !str_starts(line, "0::")))
			continue;
		free(found);
		found = xstrdup(line);
	}
	return found ? found : xstrdup("");
}

void counts_add_process(pid_t pid, struct vm_cost *sum)
{
	_cleanup_free_ char *of_it = memory_cgroup(pid), *of_us = memory_cgroup(getpid());

	add_entries(pid, "task", sum);
	add_entries(pid, "fd", sum);
	add_commit(pid, sum);
	sum->cgroups += !str_eq(of_it, of_us);
}

void counts_add_keys(struct vm_cost *sum)
{
	_cleanup_free_ char *name = xasprintf("mvmscale-%d-", (int)getpid()), *keys = NULL;

	err_free(fs_read("/proc/keys", &keys, NULL));
	for (const char *at = keys; at && (at = strstr(at, name)); at += strlen(name))
		sum->keys++;
}
