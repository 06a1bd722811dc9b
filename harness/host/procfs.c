/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "host/procfs.h"

#include <ctype.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/util.h"

struct field {
	const char *name;
	size_t offset; /* of a long long */
};

/* Lines "Name<separators>NUMBER" into the fields of that name; the rest stays -1. */
static void parse_fields(const char *text, const struct field *fields, size_t n, void *ret)
{
	for (size_t i = 0; i < n; i++)
		*(long long *)((char *)ret + fields[i].offset) = -1;
	for (const char *line = text; line && *line;) {
		size_t len = strcspn(line, ": \n");

		for (size_t i = 0; i < n; i++) {
			if (strlen(fields[i].name) != len || strncmp(line, fields[i].name, len) != 0)
				continue;
			const char *p = line + len + strspn(line + len, ": ");
			if (isdigit((unsigned char)*p))
				*(long long *)((char *)ret + fields[i].offset) = strtoll(p, NULL, 10);
		}
		line = strchr(line, '\n');
		if (line)
			line++;
	}
}

void parse_meminfo(const char *text, struct meminfo *ret)
{
#define F(name, member)                                \
	{                                              \
		name, offsetof(struct meminfo, member) \
	}
	static const struct field fields[] = {
		F("MemTotal", total),
		F("MemFree", free),
		F("MemAvailable", available),
		F("Buffers", buffers),
		F("Cached", cached),
		F("SwapCached", swap_cached),
		F("Active(file)", active_file),
		F("Inactive(file)", inactive_file),
		F("AnonPages", anon),
		F("Shmem", shmem),
		F("Slab", slab),
		F("SReclaimable", slab_reclaimable),
		F("KReclaimable", kreclaimable),
		F("PageTables", page_tables),
		F("SecPageTables", sec_page_tables),
		F("KernelStack", kernel_stack),
		F("VmallocUsed", vmalloc),
		F("Percpu", percpu),
		F("SwapTotal", swap_total),
		F("SwapFree", swap_free),
		F("CommitLimit", commit_limit),
		F("Committed_AS", committed),
	};
#undef F
	parse_fields(text, fields, ARRAY_LEN(fields), ret);
}

long long parse_zone_lists(const char *text)
{
	long long sum = -1;

	for (const char *at = text; (at = strstr(at, "count:"));) {
		at += strlen("count:");
		sum = add_sat(sum, strtoll(at, NULL, 10));
	}
	return sum;
}

void parse_vmstat(const char *text, struct vmstat *ret)
{
	static const struct field fields[] = {
		{ "pswpin", offsetof(struct vmstat, swap_in) },
		{ "pswpout", offsetof(struct vmstat, swap_out) },
		{ "pgmajfault", offsetof(struct vmstat, majfault) },
	};

	parse_fields(text, fields, ARRAY_LEN(fields), ret);
}

long long ticks_busy(const long long v[8])
{
	return add_sat(add_sat(add_sat(v[0], v[1]), add_sat(v[2], v[5])), v[6]);
}

long long ticks_all(const long long v[8])
{
	return add_sat(ticks_busy(v), add_sat(add_sat(v[3], v[4]), v[7]));
}

void parse_stat(const char *text, struct cpu_ticks *ret)
{
	static const struct field fields[] = { { "ctxt", offsetof(struct cpu_ticks, ctxt) } };
	/* user nice system idle iowait irq softirq steal; guest time is already in user */
	long long v[8] = { 0 };

	parse_fields(text, fields, ARRAY_LEN(fields), ret);
	int n = sscanf(text, "cpu %lld %lld %lld %lld %lld %lld %lld %lld", &v[0], &v[1], &v[2], &v[3], &v[4],
		       &v[5], &v[6], &v[7]);
	ret->cpus = 0;
	for (const char *line = text; (line = strstr(line, "\ncpu")); line += 4)
		ret->cpus += isdigit((unsigned char)line[4]) != 0;
	ret->busy = n < 4 ? -1 : ticks_busy(v);
	ret->steal = n < 8 ? -1 : MAX(v[7], 0LL);
	ret->total = n < 4 ? -1 : ticks_all(v);
}

