/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "host/limits.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/resource.h>

#include "base/text.h"
#include "host/settings.h"

/* The largest values that the kernel takes; what it really took is read back. */
#define CEILING_PID_MAX 4194304.0    /* PID_MAX_LIMIT of 64 bits */
#define CEILING_THREADS 1073741823.0 /* FUTEX_TID_MASK */
#define CEILING_PTY 1048576.0	     /* NR_UNIX98_PTY_MAX */
#define CEILING_INT 2147483647.0
#define CEILING_NR_OPEN 2147483584.0 /* INT_MAX rounded down to a word of bits */
#define CEILING_LONG 9e15	     /* exact in a double, and more than any host can use */

/* Memory cgroups have 16-bit numbers, 0 is none. */
#define MEMORY_CGROUPS_MAX 65535.0
/* Pages that a pipe shrinks to beyond the soft limit of its user. */
#define PIPE_PAGES 2.0

#define HEADROOM_TASKS 4096.0
#define HEADROOM 1024.0

char *count_text(double v)
{
	return isnan(v) ? xstrdup("unknown") : isinf(v) ? xstrdup("unlimited") : text_thousands(v, 0);
}

static double fits(const struct limit *lim, double max)
{
	if (lim->per_vm <= 0 || !isfinite(max))
		return INFINITY;
	return MAX(0.0, floor((max - lim->reserve - lim->current_use) / lim->per_vm));
}

static double host_share(double max)
{
	return isfinite(max) ? floor(MIN(1024.0, max * 0.05)) : 0;
}

static double or_zero(double v)
{
	return isnan(v) ? 0 : v;
}

static struct limit *add(struct limits *l, const char *name, double use, double max, double per_vm)
{
	l->items = xrealloc(l->items, l->count + 1, sizeof(*l->items));
	struct limit *lim = &l->items[l->count++];

	*lim = (struct limit){ .name = name,
			       .current_use = or_zero(use),
			       .current_max = max,
			       .raisable_to = max,
			       .per_vm = per_vm,
			       .headroom = HEADROOM,
			       .rlimit = -1 };
	return lim;
}

/* What is a fixed part of the machine has no way to be raised. */
static void finish(struct limit *lim, const char *unit, const char *where, const char *how)
{
	_cleanup_free_ char *max = count_text(lim->current_max);
	_cleanup_free_ char *use = count_text(lim->current_use);
	_cleanup_free_ char *reserve = count_text(lim->reserve);

	lim->vms_now = fits(lim, lim->current_max);
	lim->vms_raised = fits(lim, lim->raisable_to);
	_cleanup_free_ char *each =
		lim->per_vm == floor(lim->per_vm) ? count_text(lim->per_vm) : xasprintf("%g", lim->per_vm);
	if (lim->per_vm > 0)
		lim->evidence = xasprintf("%s: %s of %s%s used, %s more for each VM, %s kept for the host",
					  where, use, max, unit, each, reserve);
	else
		lim->evidence = xasprintf("%s: %s of %s%s used, a VM takes none", where, use, max, unit);
	if (!lim->how)
		lim->how = xstrdup(how);
}

/* A limit that one settings file holds. `exempt` says why this process is free of it, or NULL. */
static void add_sysctl(struct limits *l, const struct limit_raw *raw, enum limit_sysctl id, const char *name,
		       double use, double per_vm, double ceiling, const char *exempt)
{
	double max = raw->sysctl[id].value;
	struct limit *lim = add(l, name, use, max, per_vm);
	const char *file = raw->sysctl[id].file;

	lim->setting = xstrdup(file);
	lim->reserve = host_share(max);
	if (exempt) {
		lim->per_vm = 0;
		lim->how = xasprintf("does not apply: %s", exempt);
	} else if (isnan(max)) {
		lim->how = xasprintf("unknown: %s cannot be read here", file);
	} else if (!raw->sysctl[id].writable) {
		lim->how = xasprintf(
			"not from here: %s is not writable (needs root, and a writable /proc/sys)", file);
	} else if (ceiling > max) {
		lim->raisable_to = ceiling;
		lim->how = xasprintf("write %s", file);
	} else {
		lim->how = xstrdup("is at the kernel's own maximum");
	}
	finish(lim, "", file, "");
}

