/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "advise/fleet.h"

#include <libgen.h>
#include <math.h>
#include <string.h>

#include "advise/verdict.h"
#include "base/text.h"

#define FLEET_THRESHOLD 90.0

/* What a host takes at rest, the most of all runs: it is bought with each. */
struct rest {
	double takes[FLEET_AXES];
};

static error *bad(const struct ini_file *f, const struct ini_entry *e, const char *want)
{
	return err_new(EXIT_BAD_INPUT, "%s: line %d: %s = %s: %s", f->path, e->line, e->key, e->value, want);
}

static error *take_host(const struct ini_file *f, const struct ini_entry *e, struct fleet_kind *h)
{
	double v;

	if (str_eq(e->key, "cores")) {
		if (!parse_double(e->value, 1, 1e6, &h->room[FLEET_CPU]))
			return bad(f, e, "give a number of cores");
		h->room[FLEET_CPU] *= 100;
	} else if (str_eq(e->key, "ram")) {
		if (!host_size_parse(e->value, &h->room[FLEET_RAM]) || !(h->room[FLEET_RAM] > 0))
			return bad(f, e, "write a size such as 512G");
	} else if (str_eq(e->key, "swap")) {
		/* swap carries nothing that a plan may count on: it is checked and named, not filled */
		if (!host_size_parse(e->value, &v))
			return bad(f, e, "write a size such as 0 or 32G");
	} else if (str_eq(e->key, "price")) {
		if (!parse_double(e->value, 1e-6, 1e12, &h->price))
			return bad(f, e, "give a number above 0");
	} else if (str_eq(e->key, "most")) {
		if (!parse_double(e->value, 0, 1e9, &h->most))
			return bad(f, e, "give how many there are");
	} else {
		return bad(f, e, "a host has cores, ram, swap, price and most");
	}
	return NULL;
}

static error *take_demand(const struct ini_file *f, const struct ini_entry *e, struct fleet_demand *d)
{
	if (str_eq(e->key, "vms")) {
		if (!parse_double(e->value, 1, 1e9, &d->vms) || d->vms != floor(d->vms))
			return bad(f, e, "give a whole number of VMs");
	} else if (str_eq(e->key, "run")) {
		_cleanup_free_ char *copy = xstrdup(f->path);

		free(d->run);
		d->run = *e->value == '/' ? xstrdup(e->value) : xasprintf("%s/%s", dirname(copy), e->value);
	} else {
		return bad(f, e, "a demand has run and vms");
	}
	return NULL;
}

static struct fleet_kind *host_of(struct fleet *f, const char *name)
{
	for (size_t i = 0; i < f->n_hosts; i++)
		if (str_eq(f->hosts[i].name, name))
			return &f->hosts[i];
	f->hosts = xrealloc(f->hosts, f->n_hosts + 1, sizeof(*f->hosts));
	f->hosts[f->n_hosts] = (struct fleet_kind){ .name = xstrdup(name), .price = 1, .most = INFINITY };
	return &f->hosts[f->n_hosts++];
}

static struct fleet_demand *demand_of(struct fleet *f, const char *name)
{
	for (size_t i = 0; i < f->n_demands; i++)
		if (str_eq(f->demands[i].name, name))
			return &f->demands[i];
	f->demands = xrealloc(f->demands, f->n_demands + 1, sizeof(*f->demands));
	f->demands[f->n_demands] = (struct fleet_demand){ .name = xstrdup(name) };
	return &f->demands[f->n_demands++];
}

static error *take_entry(const struct ini_file *ini, const struct ini_entry *e, struct fleet *f)
{
	if (str_starts(e->section, "host "))
		return take_host(ini, e, host_of(f, e->section + 5));
	if (str_starts(e->section, "demand "))
		return take_demand(ini, e, demand_of(f, e->section + 7));
	if (!str_eq(e->section, "fleet") || !str_eq(e->key, "threshold"))
		return err_new(
			EXIT_BAD_INPUT,
			"%s: line %d: [%s] %s is not known: write [fleet] threshold, [host NAME] and [demand NAME]",
			ini->path, e->line, e->section, e->key);
	return parse_double(e->value, 1, 100, &f->threshold_pct) ? NULL : bad(ini, e, "give 1 to 100 (%)");
}

