/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Readings of VMs that run on other hosts than this one. CPU and memory are those of the hosts, added up;
   each host stops taking VMs at its own threshold; hosts.csv has a row for each host and interval. */
#include "run/session.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

/* A reading is a round trip to each host. */
#define PEEK_PERIOD_NS 250000000ULL

struct member {
	double first_available_kb; /* of its first reading */
	struct moments cpu, ram, used_kb;
};

struct fleet {
	size_t count;
	struct backend_host *hosts; /* the latest reading */
	struct member *members;
	uint64_t read_ns;
	const char *full_metric; /* why the last host was closed */
	double full_value;
};

static double ram_pct(const struct backend_host *h)
{
	return 100 * h->mem_used_kb / h->mem_total_kb;
}

/* A host that does not tell its memory cannot be closed by it. */
static bool known(const struct backend_host *h)
{
	return h->state != HOST_LOST && h->mem_total_kb > 0 && !isnan(h->mem_used_kb);
}

static double threshold(const struct session *s, const struct backend_host *h)
{
	return h->threshold_pct > 0 ? h->threshold_pct : s->plan.o->threshold_pct;
}

static void read_hosts(struct session *s)
{
	struct fleet *f = s->source.fleet;

	s->pop.backend->ops->hosts(s->pop.backend, f->hosts, f->count);
	f->read_ns = clock_ns();
	for (size_t i = 0; i < f->count; i++)
		if (known(&f->hosts[i]) && isnan(f->members[i].first_available_kb))
			f->members[i].first_available_kb = f->hosts[i].mem_total_kb - f->hosts[i].mem_used_kb;
}

struct sums {
	double cores, cpu, total, used, available;
};

/* A lost host takes no part in the shares; in the memory that is left it counts as empty, so that
   its disappearance does not look like a cost of the VMs. */
static struct sums add_up(const struct fleet *f)
{
	struct sums r = { 0 };

	for (size_t i = 0; i < f->count; i++) {
		const struct backend_host *h = &f->hosts[i];

		if (h->state == HOST_LOST) {
			r.available += isnan(f->members[i].first_available_kb)
					       ? 0
					       : f->members[i].first_available_kb;
			continue;
		}
		if (!isnan(h->cpu_pct) && h->cores > 0) {
			r.cores += h->cores;
			r.cpu += h->cpu_pct * h->cores;
		}
		if (known(h)) {
			r.total += h->mem_total_kb;
			r.used += h->mem_used_kb;
			r.available += h->mem_total_kb - h->mem_used_kb;
		}
	}
	return r;
}

static void sample(struct session *s, struct sample *ret)
{
	sampler_take(s->source.sampler, ret);
	read_hosts(s);
	struct sums a = add_up(s->source.fleet);

	/* a row of samples.csv is about one population: nothing of this machine but the harness itself */
	for (int m = 0; m < METRIC_COUNT; m++)
		if (m != METRIC_HARNESS_RSS && m != METRIC_SAMPLE_COST)
			ret->v[m] = NAN;
	ret->v[METRIC_CPU] = a.cores > 0 ? a.cpu / a.cores : (double)NAN;
	ret->v[METRIC_RAM] = a.total > 0 ? 100 * a.used / a.total : (double)NAN;
	ret->v[METRIC_MEM_AVAILABLE] = a.total > 0 ? a.available : (double)NAN;
	ret->backward = false;
}

static void peek(struct session *s, double *ret_ram_pct, double *ret_swap_pct)
{
	if (clock_ns() - s->source.fleet->read_ns > PEEK_PERIOD_NS)
		read_hosts(s);
	struct sums a = add_up(s->source.fleet);
	*ret_ram_pct = a.total > 0 ? 100 * a.used / a.total : (double)NAN;
	*ret_swap_pct = NAN;
}

