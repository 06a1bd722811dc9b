/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "plan/place.h"

#include <dirent.h>
#include <errno.h>
#include <numa.h>
#include <numaif.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/util.h"

/* From kernel headers newer than some libnuma's: memory of the node it runs on, whatever was inherited. */
#ifndef MPOL_LOCAL
#define MPOL_LOCAL 4
#endif

static const char *const pin_names[] = { "none", "spread", "pack" };
static const char *const numa_names[] = { "none", "interleave", "local" };

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

error *place_list_parse(const char *text, const char *what, unsigned max, unsigned char *set)
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

char *place_list_text(const unsigned char *set, unsigned max)
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

void place_map_read(struct place_map *ret)
{
	*ret = (struct place_map){ .numa = numa_available() >= 0 };
	if (sched_getaffinity(0, sizeof(ret->cpus), &ret->cpus) < 0)
		CPU_SET(0, &ret->cpus);
	/* also of CPUs that we may not use: what runs there is measured */
	for (int cpu = 0; ret->numa && cpu < CPU_SETSIZE; cpu++)
		ret->node_of[cpu] = (short)MAX(numa_node_of_cpu(cpu), 0);
	if (!ret->numa) {
		ret->node[0] = 1;
		return;
	}
	struct bitmask *allowed = numa_get_mems_allowed();
	for (int node = 0; node <= numa_max_node() && node < PLACE_MAX_NODES; node++)
		ret->node[node] = numa_bitmask_isbitset(allowed, (unsigned)node) != 0;
	numa_bitmask_free(allowed);
}

/* CPUs by rank within their node, then by node: the first of each node, the second of each... */
static int rank_in_node(const struct place_map *h, int cpu)
{
	int rank = 0;

	for (int i = 0; i < cpu; i++)
		rank += CPU_ISSET((size_t)i, &h->cpus) && h->node_of[i] == h->node_of[cpu];
	return rank;
}

static bool goes_before(const struct place_map *h, enum pin_mode pin, int a, int b)
{
	int rank_a = rank_in_node(h, a), rank_b = rank_in_node(h, b);

	if (pin == PIN_SPREAD && rank_a != rank_b)
		return rank_a < rank_b;
	if (h->node_of[a] != h->node_of[b])
		return h->node_of[a] < h->node_of[b];
	return a < b;
}

static void order_cpus(const struct place_map *h, struct placement *p)
{
	p->order = xcalloc(CPU_SETSIZE, sizeof(*p->order));
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		unsigned at = p->cpus;

		if (!CPU_ISSET((size_t)cpu, &h->cpus))
			continue;
		for (; at > 0 && goes_before(h, p->pin, cpu, p->order[at - 1]); at--)
			p->order[at] = p->order[at - 1];
		p->order[at] = cpu;
		p->cpus++;
	}
}

static error *choose_cpus(const char *pin, const struct place_map *h, struct placement *p)
{
	unsigned char set[CPU_SETSIZE];

	for (int i = 0; i <= PIN_PACK; i++)
		if (!pin || str_eq(pin, pin_names[i])) {
			p->pin = pin ? (enum pin_mode)i : PIN_NONE;
			return NULL;
		}
	error *e = place_list_parse(pin, "--pin", CPU_SETSIZE, set);
	if (e)
		return err_wrap(e, "neither none, spread, pack nor a list of CPUs");
	p->pin = PIN_CPUS;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (set[cpu] && !CPU_ISSET((size_t)cpu, &h->cpus))
			return err_new(EXIT_CANNOT, "--pin %s: this process may not use CPU %d", pin, cpu);
		if (set[cpu])
			CPU_SET((size_t)cpu, &p->set);
	}
	return NULL;
}

