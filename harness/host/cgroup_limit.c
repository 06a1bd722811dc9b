/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Limits of the population's cgroup: set, and read back whether they were met. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "host/cgroup.h"
#include "host/undo.h"

#define CPU_PERIOD_US 100000

static const char *const controllers[CGROUP_CONTROLLERS] = { "cpu", "memory", "pids" };

error *cgroup_limits_parse(const char *cpu, const char *mem, const char *pids, long cores,
			   struct cgroup_limits *ret)
{
	size_t n = cpu ? strlen(cpu) : 0;
	_cleanup_free_ char *number = xstrdup(cpu ? cpu : "");
	bool percent = n && cpu[n - 1] == '%';
	double v = 0;
	long count = 0;

	*ret = (struct cgroup_limits){ 0 };
	if (percent)
		number[n - 1] = '\0';
	if (cpu && !parse_double(number, 0.01, percent ? 100 : 100000, &v))
		return err_new(
			EXIT_BAD_INPUT,
			"--cgroup-cpu %s: needs cores from 0.01 to 100000 (1.5), or a share of the host from 0.01 to 100 (50%%)",
			cpu);
	ret->cores = percent ? v / 100 * (double)cores : v;
	if (mem && (!parse_bytes(mem, &ret->mem_bytes) || ret->mem_bytes < (1 << 20)))
		return err_new(EXIT_BAD_INPUT, "--cgroup-mem %s: needs a size of at least 1M, such as 4G",
			       mem);
	if (pids && !parse_long(pids, 1, 4194304, &count))
		return err_new(EXIT_BAD_INPUT, "--cgroup-pids %s: needs a whole number from 1 to 4194304",
			       pids);
	ret->pids = count;
	return NULL;
}

bool cgroup_limits_any(const struct cgroup_limits *l)
{
	return l->cores > 0 || l->mem_bytes > 0 || l->pids > 0;
}

long long cgroup_flat_value(const char *text, const char *key)
{
	size_t n = strlen(key);

	for (const char *p = text; p && *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL)
		if (strncmp(p, key, n) == 0 && p[n] == ' ')
			return MAX(strtoll(p + n + 1, NULL, 10), -1LL);
	return -1;
}

/* The folder of ours under a controller; for v2 the same for all. The caller frees it. */
static char *folder_of(const struct cgroup *c, enum cgroup_controller k)
{
	return c->version == 2 ? xstrdup(c->path)
			       : xasprintf("%.*s/%s%s", (int)(strrchr(c->mount, '/') - c->mount), c->mount,
					   controllers[k], cgroup_relative(c));
}

static error *set_file(const char *folder, const char *file, const char *value)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", folder, file);

	return setting_write(path, value);
}

/* v2: the parent hands controllers down; one that it did not is taken back at the end. */
static error *hand_down(const struct cgroup *c, enum cgroup_controller k, struct settings *settings)
{
	_cleanup_free_ char *parent = xasprintf("%.*s", (int)(strrchr(c->path, '/') - c->path), c->path);

	return settings_hand_down(settings, parent, controllers[k]);
}

