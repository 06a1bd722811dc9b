/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "matrix/schedule.h"

#include <math.h>

#include "base/err.h"
#include "base/util.h"

/* Stopping VMs and waiting for their memory, per VM; and what any run takes: probe, record, plots. */
#define STOP_S_PER_VM 0.0015
#define FIXED_S 4
#define SIZE_LEAST 10

const char *const matrix_order_names[ORDER_LISTED + 1] = {
	[ORDER_REVERSE] = "reverse",
	[ORDER_ROTATE] = "rotate",
	[ORDER_LISTED] = "listed",
};

const char *const cell_state_names[CELL_INTERRUPTED + 1] = {
	[CELL_PENDING] = "pending",	    [CELL_RUNNING] = "running", [CELL_DONE] = "done",
	[CELL_UNTRUSTED] = "untrusted",	    [CELL_FAILED] = "failed",	[CELL_CANNOT] = "cannot",
	[CELL_INTERRUPTED] = "interrupted",
};

void matrix_order(enum matrix_order order, size_t cells, unsigned rounds, unsigned round, size_t *ret)
{
	size_t step = MAX(cells / MAX(rounds, 1U), (size_t)1);

	for (size_t i = 0; i < cells; i++) {
		if (order == ORDER_REVERSE && round % 2)
			ret[i] = cells - 1 - i;
		else if (order == ORDER_ROTATE)
			ret[i] = (i + round * step) % cells;
		else
			ret[i] = i;
	}
}

bool cell_measured(enum cell_state s)
{
	return s == CELL_DONE || s == CELL_UNTRUSTED;
}

bool cell_to_run(enum cell_state s)
{
	return !cell_measured(s);
}

enum cell_state cell_state_of_exit(int status, bool folder)
{
	switch (status) {
	case EXIT_DONE:
		return folder ? CELL_DONE : CELL_FAILED;
	case EXIT_UNTRUSTED:
		return folder ? CELL_UNTRUSTED : CELL_FAILED;
	case EXIT_INTERRUPTED:
		return CELL_INTERRUPTED;
	case EXIT_CANNOT:
		return folder ? CELL_FAILED : CELL_CANNOT;
	default:
		return CELL_FAILED;
	}
}

static double seconds_per_vm(const struct cell_cost *c, const struct size_host *h)
{
	double start = c->vm_cpu_ms / 1000 / fmax(h->cores, 1);

	if (c->rate > 0)
		start = fmax(start, 1 / c->rate);
	return (start + STOP_S_PER_VM) * c->repeat;
}

static double fixed_seconds(const struct cell_cost *c)
{
	return FIXED_S + (c->intervals + 1) * c->interval_s * c->repeat;
}

double cell_seconds(const struct cell_cost *c, const struct size_host *h, double vms)
{
	return fixed_seconds(c) + vms * seconds_per_vm(c, h);
}

double cell_size(const struct cell_cost *c, const struct size_host *h, double ram_share, double minutes)
{
	double by_ram = ram_share * h->mem_available_kb / fmax(c->vm_kb, 1);
	double by_time = (minutes * 60 - fixed_seconds(c)) / seconds_per_vm(c, h);
	double n = fmax(fmin(by_ram, by_time), SIZE_LEAST);
	double unit = pow(10, floor(log10(n)) - 1);

	return floor(n / unit) * unit;
}

/* The dimension whose values cut the cells into the fewest figures that hold them; -1 without one. */
static int best_dimension(const int *at, size_t n, size_t dims, size_t most, int *ret_values)
{
	int best = -1;

	for (size_t d = 0; d < dims; d++) {
		int values = 0;
		bool fits;

		for (size_t i = 0; i < n; i++)
			values = MAX(values, at[i * dims + d] + 1);
		fits = n >= 2 * (size_t)values; /* one curve to a figure compares nothing */
		for (int v = -1; v < values && fits; v++) {
			size_t have = 0;

			for (size_t i = 0; i < n; i++)
				have += at[i * dims + d] == v;
			fits = have <= most;
		}
		/* of two that cut alike, the last: the first ones stand for what is compared */
		if (fits && values > 1 && (best < 0 || values <= *ret_values)) {
			best = (int)d;
			*ret_values = values;
		}
	}
	return best;
}

size_t matrix_figures(const int *at, size_t n, size_t dims, size_t most, size_t *order,
		      struct figure_group *groups, int *ret_dim)
{
	int values = 0, dim = n > most ? best_dimension(at, n, dims, most, &values) : -1;
	size_t count = 0, done = 0;

	*ret_dim = dim;
	if (dim < 0) {
		size_t figures = (n + most - 1) / most;

		for (size_t i = 0; i < n; i++)
			order[i] = i;
		/* as equal as can be: 6 are drawn as 3 and 3, not as 5 and 1 */
		for (; count < figures; count++) {
			size_t left = n - done, size = (left + figures - count - 1) / (figures - count);

			groups[count] = (struct figure_group){ .first = done, .count = size, .value = -1 };
			done += size;
		}
		return count;
	}
	for (int v = -1; v < values; v++) {
		size_t first = done;

		for (size_t i = 0; i < n; i++)
			if (at[i * dims + (size_t)dim] == v)
				order[done++] = i;
		groups[count] = (struct figure_group){ .first = first, .count = done - first, .value = v };
		count += done > first;
	}
	return count;
}