static void add_tasks(struct limits *l, const struct limit_raw *raw, const struct vm_cost *cost)
{
	add_sysctl(l, raw, SYSCTL_PID_MAX, "pid_max", raw->tasks, cost->tasks, CEILING_PID_MAX, NULL);
	l->items[l->count - 1].headroom = HEADROOM_TASKS;
	add_sysctl(l, raw, SYSCTL_THREADS_MAX, "threads-max", raw->tasks, cost->tasks, CEILING_THREADS, NULL);
	l->items[l->count - 1].headroom = HEADROOM_TASKS;

	struct limit *lim = add(l, "RLIMIT_NPROC", isnan(raw->user_tasks) ? raw->tasks : raw->user_tasks,
				raw->nproc_soft, cost->tasks);
	lim->rlimit = RLIMIT_NPROC;
	lim->headroom = HEADROOM_TASKS;
	lim->reserve = host_share(raw->nproc_soft);
	if (raw->uid0 || raw->cap_sys_admin || raw->cap_sys_resource) {
		lim->per_vm = 0;
		lim->how = xstrdup("does not apply: root and CAP_SYS_RESOURCE are free of it");
	} else {
		lim->raisable_to = raw->nproc_hard;
	}
	finish(lim, " tasks of this user", "ulimit -u",
	       lim->raisable_to > lim->current_max
		       ? "setrlimit up to the hard limit"
		       : "not from here: the hard limit is reached and CAP_SYS_RESOURCE is missing");
}

static void add_files(struct limits *l, const struct limit_raw *raw, const struct vm_cost *cost)
{
	double nr_open = raw->sysctl[SYSCTL_NR_OPEN].value;
	bool nr_open_writable = raw->sysctl[SYSCTL_NR_OPEN].writable;
	struct limit *lim = add(l, "RLIMIT_NOFILE", raw->fds_self, raw->nofile_soft, cost->fds_harness);
	const char *how = "setrlimit up to the hard limit";

	lim->rlimit = RLIMIT_NOFILE;
	lim->reserve = host_share(raw->nofile_soft);
	lim->raisable_to = raw->nofile_hard;
	if (raw->cap_sys_resource && !isnan(nr_open)) {
		lim->raisable_to = MAX(raw->nofile_hard, nr_open_writable ? CEILING_NR_OPEN : nr_open);
		how = "setrlimit with CAP_SYS_RESOURCE, and fs.nr_open where needed";
	} else if (!(raw->nofile_hard > raw->nofile_soft)) {
		how = "not from here: the hard limit is reached and CAP_SYS_RESOURCE is missing";
	}
	finish(lim, " descriptors of the harness", "ulimit -n", how);
	l->nr_open = nr_open;
	l->nr_open_file = nr_open_writable ? xstrdup(raw->sysctl[SYSCTL_NR_OPEN].file) : NULL;
	add_sysctl(l, raw, SYSCTL_FILE_MAX, "file-max", raw->files_used, cost->fds_vm, CEILING_LONG,
		   raw->cap_sys_admin ? "CAP_SYS_ADMIN is free of it" : NULL);
}

static void add_cgroups(struct limits *l, const struct limit_raw *raw, const struct vm_cost *cost)
{
	for (size_t i = 0; i < raw->cgroup_count; i++) {
		const struct limit_cgroup *c = &raw->cgroups[i];
		struct limit *lim = add(l, c->memory ? "cgroup-memory" : "cgroup-pids", c->use, c->max,
					c->memory ? cost->mem_kb : cost->tasks);

		if (c->memory) {
			lim->reserve = floor(c->max * 0.05);
			finish(lim, " kB", c->file,
			       "left alone: a memory limit is a decision; start elsewhere");
			continue;
		}
		lim->headroom = HEADROOM_TASKS;
		lim->reserve = host_share(c->max);
		lim->setting = xstrdup(c->file);
		if (c->writable) {
			lim->raisable_to = CEILING_PID_MAX;
			lim->how = xasprintf("write %s (systemd: TasksMax=)", c->file);
		}
		finish(lim, " tasks", c->file,
		       "not from here: it belongs to another user or to the outer host");
	}
	struct limit *lim = add(l, "memory-cgroups", raw->memory_cgroups, MEMORY_CGROUPS_MAX, cost->cgroups);
	finish(lim, " memory cgroups", "kernel", "fixed in the kernel");
}

