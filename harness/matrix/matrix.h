/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_MATRIX_MATRIX_H
#define MVM_MATRIX_MATRIX_H

#include <jansson.h>

#include "matrix/schedule.h"
#include "matrix/spec.h"

/* The matrix.json format that this program reads and writes. */
#define MATRIX_FORMAT 1

/* What is settled of a cell before it runs. */
struct cell_plan {
	unsigned max;	   /* VMs to ramp up to */
	double estimate_s; /* of one run */
	char *qemu;	   /* the program to give to --qemu, or NULL: the preset's */
	char *target;	   /* what that program says it emulates ("i386"), or NULL */
	char *asked;	   /* the name it was asked for by, or NULL */
	char *cannot;	   /* why it cannot run here, or NULL */
};

/* One run of one cell: a round's share. */
struct cell_run {
	enum cell_state state;
	unsigned attempts;
	int exit_status;
	double seconds;
	char *dir;     /* its folder's name within the matrix' folder, of the latest attempt; or NULL */
	char *error;   /* why there is no measurement, or NULL */
	char *command; /* as it would be typed, or NULL */
};

/* A matrix under way, as matrix.json keeps it. */
struct matrix {
	char *dir;
	struct matrix_spec *spec;
	struct matrix_cells cells;
	unsigned rounds;
	enum matrix_order order;
	long max; /* of the command line; 0: as the file says */
	char *started;
	json_t *host;		 /* of run.json */
	struct cell_plan *plans; /* one per cell */
	struct cell_run *runs;	 /* rounds * cells, round by round */
};

/* Of a file: every run pending, nothing settled. rounds, max: of the command line, 0 for the file's. Pure. */
error *matrix_new(struct matrix_spec *spec, unsigned rounds, long max, struct matrix **ret) ERR_MUST_CHECK;
void matrix_free(struct matrix *m);
static inline void matrix_freep(struct matrix **m)
{
	matrix_free(*m);
}
struct cell_run *matrix_run_at(const struct matrix *m, unsigned round, size_t cell);
/* Makes room for more rounds; never takes any away. */
void matrix_set_rounds(struct matrix *m, unsigned rounds);

/* matrix.json as JSON and back; `what` names it in errors, which carry EXIT_BAD_INPUT. Pure. */
json_t *matrix_json(const struct matrix *m, const char *state);
error *matrix_from_json(const json_t *j, const char *what, struct matrix **ret) ERR_MUST_CHECK;
/* The same with the file in the folder; saved whole or not at all. */
error *matrix_save(const struct matrix *m, const char *state) ERR_MUST_CHECK;
error *matrix_open(const char *dir, struct matrix **ret) ERR_MUST_CHECK;
/* Whether a folder holds a matrix.json at all. */
bool matrix_exists(const char *dir);
/*
 * Whether m, found in a folder, may go on as asked: the same file (NULL: not given), the same --max, no
 * fewer rounds, the same host (NULL: not asked). The error says what differs. Pure.
 */
error *matrix_may_resume(const struct matrix *m, const struct matrix_spec *file, unsigned rounds, long max,
			 const json_t *host) ERR_MUST_CHECK;

/*
 * prepare.c: looks at this host. Presets, profiles and backends that are named must be there
 * (EXIT_BAD_INPUT); what a cell lacks here goes into its plan's `cannot`. Sizes are settled where they are
 * not yet.
 */
error *matrix_prepare(struct matrix *m) ERR_MUST_CHECK;
/* Seconds that what is still to be run will take; measured runs correct the estimates. */
double matrix_seconds_left(const struct matrix *m);

/* drive.c: how it tells its caller what it does. Any member may be NULL. */
struct matrix_observer {
	void *user;
	/* a run begins, or is not made (why: the cell cannot run here) */
	void (*cell)(void *user, const struct matrix *m, size_t number, size_t total, unsigned round,
		     size_t cell, const char *why);
	void (*line)(void *user, const char *text); /* what the run says */
	/* it is over; m says how */
	void (*ended)(void *user, const struct matrix *m, unsigned round, size_t cell);
};
/*
 * Runs what is still to be run, each in a child process of this program, and keeps
 * matrix.json up to date. *signals is counted up by the caller's signal handler (without
 * SA_RESTART): one ends the present run and the matrix, a second one is passed on too, a third one
 * kills. The error is about the matrix itself; what a cell says stays with the cell.
 */
error *matrix_run(struct matrix *m, const struct matrix_observer *obs, volatile int *signals) ERR_MUST_CHECK;
/* The command line of one run, without the program. Pure. */
void matrix_run_argv(const struct matrix *m, unsigned round, size_t cell, const char *dir,
		     struct strlist *ret);

#endif
