/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "host/refusal.h"

#include <errno.h>
#include <math.h>

/* A limit that so much of is in use may have been met: what was refused was one of many, and some ended
 * since. */
#define NEARLY_FULL 0.97

static void found(struct refusal *r, const char *limit, char *evidence)
{
	*r = (struct refusal){ .limit = limit, .evidence = evidence };
}

static double refusals_before(const struct limit_raw *before, const struct limit_cgroup *c)
{
	for (size_t i = 0; i < before->cgroup_count; i++)
		if (str_eq(before->cgroups[i].file, c->file))
			return before->cgroups[i].refusals;
	return NAN;
}

/* A level of our own cgroup that counted refusals since. */
static bool counted(const struct limit_raw *before, const struct limit_raw *now, bool memory,
		    struct refusal *ret)
{
	for (size_t i = 0; i < now->cgroup_count; i++) {
		const struct limit_cgroup *c = &now->cgroups[i];
		double more = c->refusals - refusals_before(before, c);

		/* a full memory cgroup first gives page cache back, and counts that, too */
		if (c->memory != memory || !(more > 0) || (memory && c->use < NEARLY_FULL * c->max))
			continue;
		_cleanup_free_ char *max = count_text(c->max);
		found(ret, memory ? "cgroup-memory" : "cgroup-pids",
		      xasprintf("%s is %s%s, and refused %.0f times", c->file, max, memory ? " kB" : "",
				more));
		return true;
	}
	return false;
}

struct candidate {
	const char *limit, *unit;
	double use, max;
};

/* The fullest of those that are nearly full. */
static bool nearest(const struct candidate *c, size_t n, struct refusal *ret)
{
	const struct candidate *best = NULL;

	for (size_t i = 0; i < n; i++)
		if (c[i].max > 0 && c[i].use >= NEARLY_FULL * c[i].max &&
		    (!best || c[i].use / c[i].max > best->use / best->max))
			best = &c[i];
	if (!best)
		return false;
	_cleanup_free_ char *use = count_text(best->use), *max = count_text(best->max);
	found(ret, best->limit, xasprintf("%s: %s of %s%s in use", best->limit, use, max, best->unit));
	return true;
}

static struct candidate fullest_cgroup(const struct limit_raw *now, bool memory)
{
	struct candidate c = { memory ? "cgroup-memory" : "cgroup-pids", memory ? " kB" : "", 0, NAN };

	for (size_t i = 0; i < now->cgroup_count; i++) {
		const struct limit_cgroup *l = &now->cgroups[i];

		if (l->memory == memory && (isnan(c.max) || l->use * c.max > c.use * l->max)) {
			c.use = l->use;
			c.max = l->max;
		}
	}
	return c;
}

static void attribute_tasks(const struct limit_raw *before, const struct limit_raw *now, struct refusal *ret)
{
	const struct candidate c[] = {
		{ "pid_max", "", now->tasks, now->sysctl[SYSCTL_PID_MAX].value },
		{ "threads-max", "", now->tasks, now->sysctl[SYSCTL_THREADS_MAX].value },
		/* the first user is free of it */
		{ "RLIMIT_NPROC", "", now->user_tasks, now->uid0 ? (double)NAN : now->nproc_soft },
		fullest_cgroup(now, false),
	};

	if (!counted(before, now, false, ret) && !nearest(c, ARRAY_LEN(c), ret))
		found(ret, "fork", NULL);
}

static void attribute_memory(const struct limit_raw *before, const struct limit_raw *now, struct refusal *ret)
{
	const struct candidate c[] = {
		/* only then does the kernel refuse for it */
		{ "overcommit", " kB", now->committed_kb,
		  now->overcommit == 2 ? now->commit_limit_kb : (double)NAN },
		{ "max_map_count", "", now->maps_self, now->sysctl[SYSCTL_MAX_MAP_COUNT].value },
		{ "memory", " kB", now->mem_total_kb - now->mem_available_kb, now->mem_total_kb },
		fullest_cgroup(now, true),
	};

	if (counted(before, now, true, ret) || nearest(c, ARRAY_LEN(c), ret))
		return;
	if (!isfinite(now->as_soft)) {
		found(ret, "memory", NULL);
		return;
	}
	_cleanup_free_ char *max = count_text(now->as_soft / 1024);
	found(ret, "RLIMIT_AS", xasprintf("RLIMIT_AS is %s kB, and nothing else is nearly full", max));
}

void limits_attribute(const struct limit_raw *before, const struct limit_raw *now, int sys,
		      struct refusal *ret)
{
	switch (sys) {
	case ENOSPC:
		found(ret, "disk", NULL);
		return;
	case EMFILE:
		found(ret, "RLIMIT_NOFILE", NULL);
		return;
	case ENFILE:
		found(ret, "file-max", NULL);
		return;
	case ENOMEM:
		attribute_memory(before, now, ret);
		return;
	default:
		attribute_tasks(before, now, ret);
	}
}
