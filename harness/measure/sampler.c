/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "measure/sampler.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/fs.h"
#include "base/util.h"
#include "measure/iocount.h"
#include "measure/kthreads.h"

enum source {
	SRC_STAT,
	SRC_MEMINFO,
	SRC_LOADAVG,
	SRC_VMSTAT,
	SRC_ZONEINFO,
	SRC_PSI_CPU,
	SRC_PSI_MEM,
	SRC_PSI_IO,
	SRC_STATM,
	SRC_DISKSTATS,
	SRC_NETDEV,
	SRC_KSM_SHARED,
	SRC_KSM_SHARING,
	SRC_KSM_UNSHARED,
	SRC_KSM_SCANS,
	SRC_COUNT
};

static const char *const source_paths[SRC_COUNT] = {
	[SRC_STAT] = "/proc/stat",
	[SRC_MEMINFO] = "/proc/meminfo",
	[SRC_LOADAVG] = "/proc/loadavg",
	[SRC_VMSTAT] = "/proc/vmstat",
	[SRC_ZONEINFO] = "/proc/zoneinfo",
	[SRC_PSI_CPU] = "/proc/pressure/cpu",
	[SRC_PSI_MEM] = "/proc/pressure/memory",
	[SRC_PSI_IO] = "/proc/pressure/io",
	[SRC_STATM] = "/proc/self/statm",
	[SRC_DISKSTATS] = "/proc/diskstats",
	[SRC_NETDEV] = "/proc/net/dev",
	[SRC_KSM_SHARED] = "/sys/kernel/mm/ksm/pages_shared",
	[SRC_KSM_SHARING] = "/sys/kernel/mm/ksm/pages_sharing",
	[SRC_KSM_UNSHARED] = "/sys/kernel/mm/ksm/pages_unshared",
	[SRC_KSM_SCANS] = "/sys/kernel/mm/ksm/full_scans",
};

/* Counters since boot; a sample's rates are their differences. */
struct counters {
	uint64_t at_ns;
	long long cpu_ns, guests_ns, harness_ns, kthread_ns[KTHREAD_CLASSES];
	struct cpu_ticks ticks;
	struct vmstat vm;
	long long psi_cpu, psi_mem, psi_mem_full, psi_io;
	struct disk_counters disk;
	struct net_counters net;
};

struct sampler {
	int fd[SRC_COUNT];
	int host_usage_fd;
	const struct cgroup *population;
	struct kthreads *kthreads;
	struct counters last;
	bool have_last;
	struct meminfo mem;
	long hz, cores, page_kb;
	pid_t pids[SAMPLER_PSS_VMS];
	size_t pid_count, population_size;
	double rss_kb, pss_kb, uss_kb;
	struct strlist disks, interfaces;
	double disk_mb_s, net_mb_s; /* capacities, 0: not known */
	char *buf;
};

#define BUF_SIZE 65536

/* NUL-terminated content, "" when the file is missing on this kernel. */
static const char *read_source(struct sampler *s, enum source src)
{
	fs_pread_text(s->fd[src], s->buf, BUF_SIZE);
	return s->buf;
}

static const char *read_path(struct sampler *s, const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	fs_pread_text(fd, s->buf, BUF_SIZE);
	return s->buf;
}

error *sampler_open(const struct cgroup *population, struct sampler **ret)
{
	struct sampler *s = xcalloc(1, sizeof(*s));

	s->buf = xcalloc(BUF_SIZE, 1);
	s->population = population && population->path ? population : NULL;
	s->hz = sysconf(_SC_CLK_TCK);
	s->cores = sysconf(_SC_NPROCESSORS_ONLN);
	s->page_kb = sysconf(_SC_PAGESIZE) / 1024;
	s->rss_kb = s->pss_kb = s->uss_kb = NAN;
	s->host_usage_fd = -1;
	for (int i = 0; i < SRC_COUNT; i++)
		s->fd[i] = open(source_paths[i], O_RDONLY | O_CLOEXEC);
	parse_meminfo(read_source(s, SRC_MEMINFO), &s->mem);
	if (fault_hit(FAULT_PROC_FIELDS))
		s->mem.available = -1;
	parse_stat(read_source(s, SRC_STAT), &s->last.ticks);
	bool no_memory = isnan(meminfo_ram_pct(&s->mem));
	if (no_memory || s->last.ticks.total < 0) {
		sampler_close(s);
		return err_new(
			EXIT_CANNOT,
			"this kernel's %s, without which nothing can be measured; Linux 3.14 or later with /proc mounted is needed",
			no_memory ? "/proc/meminfo has no MemTotal or MemAvailable"
				  : "/proc/stat has no cpu line");
	}
	s->host_usage_fd = cgroup_open_host_usage(s->last.ticks.busy, s->hz);
	s->kthreads = kthreads_open();
	devices_disks(&s->disks);
	devices_interfaces(&s->interfaces);
	*ret = s;
	return NULL;
}

