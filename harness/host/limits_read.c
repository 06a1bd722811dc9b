/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <ctype.h>
#include <dirent.h>
#include <math.h>
#include <string.h>

#include "base/fs.h"
#include "host/limits.h"
#include "host/procfs.h"

/* Bits of CapEff, capability.h. */
#define CAP_BIT_SYS_ADMIN 21
#define CAP_BIT_SYS_RESOURCE 24

static const char *const sysctl_paths[SYSCTL_COUNT] = {
	[SYSCTL_PID_MAX] = "/proc/sys/kernel/pid_max",
	[SYSCTL_THREADS_MAX] = "/proc/sys/kernel/threads-max",
	[SYSCTL_FILE_MAX] = "/proc/sys/fs/file-max",
	[SYSCTL_NR_OPEN] = "/proc/sys/fs/nr_open",
	[SYSCTL_PTY_MAX] = "/proc/sys/kernel/pty/max",
	[SYSCTL_MAX_MAP_COUNT] = "/proc/sys/vm/max_map_count",
	[SYSCTL_KEYS] = "/proc/sys/kernel/keys/maxkeys",
	[SYSCTL_KEYS_ROOT] = "/proc/sys/kernel/keys/root_maxkeys",
	[SYSCTL_PIPE_HARD] = "/proc/sys/fs/pipe-user-pages-hard",
};

double limit_value(const char *text)
{
	char *end;

	text += strspn(text, " \t");
	if (str_starts(text, "max") || str_starts(text, "unlimited"))
		return INFINITY;
	if (!isdigit((unsigned char)*text))
		return NAN;
	double v = strtod(text, &end);
	/* v1's "unlimited" is LONG_MAX rounded down to a page; file-max uses LONG_MAX itself */
	return v >= 9.22e18 ? INFINITY : v;
}

void rlimit_parse(const char *text, const char *label, double *soft, double *hard)
{
	const char *line = strstr(text, label);

	*soft = *hard = NAN;
	if (!line)
		return;
	line += strlen(label);
	line += strspn(line, " ");
	*soft = limit_value(line);
	line += strcspn(line, " \n");
	line += strspn(line, " ");
	*hard = limit_value(line);
}

static double slurp_value(const char *root, const char *folder, const char *name)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", folder, name);
	_cleanup_free_ char *text = proc_text(root, path);

	return limit_value(text);
}

static double known(double v)
{
	return isnan(v) ? 0 : v;
}

/* "inactive_file 1234" of memory.stat: page cache that the kernel gives back before it refuses. */
static double inactive_file(const char *root, const char *folder, const char *key)
{
	_cleanup_free_ char *path = xasprintf("%s/memory.stat", folder);
	_cleanup_free_ char *stat = proc_text(root, path);
	_cleanup_free_ char *line = xasprintf("\n%s ", key);
	const char *at = str_starts(stat, line + 1) ? stat : strstr(stat, line);

	return at ? known(limit_value(at + strlen(line) - (at == stat))) : 0;
}

/* "max 3" of pids.events and memory.events; v1 has a file with nothing else. */
static double refusals(const char *root, const char *folder, bool memory, bool v2)
{
	if (memory && !v2)
		return slurp_value(root, folder, "memory.failcnt");
	_cleanup_free_ char *path = xasprintf("%s/%s", folder, memory ? "memory.events" : "pids.events");
	_cleanup_free_ char *text = proc_text(root, path);
	const char *at = str_starts(text, "max ") ? text : strstr(text, "\nmax ");

	return at ? limit_value(strchr(at, ' ')) : NAN;
}

/* One level: notes name/folder when it limits. */
static void note_cgroup(struct limit_raw *r, const char *root, const char *folder, const char *name,
			const char *usage, bool memory)
{
	double max = slurp_value(root, folder, name);

	if (!isfinite(max))
		return;
	double use = known(slurp_value(root, folder, usage));
	if (memory) {
		use -= inactive_file(root, folder,
				     str_eq(usage, "memory.current") ? "inactive_file"
								     : "total_inactive_file");
		use /= 1024;
		max /= 1024;
	}
	struct limit_cgroup c = { .file = xasprintf("%s%s/%s", root, folder, name), .memory = memory };
	c.use = MAX(use, 0);
	c.max = max;
	c.refusals = refusals(root, folder, memory, !str_eq(name, "memory.limit_in_bytes"));
	c.writable = access(c.file, W_OK) == 0;
	r->cgroups = xrealloc(r->cgroups, r->cgroup_count + 1, sizeof(*r->cgroups));
	r->cgroups[r->cgroup_count++] = c;
}

static void walk_cgroups(struct limit_raw *r, const char *root, const char *controller, bool v2)
{
	_cleanup_free_ char *own = proc_text(root, "/proc/self/cgroup");
	_cleanup_free_ char *mounts = proc_text(root, "/proc/self/mountinfo");
	_cleanup_free_ char *top = NULL;
	_cleanup_free_ char *folder = cgroup_folder(own, mounts, v2 ? NULL : controller, &top);
	bool memory = str_eq(controller, "memory");

	if (!folder)
		return;
	for (;;) {
		if (!memory) {
			note_cgroup(r, root, folder, "pids.max", "pids.current", false);
		} else if (v2) {
			note_cgroup(r, root, folder, "memory.max", "memory.current", true);
			note_cgroup(r, root, folder, "memory.high", "memory.current", true);
		} else {
			note_cgroup(r, root, folder, "memory.limit_in_bytes", "memory.usage_in_bytes", true);
		}
		char *slash = strrchr(folder, '/');
		if (strlen(folder) <= strlen(top) || !slash)
			return;
		*slash = '\0';
	}
}

