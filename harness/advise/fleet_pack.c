/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <math.h>

#include "advise/fleet.h"
#include "base/util.h"

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
		const struct fleet_host *is = &f->hosts[bins[i].kind];

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