void sampler_close(struct sampler *s)
{
	if (!s)
		return;
	for (int i = 0; i < SRC_COUNT; i++)
		if (s->fd[i] >= 0)
			close(s->fd[i]);
	if (s->host_usage_fd >= 0)
		close(s->host_usage_fd);
	kthreads_close(s->kthreads);
	strlist_clear(&s->disks);
	strlist_clear(&s->interfaces);
	free(s->buf);
	free(s);
}

static double read_number(struct sampler *s, enum source src)
{
	const char *text = read_source(s, src);

	return *text ? strtod(text, NULL) : (double)NAN;
}

void sampler_new_interval(struct sampler *s, const pid_t *pids, size_t n, size_t population)
{
	double rss = 0, pss = 0, uss = 0;
	size_t got = 0;

	s->pid_count = MIN(n, (size_t)SAMPLER_PSS_VMS);
	s->population_size = population;
	memcpy(s->pids, pids, s->pid_count * sizeof(*pids));
	for (size_t i = 0; i < s->pid_count; i++) {
		char path[64];
		struct process_memory m;

		snprintf(path, sizeof(path), "/proc/%d/smaps_rollup",
			 fault_hit(FAULT_PID_VANISHED) ? -1 : pids[i]);
		parse_smaps_rollup(read_path(s, path), &m);
		if (m.rss < 0 || m.pss < 0 || m.uss < 0)
			continue; /* gone since it was chosen, or not ours to read */
		rss += (double)m.rss;
		pss += (double)m.pss;
		uss += (double)m.uss;
		got++;
	}
	s->rss_kb = got ? rss / (double)got : (double)NAN;
	s->pss_kb = got ? pss / (double)got : (double)NAN;
	s->uss_kb = got ? uss / (double)got : (double)NAN;
	s->last.guests_ns = -1; /* another set of processes: its sum is not comparable with the last */
}

/* Without a cgroup: CPU of the chosen processes, scaled to the population. */
static long long sampled_guest_ns(struct sampler *s)
{
	long long sum = 0;
	size_t got = 0;

	if (!s->population_size)
		return 0;
	for (size_t i = 0; i < s->pid_count; i++) {
		char path[64];
		struct pid_stat st;

		snprintf(path, sizeof(path), "/proc/%d/stat", s->pids[i]);
		if (!parse_pid_stat(read_path(s, path), &st))
			return -1;
		sum += st.ticks * (1000000000LL / s->hz);
		got++;
	}
	return got ? (long long)((double)sum * (double)s->population_size / (double)got) : -1;
}

static long long host_cpu_ns(struct sampler *s, const struct counters *c)
{
	if (s->host_usage_fd >= 0) {
		fs_pread_text(s->host_usage_fd, s->buf, BUF_SIZE);
		return parse_schedstat(s->buf);
	}
	return c->ticks.busy < 0 ? -1 : c->ticks.busy * (1000000000LL / s->hz);
}

static void read_counters(struct sampler *s, struct counters *c)
{
	long long ignored;

	parse_stat(read_source(s, SRC_STAT), &c->ticks);
	c->at_ns = clock_ns();
	c->cpu_ns = host_cpu_ns(s, c);
	c->guests_ns = s->population ? cgroup_cpu_ns(s->population) : sampled_guest_ns(s);
	c->harness_ns = (long long)clock_cpu_ns();
	kthreads_read(s->kthreads, c->kthread_ns);
	parse_vmstat(read_source(s, SRC_VMSTAT), &c->vm);
	parse_pressure(read_source(s, SRC_PSI_CPU), &c->psi_cpu, &ignored);
	parse_pressure(read_source(s, SRC_PSI_MEM), &c->psi_mem, &c->psi_mem_full);
	parse_pressure(read_source(s, SRC_PSI_IO), &c->psi_io, &ignored);
	parse_diskstats(read_source(s, SRC_DISKSTATS), &s->disks, &c->disk);
	parse_netdev(read_source(s, SRC_NETDEV), &s->interfaces, &c->net);
}