static void add_memory(struct limits *l, const struct limit_raw *raw, const struct vm_cost *cost,
		       double threshold_pct)
{
	double used = raw->mem_total_kb - raw->mem_available_kb;
	/* without MemAvailable (before 3.14) what is free is not known, and so neither is what fits */
	struct limit *lim = add(l, "ram", used, isnan(used) ? NAN : raw->mem_total_kb, cost->mem_kb);

	lim->reserve = (100 - threshold_pct) / 100 * or_zero(raw->mem_total_kb);
	finish(lim, " kB", "RAM", "more RAM, or a smaller VM");
	if (raw->overcommit == 2) {
		lim = add(l, "overcommit", raw->committed_kb, raw->commit_limit_kb, cost->commit_kb);
		finish(lim, " kB committed", "vm.overcommit_memory=2",
		       "left alone: strict accounting is a decision; vm.overcommit_memory=0 lifts it");
	}
	add_sysctl(l, raw, SYSCTL_MAX_MAP_COUNT, "max_map_count", raw->maps_self, cost->mappings, CEILING_INT,
		   NULL);
}

static void add_rest(struct limits *l, const struct limit_raw *raw, const struct vm_cost *cost)
{
	bool privileged = raw->cap_sys_admin || raw->cap_sys_resource;

	add_sysctl(l, raw, SYSCTL_PTY_MAX, "pty", raw->ptys_used, cost->ptys, CEILING_PTY, NULL);
	add_sysctl(l, raw, raw->uid0 ? SYSCTL_KEYS_ROOT : SYSCTL_KEYS, "keys", raw->keys_used, cost->keys,
		   CEILING_INT, NULL);
	add_sysctl(l, raw, SYSCTL_PIPE_HARD, "pipe-user-pages-hard", 0, cost->pipes * PIPE_PAGES,
		   CEILING_LONG,
		   privileged				      ? "CAP_SYS_RESOURCE is free of it"
		   : raw->sysctl[SYSCTL_PIPE_HARD].value == 0 ? "0 means no limit"
							      : NULL);
}

void limits_compute(const struct limit_raw *raw, const struct vm_cost *cost, double threshold_pct,
		    struct limits *ret)
{
	*ret = (struct limits){ 0 };
	add_memory(ret, raw, cost, threshold_pct);
	add_tasks(ret, raw, cost);
	add_cgroups(ret, raw, cost);
	add_files(ret, raw, cost);
	add_rest(ret, raw, cost);
}

void limits_free(struct limits *l)
{
	for (size_t i = 0; i < l->count; i++) {
		free(l->items[i].setting);
		free(l->items[i].evidence);
		free(l->items[i].how);
	}
	free(l->items);
	free(l->nr_open_file);
	*l = (struct limits){ 0 };
}

const struct limit *limits_binding(const struct limits *l, bool after_raising)
{
	const struct limit *best = NULL;
	double best_vms = INFINITY;

	for (size_t i = 0; i < l->count; i++) {
		double vms = after_raising ? l->items[i].vms_raised : l->items[i].vms_now;

		if (vms < best_vms) {
			best_vms = vms;
			best = &l->items[i];
		}
	}
	return best;
}

char *limits_sentence(const struct limits *l, bool after_raising)
{
	const struct limit *b = limits_binding(l, after_raising);

	if (!b)
		return xstrdup("no limit of this host that can be read ends the run");
	_cleanup_free_ char *vms = count_text(after_raising ? b->vms_raised : b->vms_now);
	return xasprintf("you will stop near %s VMs because of %s (%s)", vms, b->name, b->evidence);
}

double limit_needed(const struct limit *lim, double vms)
{
	double need = ceil(lim->current_use + vms * lim->per_vm * 1.1 + lim->headroom);

	return MIN(need, lim->raisable_to);
}

