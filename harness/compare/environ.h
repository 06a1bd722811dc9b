/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_COMPARE_ENVIRON_H
#define MVM_COMPARE_ENVIRON_H

#include "base/util.h"
#include "curve/runread.h"

/* One thing in which two runs differ: a dotted path of run.json and its two values, "-" where it is absent.
 */
struct environ_item {
	char *path, *base, *new_value;
	bool intended; /* somebody asked for it, or nobody said what was */
};

struct environ_diff {
	struct environ_item *items;
	size_t count;
};

/*
 * What differs between the environments of two runs: tool, host, backend, guest, preset, options. What
 * changes from run to run by itself (free memory, load, names of private folders) is left out. `intended`
 * lists options of `mvmscale run` that differ on purpose ("qemu", "tune"), NULL for none. Pure.
 */
void environ_compare(const struct run_record *base, const struct run_record *other,
		     const struct strlist *intended, struct environ_diff *ret);
/* Whether such a difference makes figures of the two hosts incomparable; its path, or NULL. */
const char *environ_other_host(const struct environ_diff *d);
void environ_diff_clear(struct environ_diff *d);

#endif
