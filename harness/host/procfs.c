/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "host/procfs.h"

#include <ctype.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