/* v1: our folder below that controller, which a VM has to join as well. */
static error *join_controller(struct cgroup *c, const char *folder, struct settings *settings)
{
	_cleanup_free_ char *procs = xasprintf("%s/cgroup.procs", folder);
	error *e = settings_note_cgroup(settings, folder);

	if (e)
		return e;
	if ((e = cgroup_mkdir(folder, c->path)) || (e = settings_note_made(settings, folder)))
		return e;
	int fd = open(procs, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(EXIT_CANNOT, errno, "cannot use cgroup %s", folder);
	c->more_fds[c->more++] = fd;
	return NULL;
}

static error *apply(const struct cgroup *c, enum cgroup_controller k, const struct cgroup_limits *l,
		    const char *folder)
{
	char value[64];
	error *e;

	if (k == CGROUP_PIDS) {
		snprintf(value, sizeof(value), "%ld", l->pids);
		return set_file(folder, "pids.max", value);
	}
	if (k == CGROUP_MEMORY) {
		snprintf(value, sizeof(value), "%.0f", l->mem_bytes);
		return set_file(folder, c->version == 2 ? "memory.max" : "memory.limit_in_bytes", value);
	}
	if (c->version == 2) {
		snprintf(value, sizeof(value), "%.0f %d", l->cores * CPU_PERIOD_US, CPU_PERIOD_US);
		return set_file(folder, "cpu.max", value);
	}
	snprintf(value, sizeof(value), "%d", CPU_PERIOD_US);
	if ((e = set_file(folder, "cpu.cfs_period_us", value)))
		return e;
	snprintf(value, sizeof(value), "%.0f", l->cores * CPU_PERIOD_US);
	return set_file(folder, "cpu.cfs_quota_us", value);
}

static error *confine_one(struct cgroup *c, enum cgroup_controller k, bool limited, struct settings *settings)
{
	_cleanup_free_ char *folder = folder_of(c, k);
	error *e = c->version == 2 ? hand_down(c, k, settings) : join_controller(c, folder, settings);

	return e || !limited ? e : apply(c, k, &c->limits, folder);
}

/* Where there are such files they are read, whoever had the controller switched on. */
static void open_counters(struct cgroup *c)
{
	static const char *const files[CGROUP_CONTROLLERS][2] = {
		[CGROUP_MEMORY] = { "memory.usage_in_bytes", "memory.current" },
		[CGROUP_PIDS] = { "pids.current", "pids.current" },
	};

	for (int k = CGROUP_MEMORY; k < CGROUP_CONTROLLERS; k++) {
		_cleanup_free_ char *folder = folder_of(c, (enum cgroup_controller)k);
		_cleanup_free_ char *path = xasprintf("%s/%s", folder, files[k][c->version == 2]);

		c->count_fds[k] = open(path, O_RDONLY | O_CLOEXEC);
	}
}

error *cgroup_confine(struct cgroup *c, const struct cgroup_limits *l, bool count, struct settings *settings,
		      struct strlist *said)
{
	const bool limited[CGROUP_CONTROLLERS] = { l->cores > 0, l->mem_bytes > 0, l->pids > 0 };

	if (!c->path)
		return err_new(EXIT_CANNOT,
			       "--cgroup and --cgroup-*: no cgroup can be made here to hold the VMs");
	c->limits = *l;
	c->counted = count;
	for (int k = 0; k < CGROUP_CONTROLLERS; k++) {
		if (!limited[k] && (!count || k == CGROUP_CPU))
			continue;
		error *e = confine_one(c, (enum cgroup_controller)k, limited[k], settings);
		if (e && limited[k]) {
			e->code = EXIT_CANNOT;
			return err_wrap(e, "cgroup limit on %s", controllers[k]);
		}
		if (e)
			strlist_addf(said, "the VMs' %s cannot be counted: %s",
				     k == CGROUP_MEMORY ? "memory" : "tasks", e->msg);
		err_free(e);
	}
	open_counters(c);
	return NULL;
}

static long long read_count(int fd)
{
	char text[64];
	ssize_t n = fd < 0 ? -1 : pread(fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return -1;
	text[n] = '\0';
	return strtoll(text, NULL, 10);
}

long long cgroup_mem_bytes(const struct cgroup *c)
{
	return read_count(c->count_fds[CGROUP_MEMORY]);
}

long long cgroup_tasks(const struct cgroup *c)
{
	return read_count(c->count_fds[CGROUP_PIDS]);
}

static long long read_value(const char *folder, const char *file, const char *key)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", folder, file), *text = NULL;
	error *e = fs_read(path, &text, NULL);
	bool there = !e;

	err_free(e);
	return !there ? -1 : key ? cgroup_flat_value(text, key) : strtoll(text, NULL, 10);
}

void cgroup_read_hits(const struct cgroup *c, struct cgroup_hits *ret)
{
	bool v2 = c->version == 2;
	_cleanup_free_ char *cpu = folder_of(c, CGROUP_CPU), *mem = folder_of(c, CGROUP_MEMORY);
	_cleanup_free_ char *pids = folder_of(c, CGROUP_PIDS);

	*ret = (struct cgroup_hits){ -1, -1, -1, -1, -1, -1 };
	if (c->limits.cores > 0) {
		long long t = read_value(cpu, "cpu.stat", v2 ? "throttled_usec" : "throttled_time");
		ret->throttled_ms = t < 0 ? -1 : t / (v2 ? 1000 : 1000000);
	}
	if (c->limits.pids > 0) {
		ret->refused_pids = read_value(pids, "pids.events", "max");
		ret->pids = read_value(pids, "pids.current", NULL);
	}
	if (c->limits.mem_bytes > 0 || c->counted) {
		long long cache =
			read_value(mem, "memory.stat", v2 ? "inactive_file" : "total_inactive_file");

		ret->oom_kills = read_value(mem, v2 ? "memory.events" : "memory.oom_control", "oom_kill");
		ret->mem_bytes = read_value(mem, v2 ? "memory.current" : "memory.usage_in_bytes", NULL);
		ret->mem_peak_bytes = read_value(mem, v2 ? "memory.peak" : "memory.max_usage_in_bytes", NULL);
		/* page cache that can be dropped is no reason to stop */
		ret->mem_bytes -= MIN(MAX(cache, 0LL), MAX(ret->mem_bytes, 0LL));
	}
}