error *source_fleet_open(struct session *s)
{
	static const char header[] =
		"time_s,interval,repeat,host,state,vm_count,cpu_pct_mean,cpu_pct_sd,ram_pct_mean,ram_pct_sd,mem_used_kb_mean,mem_total_kb,cores,samples,threshold_pct,unproven\n";
	struct backend_host probe;
	size_t n = s->pop.backend->ops->hosts ? s->pop.backend->ops->hosts(s->pop.backend, &probe, 1) : 0;

	if (!n)
		return NULL;
	s->source.ops = &source_fleet;
	s->source.fleet = xcalloc(1, sizeof(*s->source.fleet));
	s->source.fleet->count = n;
	s->source.fleet->hosts = xcalloc(n, sizeof(*s->source.fleet->hosts));
	s->source.fleet->members = xcalloc(n, sizeof(*s->source.fleet->members));
	for (size_t i = 0; i < n; i++)
		s->source.fleet->members[i].first_available_kb = NAN;
	read_hosts(s);
	/* readers of the record scale by the host: here that is all of them together */
	struct sums a = { 0 };
	for (size_t i = 0; i < n; i++) {
		a.cores += s->source.fleet->hosts[i].cores > 0 ? s->source.fleet->hosts[i].cores : 0;
		a.total += known(&s->source.fleet->hosts[i]) ? s->source.fleet->hosts[i].mem_total_kb : 0;
	}
	if (a.cores > 0)
		s->plan.host.cores_online = (long)a.cores;
	if (a.total > 0)
		s->plan.host.mem_total_kb = (long long)a.total;
	s->plan.host.swap_total_kb = 0;
	s->record.status.has_swap = false;
	return run_folder_hosts(&s->record.folder, header, strlen(header));
}

static void close_fleet(struct session *s)
{
	free(s->source.fleet->hosts);
	free(s->source.fleet->members);
	free(s->source.fleet);
	s->source.fleet = NULL;
}

static void hosts_begin(struct session *s)
{
	for (size_t i = 0; i < s->source.fleet->count; i++)
		s->source.fleet->members[i].cpu = s->source.fleet->members[i].ram =
			s->source.fleet->members[i].used_kb = (struct moments){ 0 };
}

static void hosts_add(struct session *s)
{
	for (size_t i = 0; i < s->source.fleet->count; i++) {
		const struct backend_host *h = &s->source.fleet->hosts[i];
		struct member *m = &s->source.fleet->members[i];

		moments_add(&m->cpu, h->state == HOST_LOST ? (double)NAN : h->cpu_pct);
		moments_add(&m->ram, known(h) ? ram_pct(h) : (double)NAN);
		moments_add(&m->used_kb, known(h) ? h->mem_used_kb : (double)NAN);
	}
}

static void put_number(FILE *f, double v)
{
	if (isnan(v))
		putc(',', f);
	else
		fprintf(f, ",%.10g", v);
}

/* VMs of each host that run and do not answer; the caller frees it. */
static uint32_t *unproven_by_host(const struct session *s)
{
	uint32_t *n = xcalloc(s->source.fleet->count, sizeof(*n));

	for (uint32_t i = 0; i < s->pop.next_id && answers_unproven(&s->pop.answers); i++)
		if (s->pop.vms[i].state == VM_READY && !answers_is_proven(&s->pop.answers, i))
			n[s->pop.backend->ops->host_of(s->pop.backend, i)]++;
	return n;
}

static void put_host(FILE *f, const struct session *s, size_t i, unsigned interval, uint32_t unproven)
{
	const struct backend_host *h = &s->source.fleet->hosts[i];
	const struct member *m = &s->source.fleet->members[i];

	fprintf(f, "%.6f,%u,%u,%s,%s,%u", (double)(clock_ns() - s->record.folder.start_ns) / 1e9, interval,
		s->record.repeat, h->name, host_state_names[h->state], h->vms - MIN(unproven, h->vms));
	put_number(f, moments_mean(&m->cpu));
	put_number(f, moments_sd(&m->cpu));
	put_number(f, moments_mean(&m->ram));
	put_number(f, moments_sd(&m->ram));
	put_number(f, moments_mean(&m->used_kb));
	put_number(f, h->mem_total_kb);
	put_number(f, h->cores > 0 ? h->cores : (double)NAN);
	fprintf(f, ",%u,%g,%u\n", MAX(m->cpu.n, m->ram.n), threshold(s, h), unproven);
}

static error *hosts_end(struct session *s, unsigned interval)
{
	struct textbuf buf;
	FILE *f = textbuf_open(&buf);
	_cleanup_free_ uint32_t *unproven = unproven_by_host(s);
	for (size_t i = 0; i < s->source.fleet->count; i++)
		put_host(f, s, i, interval, unproven[i]);
	_cleanup_free_ char *text = textbuf_close(&buf);
	return run_folder_hosts(&s->record.folder, text, buf.len);
}

