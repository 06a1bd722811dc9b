/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files of /proc, /sys and cgroups: every parser gets every text. Absent is -1 or NAN, and no number is made
 * up. */
#include <math.h>
#include <string.h>

#include "driver.h"
#include "host/cgroup.h"
#include "host/facts.h"
#include "host/limits.h"
#include "host/procfs.h"
#include "measure/iocount.h"
#include "measure/kthreads.h"
#include "measure/nodes.h"
#include "nested/needs.h"

static void counters(const char *text)
{
	struct meminfo m;
	struct cpu_ticks ticks;
	struct vmstat v;
	struct loadavg load;
	long long some = 0, full = 0;

	parse_meminfo(text, &m);
	fuzz_must(m.total >= -1 && m.swap_free >= -1, "a size is below -1");
	fuzz_must(!isinf(meminfo_ram_pct(&m)) && !isinf(meminfo_swap_pct(&m)), "a share is infinite");
	parse_stat(text, &ticks);
	fuzz_must(ticks.busy >= -1 && ticks.total >= -1 && ticks.cpus >= 0, "ticks are below -1");
	parse_vmstat(text, &v);
	parse_loadavg(text, &load);
	fuzz_must(load.tasks >= -1, "%lld tasks", load.tasks);
	parse_pressure(text, &some, &full);
	fuzz_must(some >= -1 && full >= -1, "pressure is below -1");
	fuzz_must(parse_zone_lists(text) >= -1, "%lld pages on lists", parse_zone_lists(text));
	fuzz_must(parse_cgroup_cpu_stat(text) >= -1, "cgroup CPU below -1");
	fuzz_must(parse_schedstat(text) >= -1, "schedstat below -1");
	fuzz_must(cgroup_flat_value(text, "oom_kill") >= -1, "a flat value is below -1");
}

static void processes(const char *text)
{
	struct pid_stat st;
	struct process_memory m;

	if (parse_pid_stat(text, &st)) {
		fuzz_must(strlen(st.comm) < sizeof(st.comm) && st.ticks >= 0 && st.start_time >= 0,
			  "a process has run for %lld", st.ticks);
		kthread_class_of(st.comm);
	}
	parse_smaps_rollup(text, &m);
	fuzz_must(m.rss >= -1 && m.pss >= -1 && m.uss >= -1, "memory is below -1");
	fuzz_must(proc_number(text, "Threads") >= -1, "threads are below -1");
}

static void devices(const char *text)
{
	static const short node_of[4] = { 0, 1, 0, -1 };
	struct strlist names = { 0 };
	struct disk_counters d;
	struct net_counters n;
	struct node_memory m;
	struct node_ticks ticks[NODES_SHOWN];

	strlist_add_words(&names, "sda vda eth0 lo");
	parse_diskstats(text, &names, &d);
	parse_netdev(text, &names, &n);
	fuzz_must(d.operations >= -1 && d.read_bytes >= -1 && n.bytes >= -1, "counters are below -1");
	if (node_memory_parse(text, &m))
		fuzz_must(m.node >= 0 && m.total >= 0, "a node without memory");
	node_ticks_parse(text, node_of, ARRAY_LEN(node_of), ticks);
	strlist_clear(&names);
}

static void host(const char *text)
{
	const char *second = strchr(text, '\n') ? strchr(text, '\n') + 1 : text;
	double soft, hard;
	char *top = NULL;

	rlimit_parse(text, "Max open files", &soft, &hard);
	fuzz_must(isnan(soft) || soft >= 0, "a limit is %g", soft);
	fuzz_must(isnan(limit_value(text)) || limit_value(text) >= 0, "a value is %g", limit_value(text));
	fuzz_must(cpulist_count(text) >= -1, "%ld CPUs", cpulist_count(text));
	_cleanup_free_ char *folder = cgroup_folder(text, second, "pids", &top);
	fuzz_must(!folder || top, "a folder without a top");
	fuzz_must(!folder || str_starts(folder, top), "the folder %s is not below %s", folder, top);
	free(top);
	top = NULL;
	_cleanup_free_ char *unified = cgroup_folder(text, second, NULL, &top);
	_cleanup_free_ char *os = os_release_value(text, "PRETTY_NAME");
	free(setting_chosen(text));
	_cleanup_free_ char *field = proc_field(text, "model name");
	fuzz_must(!os || !strchr(os, '\n'), "a value of several lines");
	free(top);
	(void)unified;
	cgroup_version(text);
	needs_config(text, "CONFIG_ZRAM");
}

static void run(const char *text, size_t len)
{
	(void)len;
	counters(text);
	processes(text);
	devices(text);
	host(text);
}

static const char *const words[] = { "cpu ",	"cpu0 ",     "MemTotal: ", "SwapFree:",
				     "count: ", "some ",     "total=",	   "usage_usec ",
				     "Node 0 ", ")",	     " - cgroup ", " - cgroup2 ",
				     "0::/",	"pids:",     "max",	   "Max open files ",
				     "0-3",	"oom_kill ", "eth0:",	   "sda ",
				     NULL };
static const struct fuzz_shape shapes[] = {
	{ "", "cpu0 1 2 3 4 5 6 7 8\n", "" },
	{ "", "MemTotal: 9223372036854775807 kB\n", "" },
	{ "", "count: 9223372036854775807\n", "" },
	{ "", "   8       0 sda 1 2 3 4 5 6 7 8 9 10 11\n", "" },
	{ "", "some avg10=0.00 total=1\n", "" },
	{ "", "some\n", "total=1" },
	{ "", "0,", "" },
	{ "", "0::/a\n", "" },
	{ "", "a", "" },
	{ "", "(", ")" },
	{ "", "1:pids:/a\n", "1 2 0:3 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n" },
	{ "", "Node 0 MemTotal: 9\n", "" },
	{ "", "[", "" },
	{ "", " - cgroup a", "" },
	{ 0 },
};

const struct fuzz_target fuzz_target = { .name = "procfs", .run = run, .words = words, .shapes = shapes };
