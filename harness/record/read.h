/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_RECORD_READ_H
#define MVM_RECORD_READ_H

#include <jansson.h>
#include <stdbool.h>

#include "base/csv.h"
#include "base/err.h"

/* The run.json format that this program reads. */
#define RUN_FORMAT 1
/* A row with more VMs, or a larger value of anything, is damaged. */
#define RUN_VMS_MAX 1e9
#define RUN_VALUE_MAX 1e15
/* Percentages of the host may stray so far beyond 0 to 100: counters move in ticks, windows end between them.
 */
#define RUN_SHARE_SLACK 10

/*
 * One run folder as it was found. A folder left by a killed harness is as good as a
 * finished one, only `partial`: `note` then says in words what is missing.
 */
struct run_record {
	char *dir;
	json_t *meta;	       /* run.json */
	struct csv *intervals; /* one row per interval; the first nine columns are always there */
	bool partial;
	size_t rows_thinned; /* intervals that run_record_thin() took out */
	bool rows_lost;	     /* damaged or cut rows were left out */
	char *note;	     /* NULL when nothing is to be told */
};

/*
 * Reads run.json and intervals.csv of a folder. Rows that are damaged or hold what no host shows are left
 * out, and `note` names them. Where intervals.csv is missing or has no row, one interval per VM count is
 * derived from samples.csv (its `settled` is NAN: nobody judged it). Errors carry EXIT_BAD_INPUT and name the
 * file, the line where there is one, and what to do; EXIT_INCONCLUSIVE where no row is left. The caller frees
 * *ret.
 */
error *run_record_load(const char *dir, struct run_record **ret) ERR_MUST_CHECK;
/* One interval per distinct vm_count of a samples table; `what` names it in errors. Pure. */
error *run_intervals_from_samples(const struct csv *samples, const char *what,
				  struct csv **ret) ERR_MUST_CHECK;
/* The text of run.json, whose members go into r; `what` names it in errors. Pure. */
error *run_meta_parse(struct run_record *r, const char *text, size_t len, const char *what) ERR_MUST_CHECK;
/* The text of intervals.csv or samples.csv (`file`) of that record; *ret stays NULL where no row is left. */
error *run_rows_parse(struct run_record *r, const char *text, size_t len, const char *file,
		      struct csv **ret) ERR_MUST_CHECK;
void run_record_free(struct run_record *r);
static inline void run_record_freep(struct run_record **r)
{
	run_record_free(*r);
}

/* Value at a dotted path of run.json ("host.kernel"), owned by the record; NULL when absent or no string. */
const char *run_str(const struct run_record *r, const char *path);
/* Number at a dotted path; NAN when absent, no number, or beyond RUN_VALUE_MAX. */
double run_num(const struct run_record *r, const char *path);
/* Whether arithmetic gave the figures, not a host. The one place where records of that backend are known. */
bool run_is_synthetic(const struct run_record *r);
/* Whether a preset says what its VMs are. */
bool run_has_preset(const struct run_record *r);
/* The run's name, else "<backend> <preset> <profile>", else its folder; the caller frees it. */
char *run_label(const struct run_record *r);
/* Largest vm_count of the intervals; 0 when there is none. */
double run_measured_to(const struct run_record *r);

#endif