static error *choose_nodes(const char *numa, const struct place_map *h, struct placement *p)
{
	unsigned char set[PLACE_MAX_NODES];
	error *e = NULL;
	int mode = 0;

	while (numa && mode <= NUMA_LOCAL && !str_eq(numa, numa_names[mode]))
		mode++;
	p->numa = (enum numa_mode)mode;
	if (p->numa == NUMA_NONE)
		return NULL;
	if (p->numa == NUMA_NODES && (e = place_list_parse(numa, "--numa", PLACE_MAX_NODES, set)))
		return err_wrap(e, "neither none, interleave, local nor a list of nodes");
	if (!h->numa)
		return err_new(EXIT_CANNOT, "--numa %s: this kernel has no memory policies", numa);
	for (unsigned node = 0; node < PLACE_MAX_NODES; node++) {
		bool wanted = p->numa == NUMA_NODES ? set[node] : p->numa == NUMA_INTERLEAVE && h->node[node];

		if (wanted && !h->node[node])
			return err_new(EXIT_CANNOT,
				       "--numa %s: this host has no memory node %u that we may use", numa,
				       node);
		if (wanted)
			p->nodes[node / (8 * sizeof(long))] |= 1UL << node % (8 * sizeof(long));
	}
	return NULL;
}

error *placement_make(const char *pin, const char *numa, const struct place_map *h, uint32_t vms,
		      struct placement *ret)
{
	*ret = (struct placement){ .vms = MAX(vms, 1U) };
	error *e = choose_cpus(pin, h, ret);

	if (!e)
		e = choose_nodes(numa, h, ret);
	if (!e)
		order_cpus(h, ret);
	return e;
}

void placement_clear(struct placement *p)
{
	free(p->order);
	*p = (struct placement){ 0 };
}

void placement_of(const struct placement *p, uint32_t vm, struct binding *ret)
{
	static const int policies[] = { [NUMA_NONE] = MPOL_DEFAULT,
					[NUMA_INTERLEAVE] = MPOL_INTERLEAVE,
					[NUMA_LOCAL] = MPOL_LOCAL,
					[NUMA_NODES] = MPOL_BIND };
	uint64_t share = (uint64_t)vm % p->vms * p->cpus / p->vms;

	*ret = (struct binding){ .pinned = p->pin != PIN_NONE,
				 .policy_set = p->numa != NUMA_NONE,
				 .policy = policies[p->numa] };
	memcpy(ret->nodes, p->nodes, sizeof(ret->nodes));
	if (p->pin == PIN_CPUS)
		ret->cpus = p->set;
	else if (p->pin != PIN_NONE && p->cpus)
		CPU_SET((size_t)p->order[p->pin == PIN_SPREAD ? vm % p->cpus : share], &ret->cpus);
}

const char *binding_apply(const struct binding *b)
{
	bool nodes = b->policy == MPOL_INTERLEAVE || b->policy == MPOL_BIND;

	if (b->pinned && sched_setaffinity(0, sizeof(b->cpus), &b->cpus) < 0)
		return "sched_setaffinity";
	/* not through libnuma, which allocates */
	if (b->policy_set &&
	    syscall(SYS_set_mempolicy, b->policy, nodes ? b->nodes : NULL, nodes ? PLACE_MAX_NODES : 0) < 0)
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
	return place_list_text(set, CPU_SETSIZE);
}

static char *nodes_text(const unsigned long *nodes)
{
	unsigned char set[PLACE_MAX_NODES];

	for (unsigned i = 0; i < PLACE_MAX_NODES; i++)
		set[i] = nodes[i / (8 * sizeof(long))] >> i % (8 * sizeof(long)) & 1;
	return place_list_text(set, PLACE_MAX_NODES);
}

char *binding_cpus_text(const struct binding *b)
{
	return cpu_text(&b->cpus);
}

char *binding_nodes_text(const struct binding *b)
{
	return nodes_text(b->nodes);
}

json_t *placement_json(const struct placement *p, const struct place_map *h)
{
	_cleanup_free_ char *cpus = cpu_text(p->pin == PIN_CPUS ? &p->set : &h->cpus);
	_cleanup_free_ char *nodes = place_list_text(h->node, PLACE_MAX_NODES);
	_cleanup_free_ char *bound = nodes_text(p->nodes);
	unsigned count = 0;

	for (unsigned i = 0; i < PLACE_MAX_NODES; i++)
		count += h->node[i];
	return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s*}", "pin", p->pin == PIN_CPUS ? "cpus" : pin_names[p->pin],
			 "cpus", cpus, "numa", p->numa == NUMA_NODES ? "nodes" : numa_names[p->numa],
			 "memory_nodes", bound, "host_nodes", nodes, "note",
			 p->numa != NUMA_NONE && count < 2
				 ? "this host has one memory node: the policy is set and changes nothing"
				 : NULL);
}
