/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "measure/vmcpu.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <time.h>

#include "base/fs.h"
#include "base/util.h"

int64_t vmcpu_ns(pid_t pid)
{
	struct timespec t;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &t) < 0)
		return -1;
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int64_t vmcpu_waited_ns(pid_t pid)
{
	_cleanup_free_ char *path = xasprintf("/proc/%d/task", (int)pid);
	DIR *dir = opendir(path);
	struct dirent *d;
	int64_t sum = 0;

	while (dir && (d = readdir(dir))) {
		_cleanup_free_ char *file = xasprintf("%s/%s/schedstat", path, d->d_name), *text = NULL;
		long long ran, waited;
		error *e = *d->d_name == '.' ? NULL : fs_read(file, &text, NULL);

		if (text && sscanf(text, "%lld %lld", &ran, &waited) == 2)
			sum += waited;
		err_free(e);
	}
	if (dir)
		closedir(dir);
	return sum;
}