static double count_entries(const char *root, const char *path)
{
	_cleanup_free_ char *full = xasprintf("%s%s", root, path);
	DIR *d = opendir(full);
	double n = 0;

	if (!d)
		return NAN;
	for (struct dirent *e; (e = readdir(d));)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

/* Threads of all processes of that real user. */
static double count_user_tasks(const char *root, long uid)
{
	_cleanup_free_ char *proc = xasprintf("%s/proc", root);
	DIR *d = opendir(proc);
	double n = 0;

	if (!d)
		return NAN;
	for (struct dirent *e; (e = readdir(d));) {
		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		_cleanup_free_ char *path = xasprintf("/proc/%s/status", e->d_name);
		_cleanup_free_ char *status = proc_text(root, path);

		if (proc_number(status, "Uid") == uid)
			n += MAX(1.0, (double)proc_number(status, "Threads"));
	}
	closedir(d);
	return n;
}

static double count_lines(const char *text)
{
	double n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

/* "memory 4 7 1": hierarchy, number of cgroups, enabled. */
static double memory_cgroups(const char *root)
{
	_cleanup_free_ char *text = proc_text(root, "/proc/cgroups");
	const char *line = strstr(text, "\nmemory\t");
	double n;

	return line && sscanf(line + 8, "%*d %lf", &n) == 1 ? n : NAN;
}

/* "  1000:  5 4/4 3/200 62/20000" of /proc/key-users: keys that the user owns, before its maximum. */
static double user_keys(const char *root, long uid)
{
	_cleanup_free_ char *text = proc_text(root, "/proc/key-users");

	char line[128];

	for (const char *rest = text; (rest = str_line(rest, line, sizeof(line)));) {
		long id;
		double n;

		if (sscanf(line, " %ld: %*d %*d/%*d %lf/", &id, &n) == 2 && id == uid)
			return n;
	}
	return NAN;
}

static void read_process(struct limit_raw *r, const char *root)
{
	_cleanup_free_ char *status = proc_text(root, "/proc/self/status");
	_cleanup_free_ char *caps = proc_field(status, "CapEff");
	_cleanup_free_ char *limits = proc_text(root, "/proc/self/limits");
	_cleanup_free_ char *uid_map = proc_text(root, "/proc/self/uid_map");
	_cleanup_free_ char *maps = proc_text(root, "/proc/self/maps");
	unsigned long long bits = caps ? strtoull(caps, NULL, 16) : 0;
	long uid = (long)proc_number(status, "Uid");
	double as_hard;

	/* Capabilities of an inner user namespace do not free of the host's limits. */
	bool first_ns = !uid_map_is_partial(uid_map);
	r->cap_sys_admin = first_ns && (bits >> CAP_BIT_SYS_ADMIN & 1);
	r->cap_sys_resource = first_ns && (bits >> CAP_BIT_SYS_RESOURCE & 1);
	r->uid0 = first_ns && uid == 0;
	rlimit_parse(limits, "Max processes", &r->nproc_soft, &r->nproc_hard);
	rlimit_parse(limits, "Max open files", &r->nofile_soft, &r->nofile_hard);
	rlimit_parse(limits, "Max address space", &r->as_soft, &as_hard);
	r->fds_self = count_entries(root, "/proc/self/fd");
	r->maps_self = *maps ? count_lines(maps) : NAN;
	r->keys_used = user_keys(root, uid);
	r->user_tasks = r->uid0 ? NAN : count_user_tasks(root, uid);
}

/* -1 of a parser is NAN here. */
static double counted(long long v)
{
	return v < 0 ? (double)NAN : (double)v;
}

void limits_read(const char *root, struct limit_raw *r)
{
	_cleanup_free_ char *loadavg = proc_text(root, "/proc/loadavg");
	_cleanup_free_ char *meminfo = proc_text(root, "/proc/meminfo");
	struct loadavg load;
	struct meminfo mem;

	*r = (struct limit_raw){ 0 };
	for (int i = 0; i < SYSCTL_COUNT; i++) {
		_cleanup_free_ char *text = proc_text(root, sysctl_paths[i]);

		r->sysctl[i].file = xasprintf("%s%s", root, sysctl_paths[i]);
		r->sysctl[i].value = limit_value(text);
		r->sysctl[i].writable = access(r->sysctl[i].file, W_OK) == 0;
	}
	parse_meminfo(meminfo, &mem);
	r->mem_total_kb = counted(mem.total);
	r->mem_available_kb = counted(mem.available);
	r->commit_limit_kb = counted(mem.commit_limit);
	r->committed_kb = counted(mem.committed);
	parse_loadavg(loadavg, &load);
	r->tasks = counted(load.tasks);
	r->files_used = slurp_value(root, "/proc/sys/fs", "file-nr");
	r->ptys_used = slurp_value(root, "/proc/sys/kernel/pty", "nr");
	r->overcommit = slurp_value(root, "/proc/sys/vm", "overcommit_memory");
	r->memory_cgroups = memory_cgroups(root);
	read_process(r, root);
	/* v1 and v2 exclude one another for a controller; only the mounted one has the files. */
	for (int v2 = 0; v2 < 2; v2++) {
		walk_cgroups(r, root, "pids", v2);
		walk_cgroups(r, root, "memory", v2);
	}
}

void limit_raw_free(struct limit_raw *r)
{
	for (int i = 0; i < SYSCTL_COUNT; i++)
		free(r->sysctl[i].file);
	for (size_t i = 0; i < r->cgroup_count; i++)
		free(r->cgroups[i].file);
	free(r->cgroups);
	*r = (struct limit_raw){ 0 };
}
