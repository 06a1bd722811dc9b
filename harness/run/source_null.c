/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Readings of VMs that do not exist: only the figures that they have, and nothing of what the host really
 * does beside them. */
#include <math.h>

#include "run/session.h"

static double ram_pct(struct session *s, double *ret_cpu)
{
	double kb;

	s->pop.backend->ops->synthetic(s->pop.backend, ret_cpu, &kb);
	return 100 * kb / (double)s->plan.host.mem_total_kb;
}

static void sample(struct session *s, struct sample *ret)
{
	double cpu, ram = ram_pct(s, &cpu), total = (double)s->plan.host.mem_total_kb;

	sampler_take(s->source.sampler, ret);
	for (int m = 0; m < METRIC_COUNT; m++)
		if (m != METRIC_HARNESS_RSS && m != METRIC_SAMPLE_COST && m != METRIC_CPU_HARNESS)
			ret->v[m] = NAN;
	ret->v[METRIC_CPU] = cpu;
	ret->v[METRIC_CPU_GUESTS] = cpu;
	ret->v[METRIC_RAM] = ram;
	ret->v[METRIC_SWAP] = 0;
	ret->v[METRIC_MEM_AVAILABLE] = total * (1 - ram / 100);
	ret->v[METRIC_ANON] = total * ram / 100;
	ret->backward = false;
}

static void peek(struct session *s, double *ret_ram_pct, double *ret_swap_pct)
{
	double cpu;

	*ret_ram_pct = ram_pct(s, &cpu);
	*ret_swap_pct = 0;
}

const struct source_ops source_null = {
	.limits = true,
	.ram = "(MemTotal - MemAvailable) / MemTotal",
	.sample = sample,
	.peek = peek,
	.guard = source_host_guard,
	.check = source_host_check,
	.host_lost = source_host_lost,
};
