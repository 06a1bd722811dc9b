/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "host/affinity.h"

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

void affinity_map_read(struct affinity_map *ret)
{
	*ret = (struct affinity_map){ .numa = numa_available() >= 0 };
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
	for (int node = 0; node <= numa_max_node() && node < BINDING_MAX_NODES; node++)
		ret->node[node] = numa_bitmask_isbitset(allowed, (unsigned)node) != 0;
	numa_bitmask_free(allowed);
}

/* CPUs by rank within their node, then by node: the first of each node, the second of each... */
static int rank_in_node(const struct affinity_map *h, int cpu)
{
	int rank = 0;

	for (int i = 0; i < cpu; i++)
		rank += CPU_ISSET((size_t)i, &h->cpus) && h->node_of[i] == h->node_of[cpu];
	return rank;
}

static bool goes_before(const struct affinity_map *h, enum pin_mode pin, int a, int b)
{
	int rank_a = rank_in_node(h, a), rank_b = rank_in_node(h, b);

	if (pin == PIN_SPREAD && rank_a != rank_b)
		return rank_a < rank_b;
	if (h->node_of[a] != h->node_of[b])
		return h->node_of[a] < h->node_of[b];
	return a < b;
}

static void order_cpus(const struct affinity_map *h, struct placement *p)
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

static error *choose_cpus(const char *pin, const struct affinity_map *h, struct placement *p)
{
	unsigned char set[CPU_SETSIZE];

	for (int i = 0; i <= PIN_PACK; i++)
		if (!pin || str_eq(pin, pin_names[i])) {
			p->pin = pin ? (enum pin_mode)i : PIN_NONE;
			return NULL;
		}
	error *e = cpulist_parse(pin, "--pin", CPU_SETSIZE, set);
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

static error *choose_nodes(const char *numa, const struct affinity_map *h, struct placement *p)
{
	unsigned char set[BINDING_MAX_NODES];
	error *e = NULL;
	int mode = 0;

	while (numa && mode <= NUMA_LOCAL && !str_eq(numa, numa_names[mode]))
		mode++;
	p->numa = (enum numa_mode)mode;
	if (p->numa == NUMA_NONE)
		return NULL;
	if (p->numa == NUMA_NODES && (e = cpulist_parse(numa, "--numa", BINDING_MAX_NODES, set)))
		return err_wrap(e, "neither none, interleave, local nor a list of nodes");
	if (!h->numa)
		return err_new(EXIT_CANNOT, "--numa %s: this kernel has no memory policies", numa);
	for (unsigned node = 0; node < BINDING_MAX_NODES; node++) {
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

error *placement_make(const char *pin, const char *numa, const struct affinity_map *h, uint32_t vms,
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

json_t *placement_json(const struct placement *p, const struct affinity_map *h)
{
	struct binding all = { .cpus = p->pin == PIN_CPUS ? p->set : h->cpus };
	memcpy(all.nodes, p->nodes, sizeof(all.nodes));
	_cleanup_free_ char *cpus = binding_cpus_text(&all);
	_cleanup_free_ char *nodes = cpulist_text(h->node, BINDING_MAX_NODES);
	_cleanup_free_ char *bound = binding_nodes_text(&all);
	unsigned count = 0;

	for (unsigned i = 0; i < BINDING_MAX_NODES; i++)
		count += h->node[i];
	return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s*}", "pin", p->pin == PIN_CPUS ? "cpus" : pin_names[p->pin],
			 "cpus", cpus, "numa", p->numa == NUMA_NODES ? "nodes" : numa_names[p->numa],
			 "memory_nodes", bound, "host_nodes", nodes, "note",
			 p->numa != NUMA_NONE && count < 2
				 ? "this host has one memory node: the policy is set and changes nothing"
				 : NULL);
}
