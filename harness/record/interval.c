/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "record/interval.h"

#include <math.h>

const char *const interval_extra_columns[EXTRA_COUNT] = {
#define EXTRA_COLUMN(sym, column, meaning) [EXTRA_##sym] = (column),
	INTERVAL_EXTRAS(EXTRA_COLUMN)
#undef EXTRA_COLUMN
};

const char *const interval_extra_meanings[EXTRA_COUNT] = {
#define EXTRA_MEANING(sym, column, meaning) [EXTRA_##sym] = (meaning),
	INTERVAL_EXTRAS(EXTRA_MEANING)
#undef EXTRA_MEANING
};

void moments_add(struct moments *m, double value)
{
	if (isnan(value))
		return;
	double before = value - m->mean;

	m->n++;
	m->mean += before / m->n;
	m->m2 += before * (value - m->mean);
}

double moments_mean(const struct moments *m)
{
	return m->n ? m->mean : (double)NAN;
}

double moments_sd(const struct moments *m)
{
	if (!m->n)
		return NAN;
	return m->n == 1 ? 0 : sqrt(m->m2 / (m->n - 1));
}

void interval_init(struct interval *i)
{
	*i = (struct interval){ .settled = true };
	for (int k = 0; k < EXTRA_COUNT; k++)
		i->extra[k] = NAN;
}

void interval_add(struct interval *i, const struct sample *s, uint32_t vm_count)
{
	if (s->backward) {
		i->invalid++;
		return;
	}
	i->samples++;
	moments_add(&i->vm_count, vm_count);
	for (int m = 0; m < METRIC_COUNT; m++)
		moments_add(&i->metric[m], s->v[m]);
}

static double growth(const struct interval *i, const struct interval *base, enum metric m)
{
	return moments_mean(&i->metric[m]) - moments_mean(&base->metric[m]);
}

/* A part that this kernel does not report counts as 0 in the sum, and shows up in the rest. */
static double or_zero(double v)
{
	return isnan(v) ? 0 : v;
}

/* What became unavailable; free pages on the lists of single CPUs are not in MemAvailable, but nobody's. */
static double drop_since(const struct interval *i, const struct interval *base)
{
	return -growth(i, base, METRIC_MEM_AVAILABLE) - or_zero(growth(i, base, METRIC_MEM_LISTS));
}

void interval_ledger(struct interval *i, const struct interval *baseline, const struct interval *previous)
{
	double n = moments_mean(&i->vm_count), *x = i->extra;
	double drop = drop_since(i, baseline);

	x[EXTRA_LEDGER_DROP] = drop;
	x[EXTRA_LEDGER_ANON] = growth(i, baseline, METRIC_ANON);
	x[EXTRA_LEDGER_SHMEM] = growth(i, baseline, METRIC_SHMEM);
	x[EXTRA_LEDGER_SLAB] =
		growth(i, baseline, METRIC_SLAB) - growth(i, baseline, METRIC_SLAB_RECLAIMABLE);
	x[EXTRA_LEDGER_PAGE_TABLES] = growth(i, baseline, METRIC_PAGE_TABLES) +
				      or_zero(growth(i, baseline, METRIC_SEC_PAGE_TABLES));
	x[EXTRA_LEDGER_STACKS] = growth(i, baseline, METRIC_KERNEL_STACK);
	x[EXTRA_LEDGER_PERCPU] = growth(i, baseline, METRIC_PERCPU);
	/* with CONFIG_VMAP_STACK the stacks are vmalloc memory too */
	x[EXTRA_LEDGER_VMALLOC] = growth(i, baseline, METRIC_VMALLOC) - or_zero(x[EXTRA_LEDGER_STACKS]);
	double known = 0;
	for (int k = EXTRA_LEDGER_ANON; k <= EXTRA_LEDGER_VMALLOC; k++)
		known += or_zero(x[k]);
	x[EXTRA_LEDGER_REST] = drop - known;
	if (n > 0)
		x[EXTRA_MEM_PER_VM] = drop / n;
	if (n > 0)
		x[EXTRA_CGROUP_MEM_PER_VM] = growth(i, baseline, METRIC_CGROUP_MEM) / n;
	if (!previous)
		return;
	double more = n - moments_mean(&previous->vm_count);
	if (more > 0)
		x[EXTRA_MEM_MARGINAL] = drop_since(i, previous) / more;
}