void parse_loadavg(const char *text, struct loadavg *ret)
{
	long long running;

	*ret = (struct loadavg){ .load1 = NAN, .tasks = -1 };
	if (sscanf(text, "%lf %*f %*f %lld/%lld", &ret->load1, &running, &ret->tasks) < 3 || ret->tasks < 0)
		ret->tasks = -1;
}

void parse_pressure(const char *text, long long *ret_some_us, long long *ret_full_us)
{
	*ret_some_us = *ret_full_us = -1;
	char line[256];

	for (const char *rest = text; (rest = str_line(rest, line, sizeof(line)));) {
		const char *total = strstr(line, "total=");

		if (total && strncmp(line, "some", 4) == 0)
			*ret_some_us = MAX(strtoll(total + 6, NULL, 10), -1LL);
		if (total && strncmp(line, "full", 4) == 0)
			*ret_full_us = MAX(strtoll(total + 6, NULL, 10), -1LL);
	}
}

bool parse_pid_stat(const char *text, struct pid_stat *ret)
{
	const char *open = strchr(text, '('), *close = strrchr(text, ')');
	long long utime, stime;
	int ppid;

	if (!open || !close || close < open)
		return false;
	snprintf(ret->comm, sizeof(ret->comm), "%.*s", (int)(close - open - 1), open + 1);
	/* after the name: state ppid pgrp session tty tpgid flags minflt cminflt majflt cmajflt utime stime
	   cutime cstime priority nice threads itrealvalue starttime */
	int n = sscanf(close + 1,
		       " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lld %lld %*d %*d %*d %*d %lld %*d %lld",
		       &ret->state, &ppid, &utime, &stime, &ret->threads, &ret->start_time);
	if (n != 6 || ret->start_time < 0 || ret->threads < 0)
		return false;
	ret->ppid = ppid;
	ret->ticks = add_sat(utime, stime);
	return true;
}

void parse_smaps_rollup(const char *text, struct process_memory *ret)
{
	struct {
		long long rss, pss, clean, dirty;
	} v;
	static const struct field fields[] = { { "Rss", 0 },
					       { "Pss", sizeof(long long) },
					       { "Private_Clean", 2 * sizeof(long long) },
					       { "Private_Dirty", 3 * sizeof(long long) } };

	parse_fields(text, fields, ARRAY_LEN(fields), &v);
	ret->rss = v.rss;
	ret->pss = v.pss;
	ret->uss = v.clean < 0 || v.dirty < 0 ? -1 : add_sat(v.clean, v.dirty);
}

long long parse_schedstat(const char *text)
{
	return isdigit((unsigned char)*text) ? strtoll(text, NULL, 10) : -1;
}

long long parse_cgroup_cpu_stat(const char *text)
{
	static const struct field fields[] = { { "usage_usec", 0 } };
	long long usec;

	parse_fields(text, fields, ARRAY_LEN(fields), &usec);
	return usec < 0 ? -1 : mul_sat(usec, 1000);
}

double meminfo_ram_pct(const struct meminfo *m)
{
	if (m->total <= 0 || m->available < 0)
		return NAN;
	return 100.0 * (double)(m->total - m->available) / (double)m->total;
}

double meminfo_swap_pct(const struct meminfo *m)
{
	if (m->swap_total < 0 || m->swap_free < 0)
		return NAN;
	return m->swap_total == 0 ? 0
				  : 100.0 * (double)(m->swap_total - m->swap_free) / (double)m->swap_total;
}

/* The text of root/path, "" when it cannot be read. NUL bytes (environ) become newlines. */
char *proc_text(const char *root, const char *path)
{
	_cleanup_free_ char *full = xasprintf("%s%s", root, path);
	char *text = NULL;
	size_t len = 0;
	_cleanup_err_ error *e = fs_read(full, &text, &len);

	if (e)
		return xstrdup("");
	for (size_t i = 0; i < len; i++)
		if (!text[i])
			text[i] = '\n';
	return text;
}

static const char *next_line(const char *line)
{
	const char *end = strchr(line, '\n');

	return end ? end + 1 : NULL;
}

char *proc_field(const char *text, const char *key)
{
	size_t n = strlen(key);

	for (const char *line = text; line && *line; line = next_line(line)) {
		if (strncmp(line, key, n) != 0)
			continue;
		const char *p = line + n + strspn(line + n, " \t");
		if (*p != ':')
			continue;
		p += 1 + strspn(p + 1, " \t");
		return xasprintf("%.*s", (int)(strcspn(p, "\n")), p);
	}
	return NULL;
}

