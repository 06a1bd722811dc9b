/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_COMPARE_HISTORY_H
#define MVM_COMPARE_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "compare/compare.h"

/*
 * Runs kept over time in one SQLite file: record and figures, so that the folders may go. Runs of one series
 * are alike in host, backend, preset, profile, accelerator, launch mode and size: only what was
 * measured may differ, and the version of what was tested.
 */
struct history;

struct history_run {
	int64_t id;
	char *started, *series, *label, *dir;
	double figures[FIGURE_COUNT];
	bool baseline;
};
struct history_list {
	struct history_run *items;
	size_t count;
};

enum history_use { HISTORY_READ, HISTORY_CHANGE, HISTORY_ADD };
/*
 * Opens the database; path NULL: that of fs_state_path("MVMSCALE_HISTORY", "history.db"). Only HISTORY_ADD
 * makes it, with its folder. HISTORY_READ needs no right to write, and of one that is missing it reads
 * nothing. What is no such database is EXIT_BAD_INPUT.
 */
error *history_open(const char *path, enum history_use use, struct history **ret) ERR_MUST_CHECK;
const char *history_path(const struct history *h);
void history_close(struct history *h);
static inline void history_closep(struct history **h)
{
	history_close(*h);
}

/* Adds a run; label NULL: the version of its backend. *ret_new is false when it was there already. */
error *history_add(struct history *h, const struct run_record *r, const char *label, int64_t *ret_id,
		   bool *ret_new) ERR_MUST_CHECK;
/* Runs in order of time; series NULL: all. */
error *history_runs(struct history *h, const char *series, struct history_list *ret) ERR_MUST_CHECK;
void history_list_clear(struct history_list *l);

/* Makes these runs the baseline instead of what was; an unknown id is EXIT_BAD_INPUT. */
error *history_set_baseline(struct history *h, const int64_t *ids, size_t n) ERR_MUST_CHECK;
/* The baseline's runs as a side of a comparison. EXIT_BAD_INPUT when there is none. */
error *history_load_baseline(const char *path, struct side *ret) ERR_MUST_CHECK;

/* "AMD EPYC, 2 cores, 24 GiB: qemu 7.2 lean sleep tcg exec 300"; the caller frees it. Pure. */
char *history_series(const struct run_record *r);

#endif
