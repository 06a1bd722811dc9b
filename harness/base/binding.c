/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/binding.h"

#include <dirent.h>
#include <errno.h>
#include <numaif.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/util.h"

/* One part of a list: "3", "0-7", "0-14:2". */
static bool parse_range(const char *word, unsigned max, unsigned char *set)
{
	unsigned long first, last, step = 1;
	char *end;

	if (*word < '0' || *word > '9')
		return false;
	first = last = strtoul(word, &end, 10);
	if (*end == '-') {
		if (end[1] < '0' || end[1] > '9')
			return false;
		last = strtoul(end + 1, &end, 10);
		if (*end == ':')
			step = strtoul(end + 1, &end, 10);
	}
	if (*end || first > last || last >= max || !step)
		return false;
	for (unsigned long i = first; i <= last; i += step)
		set[i] = 1;
	return true;
}

error *cpulist_parse(const char *text, const char *what, unsigned max, unsigned char *set)
{
	_cleanup_free_ char *copy = xstrdup(text);
	char *rest = copy;

	memset(set, 0, max);
	for (char *word; (word = strsep(&rest, ","));)
		if (!parse_range(word, max, set))
			return err_new(EXIT_BAD_INPUT,
				       "%s '%s': '%s' is neither a number below %u nor a range such as 0-3",
				       what, text, word, max);
	return NULL;
}

char *cpulist_text(const unsigned char *set, unsigned max)
{
	struct strlist parts = { 0 };
	_cleanup_free_ char *joined = NULL;

	for (unsigned i = 0; i < max; i++) {
		unsigned last = i;

		if (!set[i])
			continue;
		while (last + 1 < max && set[last + 1])
			last++;
		if (last > i)
			strlist_addf(&parts, "%u-%u", i, last);
		else
			strlist_addf(&parts, "%u", i);
		i = last;
	}
	joined = parts.count ? strlist_join(&parts) : xstrdup("");
	strlist_clear(&parts);
	for (char *p = joined; *p; p++)
		if (*p == ' ')
			*p = ',';
	return STEAL(joined);
}

const char *binding_apply(const struct binding *b)
{
	bool nodes = b->policy == MPOL_INTERLEAVE || b->policy == MPOL_BIND;

	if (b->pinned && sched_setaffinity(0, sizeof(b->cpus), &b->cpus) < 0)
		return "sched_setaffinity";
	/* not through libnuma, which allocates */
	if (b->policy_set &&
	    syscall(SYS_set_mempolicy, b->policy, nodes ? b->nodes : NULL, nodes ? BINDING_MAX_NODES : 0) < 0)
		return "set_mempolicy";
	return NULL;
}

int binding_pin(const struct binding *b, pid_t pid)
{
	_cleanup_free_ char *path = xasprintf("/proc/%d/task", (int)pid);
	DIR *d = b->pinned ? opendir(path) : NULL;
	int sys = 0;

	for (struct dirent *e; d && (e = readdir(d));) {
		pid_t tid = (pid_t)strtol(e->d_name, NULL, 10);

		if (tid > 0 && sched_setaffinity(tid, sizeof(b->cpus), &b->cpus) < 0 && errno != ESRCH)
			sys = errno;
	}
	if (d)
		closedir(d);
	return sys;
}

static char *cpu_text(const cpu_set_t *cpus)
{
	unsigned char set[CPU_SETSIZE];

	for (int i = 0; i < CPU_SETSIZE; i++)
		set[i] = CPU_ISSET((size_t)i, cpus) != 0;
	return cpulist_text(set, CPU_SETSIZE);
}

static char *nodes_text(const unsigned long *nodes)
{
	unsigned char set[BINDING_MAX_NODES];

	for (unsigned i = 0; i < BINDING_MAX_NODES; i++)
		set[i] = nodes[i / (8 * sizeof(long))] >> i % (8 * sizeof(long)) & 1;
	return cpulist_text(set, BINDING_MAX_NODES);
}

char *binding_cpus_text(const struct binding *b)
{
	return cpu_text(&b->cpus);
}

char *binding_nodes_text(const struct binding *b)
{
	return nodes_text(b->nodes);
}