/* Difference of a counter, scaled; NAN where either end is missing, NAN and a flag where it ran backward. */
static double delta(long long now, long long before, double scale, bool *backward)
{
	if (now < 0 || before < 0)
		return NAN;
	if (now < before) {
		*backward = true;
		return NAN;
	}
	return (double)(now - before) * scale;
}

static void fill_cpu(const struct sampler *s, const struct counters *a, const struct counters *b,
		     struct sample *r)
{
	static const enum metric of_class[KTHREAD_CLASSES] = {
		[KTHREAD_KSMD] = METRIC_CPU_KSMD,
		[KTHREAD_KDAMOND] = METRIC_CPU_KDAMOND,
		[KTHREAD_KSWAPD] = METRIC_CPU_KSWAPD,
		[KTHREAD_KCOMPACTD] = METRIC_CPU_KCOMPACTD,
		[KTHREAD_KHUGEPAGED] = METRIC_CPU_KHUGEPAGED,
		[KTHREAD_OTHER] = METRIC_CPU_KOTHER,
	};
	double span_ns = (double)(b->at_ns - a->at_ns) * (double)s->cores;
	double pct = 100.0 / span_ns, known = 0;
	double ticks = 100.0 * (1e9 / (double)s->hz) / span_ns;

	r->v[METRIC_CPU] = delta(b->cpu_ns, a->cpu_ns, pct, &r->backward);
	r->v[METRIC_CPU_STAT] = delta(b->ticks.busy, a->ticks.busy, ticks, &r->backward);
	r->v[METRIC_STEAL] = delta(b->ticks.steal, a->ticks.steal, ticks, &r->backward);
	r->v[METRIC_CPU_GUESTS] = delta(b->guests_ns, a->guests_ns, pct, &r->backward);
	r->v[METRIC_CPU_HARNESS] = delta(b->harness_ns, a->harness_ns, pct, &r->backward);
	known = r->v[METRIC_CPU_GUESTS] + r->v[METRIC_CPU_HARNESS];
	for (int i = 0; i < KTHREAD_CLASSES; i++) {
		r->v[of_class[i]] = delta(b->kthread_ns[i], a->kthread_ns[i], pct, &r->backward);
		if (!isnan(r->v[of_class[i]]))
			known += r->v[of_class[i]];
	}
	/* Readings a few microseconds apart can leave a rest below zero; it is shown as it is, not clamped.
	 */
	r->v[METRIC_CPU_REST] = r->v[METRIC_CPU] - known;
}

static void fill_rates(const struct counters *a, const struct counters *b, struct sample *r)
{
	double per_s = 1 / r->window_s, psi = 100 / (r->window_s * 1e6);

	r->v[METRIC_CTXT] = delta(b->ticks.ctxt, a->ticks.ctxt, per_s, &r->backward);
	r->v[METRIC_SWAP_IN] = delta(b->vm.swap_in, a->vm.swap_in, per_s, &r->backward);
	r->v[METRIC_SWAP_OUT] = delta(b->vm.swap_out, a->vm.swap_out, per_s, &r->backward);
	r->v[METRIC_MAJFAULT] = delta(b->vm.majfault, a->vm.majfault, per_s, &r->backward);
	r->v[METRIC_PSI_CPU] = delta(b->psi_cpu, a->psi_cpu, psi, &r->backward);
	r->v[METRIC_PSI_MEM] = delta(b->psi_mem, a->psi_mem, psi, &r->backward);
	r->v[METRIC_PSI_MEM_FULL] = delta(b->psi_mem_full, a->psi_mem_full, psi, &r->backward);
	r->v[METRIC_PSI_IO] = delta(b->psi_io, a->psi_io, psi, &r->backward);
}

static double of_capacity(double mb_s, double capacity)
{
	return capacity > 0 ? 100 * mb_s / capacity : (double)NAN;
}

