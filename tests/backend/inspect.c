/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "inspect.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/util.h"

uint64_t inspect_find(const unsigned char *sector, pid_t pid)
{
	_cleanup_free_ char *maps = xasprintf("/proc/%d/maps", (int)pid),
			    *memory = xasprintf("/proc/%d/mem", (int)pid);
	_cleanup_fclose_ FILE *f = fopen(maps, "re");
	_cleanup_close_ int fd = open(memory, O_RDONLY | O_CLOEXEC);
	unsigned long long from, to;
	uint64_t found = 0;
	char line[512], perms[5];

	while (f && fd >= 0 && !found && fgets(line, sizeof(line), f)) {
		/* the guest's code: QEMU may have filled in its parameters */
		size_t code = 64;

		if (sscanf(line, "%llx-%llx %4s", &from, &to, perms) != 3 || strcmp(perms, "rw-p") != 0 ||
		    to - from > 64U << 20)
			continue;
		char *all = xcalloc(to - from, 1);
		ssize_t n = pread(fd, all, to - from, (off_t)from);
		const char *at = n > 0 ? memmem(all, (size_t)n, sector, code) : NULL;

		/* as guest memory: at 0x7C00 of pages */
		for (; at && ((from + (uint64_t)(at - all)) & 0xfff) != 0xc00;)
			at = memmem(at + 1, (size_t)(all + n - at - 1), sector, code);
		found = at ? from + (uint64_t)(at - all) : 0;
		free(all);
	}
	return found;
}

bool inspect_poke(pid_t pid, uint64_t at, unsigned char value)
{
	_cleanup_free_ char *path = xasprintf("/proc/%d/mem", (int)pid);
	_cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC);

	return pwrite(fd, &value, 1, (off_t)at) == 1;
}

int inspect_peek(pid_t pid, uint64_t at)
{
	_cleanup_free_ char *path = xasprintf("/proc/%d/mem", (int)pid);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	unsigned char c;

	return pread(fd, &c, 1, (off_t)at) == 1 ? c : -1;
}

bool inspect_policy(pid_t pid, const char *wanted)
{
	_cleanup_free_ char *path = xasprintf("/proc/%d/numa_maps", (int)pid), *text = NULL;
	error *e = fs_read(path, &text, NULL);
	bool found = !e && strstr(text, wanted);

	err_free(e);
	return found;
}

bool inspect_is_on(pid_t pid, int cpu)
{
	_cleanup_free_ char *path = xasprintf("/proc/%d/task", (int)pid);
	DIR *d = opendir(path);
	bool on = d != NULL;

	for (struct dirent *e; d && (e = readdir(d));) {
		pid_t tid = (pid_t)strtol(e->d_name, NULL, 10);
		cpu_set_t cpus;

		if (tid > 0)
			on = on && sched_getaffinity(tid, sizeof(cpus), &cpus) == 0 &&
			     CPU_COUNT(&cpus) == 1 && CPU_ISSET((size_t)cpu, &cpus);
	}
	if (d)
		closedir(d);
	return on;
}