/* What one VM of a demand takes, with the upper end of the slopes' intervals; and the host at rest. */
static error *measure(struct fleet_demand *d, struct rest *rest)
{
	_cleanup_(run_record_freep) struct run_record *r = NULL;
	_cleanup_(advice_freep) struct advice *a = NULL;
	error *e = run_record_load(d->run, &r);

	if (!e)
		e = advise_run(r, 0, &a);
	if (e)
		return err_wrap(e, "demand %s", d->name);
	const double size[FLEET_AXES] = { 100 * run_num(r, "host.cores"), run_num(r, "host.ram_kb") };
	for (int x = 0; x < FLEET_AXES; x++) {
		const struct metric_advice *m = &a->metrics[x];

		if (!(size[x] > 0) || !isfinite(m->baseline_pct))
			return err_new(EXIT_BAD_INPUT,
				       "demand %s: %s does not say what a VM takes of %s: name another run",
				       d->name, d->run, m->label);
		d->takes[x] = m->rises ? (m->per_vm_pct + m->per_vm_half) / 100 * size[x] : 0;
		rest->takes[x] = fmax(rest->takes[x], m->baseline_pct / 100 * size[x]);
	}
	return d->takes[FLEET_CPU] > 0 || d->takes[FLEET_RAM] > 0
		       ? NULL
		       : err_new(EXIT_INCONCLUSIVE,
				 "demand %s: in %s neither CPU nor RAM rises with the VMs: measure further",
				 d->name, d->run);
}

/* What VMs may take of a host: its size up to the threshold, less what it needs itself. */
static error *make_room(const struct ini_file *ini, const struct advise_options *o, const struct rest *rest,
			double usable_pct, struct fleet_kind *h)
{
	const double times[FLEET_AXES] = { o->overcommit_cpu > 0 ? o->overcommit_cpu : 1,
					   o->overcommit_ram > 0 ? o->overcommit_ram : 1 };

	for (int x = 0; x < FLEET_AXES; x++) {
		if (!(h->room[x] > 0))
			return err_new(EXIT_BAD_INPUT, "%s: [host %s] needs cores and ram", ini->path,
				       h->name);
		h->room[x] = h->room[x] * times[x] * usable_pct / 100 - rest->takes[x];
		if (!(h->room[x] > 0))
			return err_new(
				EXIT_BAD_INPUT,
				"%s: [host %s] has no room for VMs: at rest a host takes more than %g %% of it",
				ini->path, h->name, usable_pct);
	}
	return NULL;
}

static error *check(const struct ini_file *ini, const struct advise_options *o, struct fleet *f)
{
	struct rest rest = { { 0 } };
	error *e = NULL;

	if (!f->n_hosts || !f->n_demands)
		return err_new(EXIT_BAD_INPUT, "%s: needs at least one [host NAME] and one [demand NAME]",
			       ini->path);
	for (size_t i = 0; i < f->n_demands && !e; i++) {
		struct fleet_demand *d = &f->demands[i];

		if (!d->run || !(d->vms > 0))
			return err_new(EXIT_BAD_INPUT, "%s: [demand %s] needs run and vms", ini->path,
				       d->name);
		e = measure(d, &rest);
	}
	if (o->threshold > 0)
		f->threshold_pct = o->threshold;
	for (size_t i = 0; i < f->n_hosts && !e; i++)
		e = make_room(ini, o, &rest, f->threshold_pct - o->reserve_pct, &f->hosts[i]);
	f->threshold_pct -= o->reserve_pct;
	return e;
}

error *fleet_load(const char *path, const struct advise_options *o, struct fleet **ret)
{
	_cleanup_(fleet_freep) struct fleet *f = xcalloc(1, sizeof(*f));
	_cleanup_(ini_freep) struct ini_file *ini = NULL;
	error *e = ini_load(path, &ini);

	f->threshold_pct = FLEET_THRESHOLD;
	for (size_t i = 0; !e && i < ini->count; i++)
		e = take_entry(ini, &ini->entries[i], f);
	if (!e)
		e = check(ini, o, f);
	if (!e)
		*ret = STEAL(f);
	return e;
}

void fleet_free(struct fleet *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < f->n_hosts; i++)
		free(f->hosts[i].name);
	for (size_t i = 0; i < f->n_demands; i++) {
		free(f->demands[i].name);
		free(f->demands[i].run);
	}
	free(f->hosts);
	free(f->demands);
	free(f);
}

json_t *fleet_json(const struct fleet *f, const struct fleet_plan *p)
{
	json_t *hosts = json_array(), *demands = json_array();

	for (size_t i = 0; i < f->n_hosts; i++)
		json_array_append_new(hosts, json_pack("{s:s, s:f, s:f}", "name", f->hosts[i].name, "count",
						       p->used[i], "price", f->hosts[i].price));
	for (size_t i = 0; i < f->n_demands; i++)
		json_array_append_new(demands,
				      json_pack("{s:s, s:s, s:f, s:f, s:f}", "name", f->demands[i].name,
						"run", f->demands[i].run, "vms", f->demands[i].vms, "ram_kb",
						f->demands[i].takes[FLEET_RAM], "core_pct",
						f->demands[i].takes[FLEET_CPU]));
	return json_pack("{s:o, s:o, s:f, s:f, s:f, s:f, s:f, s:f}", "hosts", hosts, "demands", demands,
			 "unplaced_vms", p->left, "price", p->price, "lower_bound", p->bound, "cpu_fill",
			 p->fill[FLEET_CPU], "ram_fill", p->fill[FLEET_RAM], "threshold_pct",
			 f->threshold_pct);
}

