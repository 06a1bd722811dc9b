/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Readings of this machine, where the VMs run. */
#include <math.h>

#include "base/clock.h"
#include "run/session.h"

/* The kernel brings PSI up to date every 2 s: in shorter windows it stands still, then jumps. */
#define PRESSURE_WINDOW_NS 2100000000ULL

static void sample(struct session *s, struct sample *ret)
{
	sampler_take(s->source.sampler, ret);
}

static void peek(struct session *s, double *ret_ram_pct, double *ret_swap_pct)
{
	sampler_peek(s->source.sampler, ret_ram_pct, ret_swap_pct);
}

static void pressure(struct session *s, struct admission_reading *ret)
{
	struct source *src = &s->source;
	double stall = sampler_stall_us(src->sampler);

	if (ret->at_ns - src->pressure_ns >= PRESSURE_WINDOW_NS) {
		src->pressure_pct = 100 * (stall - src->pressure_stall_us) * 1000 /
				    (double)(ret->at_ns - src->pressure_ns);
		src->pressure_ns = ret->at_ns;
		src->pressure_stall_us = stall;
	}
	ret->stall_pct = src->pressure_pct;
	ret->kernel_pct = sampler_kernel_pct(src->sampler);
	ret->has_swap = s->record.status.has_swap;
	ret->merging = s->ksm;
	ret->merged_mb = s->ksm ? ksm_merged_mb() : 0;
}

static void stop_at(struct session *s, enum admission_reason why, const struct admission_reading *r)
{
	bool swap = why == ADMISSION_SWAP;

	record_stop(
		&s->record, STOP_THRESHOLD, resources[swap ? RESOURCE_SWAP : RESOURCE_RAM].name, NULL, 0,
		swap ? r->swap_pct : r->ram_pct,
		"%s, seen while launching: %.2f %% of RAM and %.2f %% of swap in use; the threshold is %.0f %%",
		admission_reason_texts[why], r->ram_pct, r->swap_pct, s->plan.o->threshold_pct);
}

/* Is the host still able to take more, now? */
error *source_host_guard(struct session *s, struct launch_guard *g, bool starting)
{
	const struct admission_limits limits = { .threshold_pct = s->plan.o->threshold_pct,
						 .ram_ends = plan_stops_on(&s->plan, RESOURCE_RAM),
						 .swap_ends = plan_stops_on(&s->plan, RESOURCE_SWAP) };
	struct admission_reading r = { .at_ns = clock_ns(), .kernel_pct = NAN, .stall_pct = NAN };

	(void)starting;
	s->source.ops->peek(s, &r.ram_pct, &r.swap_pct);
	if (s->source.ops->pressure)
		s->source.ops->pressure(s, &r);
	s->record.status.ram_pct = r.ram_pct;
	s->record.status.swap_pct = r.swap_pct;
	enum admission_verdict v = admission_decide(&g->pace, &limits, &r);
	bool waited = g->waiting;
	g->waiting = v == ADMISSION_WAIT;
	if (waited)
		g->waited_ns += r.at_ns - g->looked_ns;
	if (v == ADMISSION_STOP) {
		stop_at(s, g->pace.reason, &r);
		g->halted = true;
	}
	if (!g->waiting || waited)
		return NULL;
	return run_folder_event(&s->record.folder, "paced",
				json_pack("{s:s,s:f,s:i}", "waiting_for",
					  admission_reason_texts[g->pace.reason], "ram_pct", r.ram_pct, "vms",
					  (int)s->pop.ready));
}