static error *close_host(struct session *s, size_t i, const char *metric, double value)
{
	struct fleet *f = s->source.fleet;

	f->hosts[i].state = HOST_FULL;
	f->full_metric = metric;
	f->full_value = value;
	s->pop.backend->ops->host_full(s->pop.backend, i);
	record_notice(&s->record,
		      "host %s takes no more VMs: %s at %.2f %% with %u of them, the threshold is %.0f %%",
		      f->hosts[i].name, metric, value, f->hosts[i].vms, threshold(s, &f->hosts[i]));
	return run_folder_event(&s->record.folder, "host_full",
				json_pack("{s:s,s:s,s:f,s:f,s:i}", "host", f->hosts[i].name, "metric", metric,
					  "value", value, "threshold_pct", threshold(s, &f->hosts[i]), "vms",
					  (int)f->hosts[i].vms));
}

/* No host is left that takes a VM: why? */
static void stop_if_closed(struct session *s, bool starting)
{
	struct fleet *f = s->source.fleet;
	size_t full = 0, lost = 0;

	for (size_t i = 0; i < f->count; i++) {
		full += f->hosts[i].state == HOST_FULL;
		lost += f->hosts[i].state == HOST_LOST;
	}
	if (lost == f->count)
		record_stop(&s->record, STOP_FAILED, NULL, NULL, 0, s->pop.ready, "all %zu hosts are lost",
			    f->count);
	if (starting || s->pop.backend->ops->room(s->pop.backend))
		return;
	if (full)
		record_stop(
			&s->record, STOP_THRESHOLD, f->full_metric, NULL, 0, f->full_value,
			"no host takes more: of %zu, %zu reached their threshold (the last by %s at %.2f %%), %zu are lost, the others hold as many as their max",
			f->count, full, f->full_metric, f->full_value, lost);
	else
		record_stop(&s->record, STOP_LIMIT, NULL, "hosts", 0, s->pop.ready,
			    "every host that is left holds as many VMs as its max in the hosts file");
}

static error *guard(struct session *s, struct launch_guard *g, bool starting)
{
	struct fleet *f = s->source.fleet;
	double swap;
	error *e = NULL;

	(void)g;
	peek(s, &s->record.status.ram_pct, &swap);
	for (size_t i = 0; i < f->count && !e && plan_stops_on(&s->plan, RESOURCE_RAM); i++)
		if (f->hosts[i].state == HOST_UP && known(&f->hosts[i]) &&
		    ram_pct(&f->hosts[i]) >= threshold(s, &f->hosts[i]))
			e = close_host(s, i, resources[RESOURCE_RAM].name, ram_pct(&f->hosts[i]));
	stop_if_closed(s, starting);
	return e;
}

static error *check(struct session *s, const struct interval *row)
{
	struct fleet *f = s->source.fleet;
	error *e = NULL;

	(void)row;
	for (size_t i = 0; i < f->count && !e; i++) {
		double cpu = moments_mean(&f->members[i].cpu), ram = moments_mean(&f->members[i].ram);
		double limit = threshold(s, &f->hosts[i]);

		if (f->hosts[i].state != HOST_UP)
			continue;
		if (plan_stops_on(&s->plan, RESOURCE_CPU) && cpu >= limit)
			e = close_host(s, i, resources[RESOURCE_CPU].name, cpu);
		else if (plan_stops_on(&s->plan, RESOURCE_RAM) && ram >= limit)
			e = close_host(s, i, resources[RESOURCE_RAM].name, ram);
	}
	if (s->pop.ready < s->plan.o->max)
		stop_if_closed(s, false);
	return e;
}

static const char *host_lost(struct session *s, const struct backend_event *ev)
{
	struct backend_host *h = &s->source.fleet->hosts[ev->sys];

	h->state = HOST_LOST;
	return h->name;
}

const struct source_ops source_fleet = {
	.guests = true,
	.fleet =
		"cpu_pct and ram_pct are those of all hosts together, weighted by cores and memory; host is their sum",
	.cpu = "virNodeGetCPUStats of each host (nanoseconds)",
	.guest_cpu = "none",
	.ram = "(total - free - buffers - cached) / total of virNodeGetMemoryStats",
	.sample = sample,
	.peek = peek,
	.guard = guard,
	.check = check,
	.host_lost = host_lost,
	.interval_begin = hosts_begin,
	.interval_add = hosts_add,
	.interval_end = hosts_end,
	.close = close_fleet,
};