/* setrlimit(2), read back. */
static error *raise_rlimit(struct settings *s, const struct limits *l, const struct limit *lim, double to)
{
	struct rlimit old, now, want = { .rlim_cur = (rlim_t)to };
	__rlimit_resource_t which = (__rlimit_resource_t)lim->rlimit;

	if (lim->rlimit == RLIMIT_NOFILE && to > l->nr_open) {
		_cleanup_free_ char *value = xasprintf("%.0f", to);

		if (!l->nr_open_file)
			return err_new(EXIT_CANNOT, "cannot raise %s to %s: fs.nr_open is below that",
				       lim->name, value);
		error *e =
			settings_raise(s, l->nr_open_file, value, "RLIMIT_NOFILE cannot exceed fs.nr_open");
		if (e)
			return e;
	}
	if (getrlimit(which, &old) < 0)
		return err_sys(EXIT_CANNOT, errno, "cannot read %s", lim->name);
	want.rlim_max = MAX(old.rlim_max, want.rlim_cur);
	if (setrlimit(which, &want) < 0)
		return err_sys(EXIT_CANNOT, errno, "cannot raise %s from %llu to %llu", lim->name,
			       (unsigned long long)old.rlim_cur, (unsigned long long)want.rlim_cur);
	if (getrlimit(which, &now) < 0 || now.rlim_cur != want.rlim_cur)
		return err_new(EXIT_CANNOT, "cannot raise %s to %llu: the kernel kept another value",
			       lim->name, (unsigned long long)want.rlim_cur);
	return NULL;
}

static error *raise_one(struct settings *s, const struct limits *l, const struct limit *lim, double to)
{
	if (!(to > lim->current_max))
		return err_new(EXIT_CANNOT, "cannot raise %s: %s", lim->name, lim->how);
	if (lim->rlimit >= 0)
		return raise_rlimit(s, l, lim, to);
	_cleanup_free_ char *value = xasprintf("%.0f", to);
	return settings_raise(s, lim->setting, value, lim->name);
}

/* What is enough may be so because another run raised it, which would put it back at its end. */
static void hold(struct settings *s, const struct limit *lim)
{
	/* not to be had where nothing can be written: then no other run of ours could raise it either */
	if (lim->setting && lim->per_vm > 0)
		err_free(settings_hold(s, lim->setting, lim->name));
}

void limits_raise(struct settings *s, struct limits *l, double vms, struct limit_raises *ret)
{
	*ret = (struct limit_raises){ 0 };
	for (size_t i = 0; i < l->count; i++) {
		struct limit *lim = &l->items[i];

		if (lim->vms_now >= vms || (!lim->setting && lim->rlimit < 0)) {
			hold(s, lim);
			continue;
		}
		double from = lim->current_max, to = limit_needed(lim, vms);
		_cleanup_err_ error *e = raise_one(s, l, lim, to);
		struct limit_raise r = { .name = lim->name, .from = from, .to = e ? from : to };

		if (e) {
			r.failure = xstrdup(e->msg);
		} else {
			_cleanup_free_ char *was = count_text(from);
			_cleanup_free_ char *where =
				xasprintf("%s, raised from %s", lim->setting ? lim->setting : lim->name, was);

			lim->current_max = to;
			lim->reserve = host_share(to);
			lim->raised = true;
			free(lim->evidence);
			finish(lim, "", where, lim->how);
		}
		ret->items = xrealloc(ret->items, ret->count + 1, sizeof(*ret->items));
		ret->items[ret->count++] = r;
	}
}

void limit_raises_free(struct limit_raises *r)
{
	for (size_t i = 0; i < r->count; i++)
		free(r->items[i].failure);
	free(r->items);
	*r = (struct limit_raises){ 0 };
}

static json_t *number(double v)
{
	return isfinite(v) ? json_integer((json_int_t)v) : json_null();
}

json_t *limits_json(const struct limits *l)
{
	json_t *a = json_array();

	for (size_t i = 0; i < l->count; i++) {
		const struct limit *lim = &l->items[i];

		json_array_append_new(
			a, json_pack("{s:s, s:o, s:o, s:o, s:f, s:o, s:o, s:b, s:s, s:s}", "name", lim->name,
				     "in_use", number(lim->current_use), "max", number(lim->current_max),
				     "raisable_to", number(lim->raisable_to), "per_vm", lim->per_vm,
				     "vms_now", number(lim->vms_now), "vms_raised", number(lim->vms_raised),
				     "raised", (int)lim->raised, "evidence", lim->evidence, "how", lim->how));
	}
	return a;
}

json_t *limit_raises_json(const struct limit_raises *r)
{
	json_t *a = json_array();

	for (size_t i = 0; i < r->count; i++)
		json_array_append_new(a, json_pack("{s:s, s:o, s:o, s:b, s:s?}", "name", r->items[i].name,
						   "from", number(r->items[i].from), "to",
						   number(r->items[i].to), "took", (int)!r->items[i].failure,
						   "failure", r->items[i].failure));
	return a;
}