/* "guests 1.2 %, kdamond 30.1 %, not ours 58.0 %": who spent the CPU, largest shares named. */
static char *cpu_spenders(const struct interval *row)
{
	static const struct {
		enum metric m;
		const char *name;
	} parts[] = {
		{ METRIC_CPU_GUESTS, "guests" },
		{ METRIC_CPU_HARNESS, "harness" },
		{ METRIC_CPU_KSMD, "ksmd" },
		{ METRIC_CPU_KDAMOND, "kdamond" },
		{ METRIC_CPU_KSWAPD, "kswapd" },
		{ METRIC_CPU_KCOMPACTD, "kcompactd" },
		{ METRIC_CPU_KHUGEPAGED, "khugepaged" },
		{ METRIC_CPU_KOTHER, "other kernel threads" },
		{ METRIC_CPU_REST, "other processes and interrupts" },
	};
	struct strlist l = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		double v = moments_mean(&row->metric[parts[i].m]);

		if (v >= 1)
			strlist_addf(&l, "%s %.1f %%", parts[i].name, v);
	}
	char *text = l.count ? strlist_join_by(&l, ", ") : xstrdup("no part above 1 %");
	strlist_clear(&l);
	return text;
}

error *source_host_check(struct session *s, const struct interval *row)
{
	for (int i = 0; i < RESOURCE_COUNT; i++) {
		double mean = moments_mean(&row->metric[resources[i].metric]);

		_cleanup_free_ char *spent = i == RESOURCE_CPU ? cpu_spenders(row) : NULL;
		if (plan_stops_on(&s->plan, i) && mean >= s->plan.o->threshold_pct)
			record_stop(&s->record, STOP_THRESHOLD, resources[i].name, NULL, 0, mean,
				    "%s was at %.2f %% with %u VMs, the threshold is %.0f %%%s%s",
				    resource_label(i), mean, population_counted(&s->pop),
				    s->plan.o->threshold_pct, spent ? "; of it " : "", spent ? spent : "");
	}
	return NULL;
}

const char *source_host_lost(struct session *s, const struct backend_event *ev)
{
	record_stop(&s->record, STOP_FAILED, NULL, NULL, 0, s->pop.ready, "libvirt is lost: %s", ev->reason);
	return "this machine's libvirt";
}

static void nodes_begin(struct session *s)
{
	node_ticks_read(s->plan.affinity_map.node_of, ARRAY_LEN(s->plan.affinity_map.node_of),
			s->source.node_ticks);
}

static void add_node(struct interval *row, int node, enum node_column k, double v)
{
	moments_add(&row->node[node][k], v);
}

static error *nodes_end(struct session *s, unsigned interval, struct interval *row)
{
	_cleanup_free_ struct node_memory *nodes = NULL;
	struct node_ticks now[NODES_SHOWN];
	size_t n = node_memory_read(&nodes);

	node_ticks_read(s->plan.affinity_map.node_of, ARRAY_LEN(s->plan.affinity_map.node_of), now);
	for (size_t i = 0; i < n && nodes[i].node < NODES_SHOWN; i++) {
		const struct node_memory *m = &nodes[i];
		const struct node_ticks *a = &s->source.node_ticks[m->node], *b = &now[m->node];

		if (b->total > a->total)
			add_node(row, m->node, NODE_CPU,
				 100 * (double)(b->busy - a->busy) / (double)(b->total - a->total));
		add_node(row, m->node, NODE_USED, m->used < 0 ? (double)NAN : (double)m->used);
		add_node(row, m->node, NODE_FREE, m->free < 0 ? (double)NAN : (double)m->free);
		add_node(row, m->node, NODE_ANON, m->anon < 0 ? (double)NAN : (double)m->anon);
	}
	return n ? run_folder_nodes(&s->record.folder, nodes, n, population_counted(&s->pop), interval,
				    s->record.repeat)
		 : NULL;
}

const struct source_ops source_host = {
	.guests = true,
	.limits = true,
	.ram = "(MemTotal - MemAvailable) / MemTotal",
	.sample = sample,
	.peek = peek,
	.pressure = pressure,
	.guard = source_host_guard,
	.check = source_host_check,
	.host_lost = source_host_lost,
	.interval_begin = nodes_begin,
	.interval_sampled = nodes_end,
};