char *fleet_text(const struct fleet *f, const struct fleet_plan *p)
{
	struct textbuf buf;
	FILE *out = textbuf_open(&buf);

	for (size_t i = 0; i < f->n_hosts; i++)
		fprintf(out, "%.0f x %s\n", p->used[i], f->hosts[i].name);
	if (p->left > 0) {
		_cleanup_free_ char *left = text_thousands(p->left, 0);

		fprintf(out, "%s VMs found no place: no host is left that holds one.\n", left);
	}
	for (size_t i = 0; i < f->n_demands; i++) {
		const struct fleet_demand *d = &f->demands[i];
		_cleanup_free_ char *vms = text_thousands(d->vms, 0);

		fprintf(out, "%s: %s VMs at %.0f KiB and %.4g %% of a core each (%s)\n", d->name, vms,
			d->takes[FLEET_RAM], d->takes[FLEET_CPU], d->run);
	}
	fprintf(out,
		"Price %g; no plan is below %g. Filled at %g %%: RAM %.0f %%, CPU %.0f %% of the room.\n",
		p->price, p->bound, f->threshold_pct, 100 * p->fill[FLEET_RAM], 100 * p->fill[FLEET_CPU]);
	return textbuf_close(&buf);
}

/* Room that rounding left over is none. */
#define EPSILON 1e-9

/* A host in use. */
struct bin {
	size_t kind;
	double room[FLEET_AXES];
};

/* The largest share that one VM takes of any kind's room: what makes it hard to place. */
static double size_of(const struct fleet *f, const struct fleet_demand *d)
{
	double size = 0;

	for (size_t h = 0; h < f->n_hosts; h++)
		for (int x = 0; x < FLEET_AXES; x++)
			if (f->hosts[h].room[x] > 0)
				size = fmax(size, d->takes[x] / f->hosts[h].room[x]);
	return size;
}

static double fits(const double room[FLEET_AXES], const struct fleet_demand *d)
{
	double n = INFINITY;

	for (int x = 0; x < FLEET_AXES; x++)
		if (d->takes[x] > 0)
			n = fmin(n, floor(room[x] / d->takes[x] + EPSILON));
	return fmax(n, 0);
}

/* The share of its room that is left, on the axis with least. */
static double slack(const struct fleet *f, const struct bin *b)
{
	double least = 1;

	for (int x = 0; x < FLEET_AXES; x++)
		if (f->hosts[b->kind].room[x] > 0)
			least = fmin(least, b->room[x] / f->hosts[b->kind].room[x]);
	return least;
}

static double put(struct bin *b, const struct fleet_demand *d, double left)
{
	double n = fmin(fits(b->room, d), left);

	for (int x = 0; x < FLEET_AXES && n > 0; x++)
		b->room[x] -= n * d->takes[x];
	return n;
}

/*
 * The kind whose hosts carry all VMs that are left at the lowest price, were they the only kind; among those
 * that can hold a VM of this demand at all.
 */
static size_t next_kind(const struct fleet *f, size_t demand, const double *used, const double *left)
{
	size_t best = f->n_hosts;
	double least = INFINITY;

	for (size_t h = 0; h < f->n_hosts; h++) {
		double hosts = 0;

		if (used[h] + 1 > f->hosts[h].most)
			continue;
		for (int x = 0; x < FLEET_AXES; x++) {
			double need = 0;

			for (size_t d = 0; d < f->n_demands; d++)
				need += left[d] * f->demands[d].takes[x];
			hosts = fmax(hosts, need > 0 ? need / f->hosts[h].room[x] : 0);
		}
		/* below one host its whole price is due; beyond, parts of hosts will be shared */
		double price = f->hosts[h].price * fmax(hosts, 1);
		if (fits(f->hosts[h].room, &f->demands[demand]) > 0 && price < least) {
			least = price;
			best = h;
		}
	}
	return best;
}

/* Fills one host: of what is left, the largest first. */
static void fill(const struct fleet *f, const size_t *order, struct bin *b, double *left)
{
	for (size_t i = 0; i < f->n_demands; i++)
		left[order[i]] -= put(b, &f->demands[order[i]], left[order[i]]);
}

/*
 * A host that was opened early may hold what a later, smaller one would: the last of each kind is exchanged
 * for a cheaper kind if all it carries fits there.
 */
