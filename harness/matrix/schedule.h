/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_MATRIX_SCHEDULE_H
#define MVM_MATRIX_SCHEDULE_H

/* What runs when, and how far. All pure. */

#include <stdbool.h>
#include <stddef.h>

/* Rounds are interleaved: every configuration once, then every one again, so that a drift hits all alike. */
enum matrix_order {
	ORDER_REVERSE, /* every other round backwards: a steady drift cancels out over two rounds */
	ORDER_ROTATE,  /* every round begins further down the list */
	ORDER_LISTED,  /* always as listed */
};
extern const char *const matrix_order_names[ORDER_LISTED + 1];
/* Fills ret[0..cells-1] with the cells in the order of that round (from 0). */
void matrix_order(enum matrix_order order, size_t cells, unsigned rounds, unsigned round, size_t *ret);

/* How one run of a cell stands. */
enum cell_state {
	CELL_PENDING,
	CELL_RUNNING, /* or killed together with us */
	CELL_DONE,
	CELL_UNTRUSTED,	  /* done, and VMs were lost or silent */
	CELL_FAILED,	  /* began and broke */
	CELL_CANNOT,	  /* cannot run on this host */
	CELL_INTERRUPTED, /* by the user */
};
extern const char *const cell_state_names[CELL_INTERRUPTED + 1];
/* Whether its run folder counts for the table. */
bool cell_measured(enum cell_state s);
/* Whether an invocation has to run it: what is missing, was cut short, or did not work the last time. */
bool cell_to_run(enum cell_state s);
/* What a child's exit status means; folder: whether it left a run folder. */
enum cell_state cell_state_of_exit(int status, bool folder);

/* What one VM is declared to cost, and how it is measured. */
struct cell_cost {
	double vm_kb;	  /* memory */
	double vm_cpu_ms; /* CPU time to start it */
	double rate;	  /* VMs per second at most; 0: no limit */
	double intervals, interval_s, repeat;
};
struct size_host {
	double mem_available_kb, cores;
};
/* The largest ramp that takes at most that share of the free memory and about so many minutes; two
   significant digits, at least 10. */
double cell_size(const struct cell_cost *c, const struct size_host *h, double ram_share, double minutes);
/* Seconds that a ramp to `vms` will take. */
double cell_seconds(const struct cell_cost *c, const struct size_host *h, double vms);

/* The cells of one figure, in cells[first..first+count-1]; `value` of that dimension they share, or -1. */
struct figure_group {
	size_t first, count;
	int value;
};
/*
 * Cuts n cells into figures of at most `most`. at[i * dims + d] is the value of cell i in dimension
 * d, or -1 (a config). Where one dimension cuts well, its values make the figures (*ret_dim, else -1).
 * Fills order[n] with the cells, figure by figure, and groups (at least n of them); returns how many.
 */
size_t matrix_figures(const int *at, size_t n, size_t dims, size_t most, size_t *order,
		      struct figure_group *groups, int *ret_dim);

#endif