long long proc_number(const char *text, const char *key)
{
	_cleanup_free_ char *v = proc_field(text, key);

	if (!v || !isdigit((unsigned char)*v))
		return -1;
	return strtoll(v, NULL, 10);
}

char *os_release_value(const char *text, const char *key)
{
	size_t n = strlen(key);

	for (const char *line = text; line && *line; line = next_line(line)) {
		if (strncmp(line, key, n) != 0 || line[n] != '=')
			continue;
		const char *v = line + n + 1;
		if (*v == '"' || *v == '\'')
			return xasprintf("%.*s", (int)(strcspn(v + 1, *v == '"' ? "\"\n" : "'\n")), v + 1);
		return xasprintf("%.*s", (int)(strcspn(v, "\n")), v);
	}
	return NULL;
}

const char *cgroup_version(const char *mountinfo)
{
	bool v1 = strstr(mountinfo, " - cgroup ") != NULL;
	bool v2 = strstr(mountinfo, " - cgroup2 ") != NULL;

	if (v1 && v2)
		return "hybrid";
	return v1 ? "1" : v2 ? "2" : "";
}

/* Field number n (from 0) of a blank-separated line, up to `end`; the caller frees it. */
static char *word_at(const char *line, const char *end, int n)
{
	for (const char *p = line; p < end;) {
		size_t len = strcspn(p, " \n");

		if (n-- == 0)
			return xasprintf("%.*s", (int)(len), p);
		p += len + strspn(p + len, " ");
	}
	return NULL;
}

/* Whether the comma-separated words before `end` contain `word`. */
static bool has_option(const char *list, const char *end, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = list; p < end; p += strcspn(p, ",\n") + 1)
		if (strncmp(p, word, n) == 0 && (p[n] == ',' || p + n >= end))
			return true;
	return false;
}

char *cgroup_of(const char *self_cgroup, const char *controller)
{
	for (const char *line = self_cgroup; *line;) {
		const char *end = line + strcspn(line, "\n");
		const char *list = memchr(line, ':', (size_t)(end - line));
		const char *path = list ? memchr(list + 1, ':', (size_t)(end - list - 1)) : NULL;

		if (path && (controller ? has_option(list + 1, path, controller) : path == list + 1))
			return xasprintf("%.*s", (int)(end - path - 1), path + 1);
		line = *end ? end + 1 : end;
	}
	return NULL;
}

/* Mount point and mounted root of a hierarchy: fields 4 and 3 of mountinfo's line. */
static bool cgroup_mount(const char *mountinfo, const char *controller, char **point, char **top)
{
	const char *type = controller ? " - cgroup " : " - cgroup2 ";

	for (const char *line = mountinfo; *line;) {
		const char *end = line + strcspn(line, "\n");
		const char *sep = memmem(line, (size_t)(end - line), type, strlen(type));
		const char *options = sep ? memrchr(sep, ' ', (size_t)(end - sep)) : NULL;

		if (options && (!controller || has_option(options + 1, end, controller))) {
			*top = word_at(line, end, 3);
			*point = word_at(line, end, 4);
			return *top && *point;
		}
		line = *end ? end + 1 : end;
	}
	return false;
}

char *cgroup_folder(const char *self_cgroup, const char *mountinfo, const char *controller, char **ret_top)
{
	_cleanup_free_ char *own = cgroup_of(self_cgroup, controller);
	_cleanup_free_ char *point = NULL, *top = NULL;

	if (!own || !cgroup_mount(mountinfo, controller, &point, &top))
		return NULL;
	/* A bind mount (container) shows only what is below `top`; what is not below it is unseen. */
	size_t n = str_eq(top, "/") ? 0 : strlen(top);
	bool below = strncmp(own, top, n) == 0 && own[n] == '/' && own[n + 1] && !strstr(own + n, "/..");
	char *folder = xasprintf("%s%s", point, below ? own + n : "");
	*ret_top = STEAL(point);
	return folder;
}

bool uid_map_is_partial(const char *text)
{
	unsigned long inside, outside, count;

	return *text && (sscanf(text, "%lu %lu %lu", &inside, &outside, &count) != 3 || inside || outside ||
			 count != 4294967295UL);
}
