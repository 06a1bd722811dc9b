/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "host/facts.h"

#include <ctype.h>
#include <dirent.h>
#include <math.h>
#include <string.h>

#include "base/fs.h"
#include "host/procfs.h"

long cpulist_count(const char *text)
{
	long count = 0;

	for (const char *p = text; isdigit((unsigned char)*p);) {
		char *end;
		long first = strtol(p, &end, 10), last = first;

		if (*end == '-' && isdigit((unsigned char)end[1]))
			last = strtol(end + 1, &end, 10);
		if (last < first)
			return -1;
		count = add_sat(count, add_sat(last - first, 1));
		if (*end != ',')
			return *end && !isspace((unsigned char)*end) ? -1 : count;
		p = end + 1;
	}
	return -1;
}

char *setting_chosen(const char *text)
{
	const char *open = strchr(text, '['), *close = open ? strchr(open, ']') : NULL;

	if (close)
		return xasprintf("%.*s", (int)(close - open - 1), open + 1);
	char *ret = xcalloc(strlen(text) + 1, 1);
	size_t n = 0;
	for (const char *p = text; *p; p++) {
		if (!isspace((unsigned char)*p))
			ret[n++] = *p;
		else if (n && ret[n - 1] != ' ')
			ret[n++] = ' ';
	}
	if (n && ret[n - 1] == ' ')
		ret[n - 1] = '\0';
	return ret;
}

static char *slurp_chosen(const char *root, const char *path)
{
	_cleanup_free_ char *text = proc_text(root, path);

	return setting_chosen(text);
}

static int slurp_int(const char *root, const char *path)
{
	_cleanup_free_ char *text = slurp_chosen(root, path);
	long v;

	return parse_long(text, -1, INT32_MAX, &v) ? (int)v : -1;
}

static bool exists(const char *root, const char *path)
{
	_cleanup_free_ char *full = xasprintf("%s%s", root, path);

	return access(full, F_OK) == 0;
}

static char *or_empty(char *s)
{
	return s ? s : xstrdup("");
}

/* Only what this CPU suffers from is worth a word; the rest is one count. */
static char *read_mitigations(const char *root)
{
	_cleanup_free_ char *folder = xasprintf("%s/sys/devices/system/cpu/vulnerabilities", root);
	struct dirent **names = NULL;
	int n = scandir(folder, &names, NULL, alphasort), clean = 0;
	char *ret = NULL;

	for (int i = 0; i < n; i++) {
		if (names[i]->d_name[0] != '.') {
			_cleanup_free_ char *path =
				xasprintf("/sys/devices/system/cpu/vulnerabilities/%s", names[i]->d_name);
			_cleanup_free_ char *text = slurp_chosen(root, path);

			if (str_eq(text, "Not affected")) {
				clean++;
			} else {
				_cleanup_free_ char *old = ret;

				ret = xasprintf("%s%s%s: %s", old ? old : "", old ? "; " : "",
						names[i]->d_name, text);
			}
		}
		free(names[i]);
	}
	free(names);
	if (clean) {
		_cleanup_free_ char *old = ret;

		ret = xasprintf("%s%s%d not affected", old ? old : "", old ? "; " : "", clean);
	}
	return or_empty(ret);
}

static char *container_evidence(const char *root)
{
	static const char *const marks[] = { "/.dockerenv", "/run/.containerenv", "/run/systemd/container" };
	static const char *const words[] = { "/docker", "kubepods", "/lxc", "libpod", "containerd" };
	_cleanup_free_ char *environ1 = proc_text(root, "/proc/1/environ");
	_cleanup_free_ char *cgroup1 = proc_text(root, "/proc/1/cgroup");
	_cleanup_free_ char *uid_map = proc_text(root, "/proc/self/uid_map");

	for (size_t i = 0; i < ARRAY_LEN(marks); i++)
		if (exists(root, marks[i]))
			return xasprintf("%s exists", marks[i]);
	if (str_starts(environ1, "container=") || strstr(environ1, "\ncontainer="))
		return xstrdup("process 1 has $container set");
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strstr(cgroup1, words[i]))
			return xasprintf("/proc/1/cgroup names '%s'", words[i]);
	if (uid_map_is_partial(uid_map))
		return xstrdup("the user namespace does not map every user");
	return xstrdup("");
}

