/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_COMPARE_ENV_DIFF_H
#define MVM_COMPARE_ENV_DIFF_H

#include "base/util.h"
#include "record/read.h"

/* One thing in which two runs differ: a dotted path of run.json and its two values, "-" where it is absent.
 */
struct env_item {
	char *path, *base, *new_value;
	bool intended; /* somebody asked for it, or nobody said what was */
};

struct env_diff {
	struct env_item *items;
	size_t count;
};

/*
 * What differs between the environments of two runs: tool, host, backend, guest, preset, options. What
 * changes from run to run by itself (free memory, load, names of private folders) is left out. `intended`
 * lists options of `mvmscale run` that differ on purpose ("qemu", "tune"), NULL for none. Pure.
 */
void env_compare(const struct run_record *base, const struct run_record *other,
		 const struct strlist *intended, struct env_diff *ret);
/* Whether such a difference makes figures of the two hosts incomparable; its path, or NULL. */
const char *env_other_host(const struct env_diff *d);
void env_diff_clear(struct env_diff *d);

#endif
