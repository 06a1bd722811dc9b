/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "advise/target.h"
#include "advise/steps.h"

#include <math.h>
#include <string.h>

#include "base/text.h"

/* A resource of which the measured host has `size`: how much of it holds the VMs below the threshold. */
static double needed(const struct metric_advice *m, double threshold, double size, double vms)
{
	double slope = m->rises ? m->per_vm_pct + m->per_vm_half : 0;

	if (!m->trend.shape.has_tail || m->values + 1 < ADVICE_INTERVALS)
		return (double)NAN; /* a curve that was not seen is not flat */

	/* what the host takes at rest and what the VMs take, in units of the resource, over the usable share
	 */
	return size * (fmax(m->baseline_pct, 0) + slope * vms) / threshold;
}

static void count_limits(const struct run_record *r, double vms, struct strlist *ret)
{
	json_t *limits = json_object_get(r->meta, "limits"), *l;
	size_t i;

	json_array_foreach(limits, i, l)
	{
		const char *name = json_string_value(json_object_get(l, "name"));
		double used = json_number_value(json_object_get(l, "in_use"));
		double each = json_number_value(json_object_get(l, "per_vm"));
		const json_t *max = json_object_get(l, "max");

		if (!name || str_eq(name, "ram") || !json_is_number(max) || !(each > 0))
			continue;
		if (used + each * vms > json_number_value(max))
			strlist_addf(ret, "%s %.0f", name, ceil(used + each * vms));
	}
}

void host_need_of(const struct run_record *r, const struct advice *a, double vms, struct host_need *ret)
{
	double usable = a->threshold_pct - a->reserve_pct;

	*ret = (struct host_need){
		.vms = vms,
		.ram_kb = needed(&a->metrics[RESOURCE_RAM], usable, run_num(r, "host.ram_kb"), vms),
		.cores = needed(&a->metrics[RESOURCE_CPU], usable, run_num(r, "host.cores"), vms),
		.hosts = a->safe > 0 ? ceil(vms / a->safe) : (double)NAN,
	};
	count_limits(r, vms, &ret->limits);
}

void host_need_clear(struct host_need *n)
{
	strlist_clear(&n->limits);
}

json_t *host_need_json(const struct host_need *n)
{
	json_t *limits = json_array();

	for (size_t i = 0; i < n->limits.count; i++)
		json_array_append_new(limits, json_string(n->limits.items[i]));
	return json_pack("{s:f, s:o, s:o, s:o, s:o}", "vms", n->vms, "ram_kb", advice_real(n->ram_kb),
			 "cores", advice_real(n->cores), "hosts_as_measured", advice_real(n->hosts), "limits",
			 limits);
}

char *host_need_text(const struct host_need *n, const struct advice *a)
{
	_cleanup_free_ char *vms = text_thousands(n->vms, 0), *hosts = text_thousands(n->hosts, 0);
	_cleanup_free_ char *limits = strlist_join_by(&n->limits, ", ");
	struct textbuf buf;
	FILE *out = textbuf_open(&buf);

	if (!isfinite(n->ram_kb) && !isfinite(n->cores)) {
		fprintf(out, "What %s VMs take is not known.\n", vms);
		return textbuf_close(&buf);
	}
	fprintf(out, "%s VMs on one host at %g %%", vms, a->threshold_pct - a->reserve_pct);
	if (isfinite(n->ram_kb))
		fprintf(out, " take %.1f GiB of RAM", ceil(n->ram_kb / 104857.6) / 10);
	if (isfinite(n->cores))
		fprintf(out, "%s %.0f core%s like those measured", isfinite(n->ram_kb) ? " and" : " take",
			fmax(ceil(n->cores), 1), n->cores > 1 ? "s" : "");
	fputs(" (95 % upper ends of the slopes).\n", out);
	if (n->limits.count)
		fprintf(out, "Limits to be raised to: %s.\n", limits);
	if (isfinite(n->hosts))
		fprintf(out, "Or %s host%s such as the one measured.\n", hosts, n->hosts == 1 ? "" : "s");
	return textbuf_close(&buf);
}