static int count_kdamond(const char *root)
{
	_cleanup_free_ char *proc = xasprintf("%s/proc", root);
	DIR *d = opendir(proc);
	int n = 0;

	if (!d)
		return -1;
	for (struct dirent *e; (e = readdir(d));) {
		if (!isdigit((unsigned char)e->d_name[0]))
			continue;
		_cleanup_free_ char *path = xasprintf("/proc/%s/comm", e->d_name);
		_cleanup_free_ char *comm = proc_text(root, path);

		n += str_starts(comm, "kdamond");
	}
	closedir(d);
	return n;
}

static void read_cpu(struct host *h, const char *root)
{
	_cleanup_free_ char *cpuinfo = proc_text(root, "/proc/cpuinfo");
	_cleanup_free_ char *flags = proc_field(cpuinfo, "flags");
	_cleanup_free_ char *online = proc_text(root, "/sys/devices/system/cpu/online");
	_cleanup_free_ char *nodes = proc_text(root, "/sys/devices/system/node/online");
	_cleanup_free_ char *load = proc_text(root, "/proc/loadavg");
	struct loadavg now;

	h->cpu_model = or_empty(proc_field(cpuinfo, "model name"));
	h->nested = flags ? strstr(flags, " hypervisor") != NULL : -1;
	h->cores_online = cpulist_count(online);
	h->numa_nodes = cpulist_count(nodes);
	h->governor = slurp_chosen(root, "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
	h->mitigations = read_mitigations(root);
	parse_loadavg(load, &now);
	h->load1 = isnan(now.load1) ? -1 : now.load1;
	h->kdamond = count_kdamond(root);
}

static void read_memory(struct host *h, const char *root)
{
	_cleanup_free_ char *text = proc_text(root, "/proc/meminfo");
	struct meminfo m;

	parse_meminfo(text, &m);
	h->mem_total_kb = m.total;
	h->mem_available_kb = m.available;
	h->swap_total_kb = m.swap_total;
	h->swap_free_kb = m.swap_free;
	h->thp = slurp_chosen(root, "/sys/kernel/mm/transparent_hugepage/enabled");
	h->ksm_present = exists(root, "/sys/kernel/mm/ksm/run");
	h->ksm_run = slurp_int(root, "/sys/kernel/mm/ksm/run");
	h->overcommit = slurp_int(root, "/proc/sys/vm/overcommit_memory");
	h->randomize_va_space = slurp_int(root, "/proc/sys/kernel/randomize_va_space");
}

/* Uid: real effective saved filesystem */
static int effective_root(const char *root)
{
	_cleanup_free_ char *status = proc_text(root, "/proc/self/status");
	_cleanup_free_ char *uid = proc_field(status, "Uid");
	long real, effective;

	if (!uid || sscanf(uid, "%ld %ld", &real, &effective) != 2)
		return -1;
	return effective == 0;
}

void host_read(struct host *h, const char *root)
{
	_cleanup_free_ char *mountinfo = proc_text(root, "/proc/self/mountinfo");
	_cleanup_free_ char *os = proc_text(root, "/etc/os-release");

	*h = (struct host){ 0 };
	read_cpu(h, root);
	read_memory(h, root);
	h->kernel = slurp_chosen(root, "/proc/sys/kernel/osrelease");
	h->cmdline = slurp_chosen(root, "/proc/cmdline");
	h->boot_id = slurp_chosen(root, "/proc/sys/kernel/random/boot_id");
	h->distribution = or_empty(os_release_value(os, "PRETTY_NAME"));
	h->cgroup = xstrdup(cgroup_version(mountinfo));
	h->container_reason = container_evidence(root);
	h->container = exists(root, "/proc/self") ? *h->container_reason != '\0' : -1;
	h->root = effective_root(root);
}

void host_free(struct host *h)
{
	char *all[] = { h->cpu_model,	h->distribution, h->kernel, h->cmdline, h->governor,
			h->mitigations, h->thp,		 h->cgroup, h->boot_id, h->container_reason };

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		free(all[i]);
	*h = (struct host){ 0 };
}

static void put_number(json_t *o, const char *key, long long v)
{
	json_object_set_new(o, key, v < 0 ? json_null() : json_integer((json_int_t)v));
}

static void put_text(json_t *o, const char *key, const char *v)
{
	/* jansson refuses what is not UTF-8; a kernel command line may be anything */
	json_t *s = json_string(v ? v : "");

	json_object_set_new(o, key, s ? s : json_string("(not UTF-8)"));
}

static void put_bool(json_t *o, const char *key, int v)
{
	json_object_set_new(o, key, v < 0 ? json_null() : json_boolean(v));
}

json_t *host_json(const struct host *h)
{
	json_t *o = json_object();

	put_text(o, "cpu", h->cpu_model);
	put_number(o, "cores", h->cores_online);
	put_number(o, "numa_nodes", h->numa_nodes);
	put_number(o, "ram_kb", h->mem_total_kb);
	put_number(o, "ram_available_kb", h->mem_available_kb);
	put_number(o, "swap_kb", h->swap_total_kb);
	put_number(o, "swap_free_kb", h->swap_free_kb);
	put_text(o, "kernel", h->kernel);
	put_text(o, "distribution", h->distribution);
	put_text(o, "cmdline", h->cmdline);
	put_text(o, "governor", h->governor);
	put_text(o, "mitigations", h->mitigations);
	put_text(o, "thp", h->thp);
	put_bool(o, "ksm_present", h->ksm_present);
	put_number(o, "ksm_run", h->ksm_run);
	put_text(o, "cgroup", h->cgroup);
	put_bool(o, "container", h->container);
	put_text(o, "container_reason", h->container_reason);
	put_bool(o, "nested", h->nested);
	put_number(o, "overcommit_memory", h->overcommit);
	put_number(o, "randomize_va_space", h->randomize_va_space);
	put_bool(o, "root", h->root);
	put_number(o, "kdamond_threads", h->kdamond);
	json_object_set_new(o, "load1", h->load1 < 0 ? json_null() : json_real(h->load1));
	put_text(o, "boot_id", h->boot_id);
	return o;
}

void host_warnings(const struct host *h, struct strlist *ret)
{
	if (*h->governor && !str_eq(h->governor, "performance"))
		strlist_addf(
			ret,
			"the CPU governor is '%s': CPU %% means another amount of work at each frequency; set 'performance' to compare runs",
			h->governor);
	if (h->ksm_run == 1)
		strlist_add(
			ret,
			"KSM already runs: ksmd's CPU time and its merging are in the baseline; stop it (/sys/kernel/mm/ksm/run) unless that is wanted");
	if (h->swap_total_kb > 0 && h->swap_free_kb >= 0 && h->swap_free_kb < h->swap_total_kb)
		strlist_addf(
			ret,
			"%lld kB of swap are in use before the first VM: the swap curve does not start at 0; free them with swapoff and swapon",
			h->swap_total_kb - h->swap_free_kb);
	if (h->cores_online > 0 && h->load1 > 0.2 * (double)h->cores_online)
		strlist_addf(
			ret,
			"other load: the 1-minute load average is %.2f on %ld cores; stop what runs beside the measurement, or wait",
			h->load1, h->cores_online);
	if (h->kdamond > 0)
		strlist_addf(
			ret,
			"DAMON runs (%d kdamond): it walks the page tables of all VMs and takes more CPU the more there are; its share is reported apart from the guests'",
			h->kdamond);
	if (str_eq(h->thp, "always"))
		strlist_add(
			ret,
			"transparent huge pages are 'always': a VM's sparse memory can fill 2 MiB at a touch, and KSM has to split them; 'madvise' is the steadier choice");
	if (h->nested == 1)
		strlist_add(
			ret,
			"this host is itself a virtual machine: an outer hypervisor takes part in every timing; watch steal_pct");
	if (h->container == 1)
		strlist_addf(
			ret,
			"this looks like a container (%s): limits set outside may not be visible from here",
			h->container_reason);
}
