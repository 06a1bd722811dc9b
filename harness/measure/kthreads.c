/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "measure/kthreads.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/util.h"
#include "host/procfs.h"

/* A host with more kernel threads than this is watched in part: a few per CPU come first, but those that have
   a class of their own are wanted. */
#define MAX_THREADS 512
#define MAX_OTHERS 384
#define KTHREADD_PID 2

struct kthreads {
	struct one {
		int fd; /* its schedstat */
		enum kthread_class class;
		long long ns;
	} t[MAX_THREADS];
	size_t count;
};

enum kthread_class kthread_class_of(const char *comm)
{
	static const struct {
		const char *prefix;
		enum kthread_class class;
	} known[] = {
		{ "ksmd", KTHREAD_KSMD },
		{ "kdamond", KTHREAD_KDAMOND },
		{ "kswapd", KTHREAD_KSWAPD },
		{ "kcompactd", KTHREAD_KCOMPACTD },
		{ "khugepaged", KTHREAD_KHUGEPAGED },
	};

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (str_starts(comm, known[i].prefix))
			return known[i].class;
	return KTHREAD_OTHER;
}

static bool read_text(const char *path, char *buf, size_t size)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	buf[n > 0 ? n : 0] = '\0';
	return n > 0;
}

struct kthreads *kthreads_open(void)
{
	struct kthreads *k = xcalloc(1, sizeof(*k));
	DIR *proc = opendir("/proc");
	struct dirent *e;
	size_t others = 0;

	while (proc && (e = readdir(proc)) && k->count < MAX_THREADS) {
		char path[64], text[1024];
		struct pid_stat st;
		long pid;

		if (!parse_long(e->d_name, 1, 1L << 30, &pid))
			continue;
		snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
		if (!read_text(path, text, sizeof(text)) || !parse_pid_stat(text, &st))
			continue;
		if (st.ppid != KTHREADD_PID && pid != KTHREADD_PID)
			continue;
		enum kthread_class class = kthread_class_of(st.comm);
		if (class == KTHREAD_OTHER && others++ >= MAX_OTHERS)
			continue;
		snprintf(path, sizeof(path), "/proc/%ld/schedstat", pid);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0)
			k->t[k->count++] = (struct one){ .fd = fd, .class = class };
	}
	if (proc)
		closedir(proc);
	return k;
}

void kthreads_read(struct kthreads *k, long long ret_ns[KTHREAD_CLASSES])
{
	for (int i = 0; i < KTHREAD_CLASSES; i++)
		ret_ns[i] = -1;
	for (size_t i = 0; i < k->count; i++) {
		struct one *t = &k->t[i];
		char text[128];
		ssize_t n = pread(t->fd, text, sizeof(text) - 1, 0);

		if (n > 0) {
			text[n] = '\0';
			long long ns = parse_schedstat(text);
			if (ns >= 0)
				t->ns = ns;
		}
		if (ret_ns[t->class] < 0)
			ret_ns[t->class] = 0;
		ret_ns[t->class] += t->ns;
	}
}

void kthreads_close(struct kthreads *k)
{
	if (!k)
		return;
	for (size_t i = 0; i < k->count; i++)
		close(k->t[i].fd);
	free(k);
}