static void fill_devices(const struct sampler *s, const struct counters *a, const struct counters *b,
			 struct sample *r)
{
	double per_s = 1 / r->window_s, mb = per_s / 1e6;

	r->v[METRIC_DISK_READ] = delta(b->disk.read_bytes, a->disk.read_bytes, mb, &r->backward);
	r->v[METRIC_DISK_WRITE] = delta(b->disk.written_bytes, a->disk.written_bytes, mb, &r->backward);
	r->v[METRIC_DISK_IO] = delta(b->disk.operations, a->disk.operations, per_s, &r->backward);
	r->v[METRIC_NET_MB] = delta(b->net.bytes, a->net.bytes, mb, &r->backward);
	r->v[METRIC_NET_PACKETS] = delta(b->net.packets, a->net.packets, per_s, &r->backward);
	r->v[METRIC_DISK] = of_capacity(r->v[METRIC_DISK_READ] + r->v[METRIC_DISK_WRITE], s->disk_mb_s);
	r->v[METRIC_NET] = of_capacity(r->v[METRIC_NET_MB], s->net_mb_s);
}

/* Shares of a host that had other CPUs half of the time mean nothing; from the next sample on they do. */
static void notice_hotplug(struct sampler *s, const struct counters *a, const struct counters *b,
			   struct sample *r)
{
	if (a->ticks.cpus == b->ticks.cpus)
		return;
	r->backward = true;
	s->cores = sysconf(_SC_NPROCESSORS_ONLN);
}

static double kb(long long v)
{
	return v < 0 ? (double)NAN : (double)v;
}

/*
 * Freed pages stay with the CPU that freed them for seconds, up to an eighth of a zone (Linux 6.7 and later),
 * and count neither as free nor as available meanwhile: without them, a run after another seems to get its
 * first VMs for nothing. The file has a block per zone; on a large host it takes several reads, which end
 * between blocks.
 */
static double zone_lists_kb(struct sampler *s)
{
	long long pages = -1;
	off_t at = 0;
	ssize_t n;

	while (s->fd[SRC_ZONEINFO] >= 0 && (n = pread(s->fd[SRC_ZONEINFO], s->buf, BUF_SIZE - 1, at)) > 0) {
		s->buf[n] = '\0';
		/* a line that is cut is read again */
		char *end = strrchr(s->buf, '\n');
		if (!end)
			break;
		end[1] = '\0';
		at += end + 1 - s->buf;
		long long more = parse_zone_lists(s->buf);
		pages = more < 0 ? pages : MAX(pages, 0LL) + more;
	}
	return pages < 0 ? (double)NAN : (double)(pages * s->page_kb);
}

static void fill_memory(struct sampler *s, struct sample *r)
{
	const struct meminfo *m = &s->mem;

	parse_meminfo(read_source(s, SRC_MEMINFO), &s->mem);
	r->v[METRIC_RAM] = meminfo_ram_pct(m);
	r->v[METRIC_SWAP] = meminfo_swap_pct(m);
	r->v[METRIC_MEM_AVAILABLE] = kb(m->available);
	r->v[METRIC_MEM_FREE] = kb(m->free);
	r->v[METRIC_MEM_LISTS] = zone_lists_kb(s);
	r->v[METRIC_FILE_CACHE] = kb(m->active_file) + kb(m->inactive_file);
	r->v[METRIC_ANON] = kb(m->anon);
	r->v[METRIC_SHMEM] = kb(m->shmem);
	r->v[METRIC_SLAB] = kb(m->slab);
	r->v[METRIC_SLAB_RECLAIMABLE] = kb(m->slab_reclaimable);
	r->v[METRIC_PAGE_TABLES] = kb(m->page_tables);
	r->v[METRIC_SEC_PAGE_TABLES] = kb(m->sec_page_tables);
	r->v[METRIC_KERNEL_STACK] = kb(m->kernel_stack);
	r->v[METRIC_VMALLOC] = kb(m->vmalloc);
	r->v[METRIC_PERCPU] = kb(m->percpu);
	r->v[METRIC_SWAP_USED] = kb(m->swap_total) - kb(m->swap_free);
}

