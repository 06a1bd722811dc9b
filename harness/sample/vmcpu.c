/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sample/vmcpu.h"

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

void lives_add(struct lives *l, double ms, double asked_pct, int64_t got_ns)
{
	double got_pct = 100 * (double)got_ns / 1e6 / ms;

	if (!(ms > 0))
		return;
	l->over = l->count ? fmax(l->over, got_pct - asked_pct) : got_pct - asked_pct;
	l->count++;
	l->ms += ms;
	l->asked += asked_pct * ms;
	l->got += got_pct * ms;
}

struct fidelity fidelity_of(const double *asked, const double *got, size_t n)
{
	struct fidelity f = { .samples = n, .asked = NAN, .got = NAN, .mean = NAN, .rms = NAN };
	double a = 0, g = 0, squares = 0;

	if (!n)
		return f;
	for (size_t i = 0; i < n; i++) {
		a += asked[i];
		g += got[i];
		squares += (got[i] - asked[i]) * (got[i] - asked[i]);
	}
	f.asked = a / (double)n;
	f.got = g / (double)n;
	f.mean = f.got - f.asked;
	f.rms = sqrt(squares / (double)n);
	return f;
}