static void exchange(const struct fleet *f, struct bin *bins, size_t n, double *used)
{
	for (size_t i = 0; i < n; i++) {
		const struct fleet_kind *is = &f->hosts[bins[i].kind];

		for (size_t h = 0; h < f->n_hosts; h++) {
			bool room = f->hosts[h].price < f->hosts[bins[i].kind].price &&
				    used[h] + 1 <= f->hosts[h].most;

			for (int x = 0; x < FLEET_AXES; x++)
				room &= is->room[x] - bins[i].room[x] <= f->hosts[h].room[x] + EPSILON;
			if (!room)
				continue;
			for (int x = 0; x < FLEET_AXES; x++)
				bins[i].room[x] = f->hosts[h].room[x] - (is->room[x] - bins[i].room[x]);
			used[bins[i].kind]--;
			used[h]++;
			bins[i].kind = h;
			is = &f->hosts[h];
		}
	}
}

/* No plan is cheaper than its scarcest axis at the best price for that axis; whole hosts where there is one
 * kind. */
static double lower_bound(const struct fleet *f)
{
	double bound = 0;

	for (int x = 0; x < FLEET_AXES; x++) {
		double need = 0, cheapest = INFINITY;

		for (size_t d = 0; d < f->n_demands; d++)
			need += f->demands[d].vms * f->demands[d].takes[x];
		for (size_t h = 0; h < f->n_hosts; h++)
			if (f->hosts[h].room[x] > 0)
				cheapest = fmin(cheapest, f->hosts[h].price / f->hosts[h].room[x]);
		if (need > 0)
			bound = fmax(bound, need * cheapest);
	}
	/* with one price hosts come whole */
	double price = f->hosts[0].price;
	for (size_t h = 1; h < f->n_hosts; h++)
		if (f->hosts[h].price != price)
			return bound;
	return price * ceil(bound / price - EPSILON);
}

static size_t *by_size(const struct fleet *f)
{
	size_t *order = xcalloc(f->n_demands, sizeof(*order));

	for (size_t i = 0; i < f->n_demands; i++) {
		size_t at = i;

		while (at > 0 && size_of(f, &f->demands[order[at - 1]]) < size_of(f, &f->demands[i])) {
			order[at] = order[at - 1];
			at--;
		}
		order[at] = i;
	}
	return order;
}

/* Best fit: the fullest of the open hosts that still has room, until none has. */
static void place_open(const struct fleet *f, struct bin *bins, size_t n, size_t demand, double *left)
{
	while (*left > 0) {
		size_t best = n;

		for (size_t i = 0; i < n; i++)
			if (fits(bins[i].room, &f->demands[demand]) > 0 &&
			    (best == n || slack(f, &bins[i]) < slack(f, &bins[best])))
				best = i;
		if (best == n)
			return;
		*left -= put(&bins[best], &f->demands[demand], *left);
	}
}

void fleet_pack(const struct fleet *f, struct fleet_plan *ret)
{
	_cleanup_free_ size_t *order = by_size(f);
	_cleanup_free_ double *left = xcalloc(f->n_demands, sizeof(*left));
	_cleanup_free_ struct bin *bins = NULL;
	struct fleet_plan p = { .used = xcalloc(f->n_hosts, sizeof(double)) };
	double room[FLEET_AXES] = { 0 }, free_room[FLEET_AXES] = { 0 };
	size_t n = 0;

	for (size_t d = 0; d < f->n_demands; d++)
		left[d] = f->demands[d].vms;
	for (size_t i = 0; i < f->n_demands; i++) {
		size_t d = order[i], kind;

		place_open(f, bins, n, d, &left[d]);
		while (left[d] > 0 && (kind = next_kind(f, d, p.used, left)) < f->n_hosts) {
			bins = xrealloc(bins, n + 1, sizeof(*bins));
			bins[n].kind = kind;
			for (int x = 0; x < FLEET_AXES; x++)
				bins[n].room[x] = f->hosts[kind].room[x];
			p.used[kind]++;
			fill(f, order, &bins[n++], left);
		}
	}
	exchange(f, bins, n, p.used);
	for (size_t i = 0; i < n; i++)
		for (int x = 0; x < FLEET_AXES; x++) {
			room[x] += f->hosts[bins[i].kind].room[x];
			free_room[x] += bins[i].room[x];
		}
	for (int x = 0; x < FLEET_AXES; x++)
		p.fill[x] = room[x] > 0 ? 1 - free_room[x] / room[x] : 0;
	for (size_t d = 0; d < f->n_demands; d++)
		p.left += left[d];
	for (size_t h = 0; h < f->n_hosts; h++)
		p.price += p.used[h] * f->hosts[h].price;
	p.bound = lower_bound(f);
	*ret = p;
}

void fleet_plan_clear(struct fleet_plan *p)
{
	free(p->used);
	*p = (struct fleet_plan){ 0 };
}