void sampler_take(struct sampler *s, struct sample *ret)
{
	uint64_t cost = clock_cpu_ns();
	struct counters now;
	struct loadavg load;

	*ret = (struct sample){ 0 };
	for (int i = 0; i < METRIC_COUNT; i++)
		ret->v[i] = NAN;
	read_counters(s, &now);
	ret->at_ns = now.at_ns;
	fill_memory(s, ret);
	if (s->have_last && now.at_ns > s->last.at_ns) {
		ret->window_s = (double)(now.at_ns - s->last.at_ns) / 1e9;
		fill_cpu(s, &s->last, &now, ret);
		fill_rates(&s->last, &now, ret);
		fill_devices(s, &s->last, &now, ret);
		notice_hotplug(s, &s->last, &now, ret);
	}
	s->last = now;
	s->have_last = true;
	parse_loadavg(read_source(s, SRC_LOADAVG), &load);
	ret->v[METRIC_LOAD1] = load.load1;
	ret->v[METRIC_TASKS] = kb(load.tasks);
	ret->v[METRIC_KSM_SHARED] = read_number(s, SRC_KSM_SHARED);
	ret->v[METRIC_KSM_SHARING] = read_number(s, SRC_KSM_SHARING);
	ret->v[METRIC_KSM_UNSHARED] = read_number(s, SRC_KSM_UNSHARED);
	ret->v[METRIC_KSM_SCANS] = read_number(s, SRC_KSM_SCANS);
	ret->v[METRIC_GUEST_RSS] = s->rss_kb;
	ret->v[METRIC_GUEST_PSS] = s->pss_kb;
	ret->v[METRIC_GUEST_USS] = s->uss_kb;
	if (s->population) {
		long long bytes = cgroup_mem_bytes(s->population);

		ret->v[METRIC_CGROUP_MEM] = bytes < 0 ? (double)NAN : (double)bytes / 1024;
		ret->v[METRIC_CGROUP_TASKS] = kb(cgroup_tasks(s->population));
	}
	long long pages = -1;
	if (sscanf(read_source(s, SRC_STATM), "%*d %lld", &pages) == 1)
		ret->v[METRIC_HARNESS_RSS] = (double)(pages * s->page_kb);
	ret->v[METRIC_SAMPLE_COST] = (double)(clock_cpu_ns() - cost) / 1e3;
}

void sampler_set_capacity(struct sampler *s, double disk_mb_s, double net_mb_s)
{
	s->disk_mb_s = disk_mb_s;
	s->net_mb_s = net_mb_s;
}

const char *sampler_cpu_source(const struct sampler *s)
{
	return s->host_usage_fd >= 0 ? "root cgroup cpuacct.usage (nanoseconds on a CPU, all tasks)"
				     : "/proc/stat (clock ticks)";
}

double sampler_cpu_resolution_pct(const struct sampler *s, double window_s)
{
	double unit_s = s->host_usage_fd >= 0 ? 1e-9 : 1.0 / (double)s->hz;

	return 100 * unit_s / (window_s * (double)s->cores);
}

const char *sampler_guest_source(const struct sampler *s)
{
	return s->population ? "cgroup of the population (nanoseconds)"
			     : "random sample of its processes, scaled (no cgroup could be made)";
}

void sampler_peek(struct sampler *s, double *ret_ram_pct, double *ret_swap_pct)
{
	parse_meminfo(read_source(s, SRC_MEMINFO), &s->mem);
	*ret_ram_pct = meminfo_ram_pct(&s->mem);
	*ret_swap_pct = meminfo_swap_pct(&s->mem);
}

long long sampler_tasks(struct sampler *s)
{
	struct loadavg load;

	parse_loadavg(read_source(s, SRC_LOADAVG), &load);
	return load.tasks;
}

double sampler_kernel_pct(const struct sampler *s)
{
	const struct meminfo *m = &s->mem;

	if (m->total <= 0 || m->slab < 0 || m->page_tables < 0 || m->kernel_stack < 0)
		return NAN;
	return 100 *
	       (double)(m->slab - MAX(m->slab_reclaimable, 0LL) + m->page_tables + m->kernel_stack +
			MAX(m->sec_page_tables, 0LL) + MAX(m->percpu, 0LL)) /
	       (double)m->total;
}

double sampler_stall_us(struct sampler *s)
{
	long long some, full;

	parse_pressure(read_source(s, SRC_PSI_MEM), &some, &full);
	return full < 0 ? (double)NAN : (double)full;
}
