/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_ADVISE_PUBLISHED_H
#define MVM_ADVISE_PUBLISHED_H

#include <jansson.h>

#include "advise/verdict.h"
#include "base/csv.h"

/* A use of this much is an end in a published table, where no threshold is given. */
#define PUBLISHED_THRESHOLD_PCT 95.0

/* What one row of a table of results was bound by. */
struct published_row {
	enum run_class class;
	const char *class_name;
	double margin_pct; /* points between the resource named and the next one */
	double vms;	   /* NAN without a column that counts them */
	char *reason;	   /* one sentence */
	char *label;	   /* the other columns, "sleep 1, kvm 0" */
};

/*
 * Judges each row by cpu_pct, ram_pct and swap_pct at its end (swap and any other column may be
 * missing; VMs are counted by vm_count, vms, mvms or n). threshold_pct: what counts as the end. `what` names
 * the table in errors. Pure. The caller frees *ret with published_free().
 */
error *published_classify(const struct csv *t, const char *what, double threshold_pct,
			  struct published_row **ret, size_t *ret_n) ERR_MUST_CHECK;
void published_free(struct published_row *rows, size_t n);
json_t *published_json(const struct published_row *rows, size_t n);
char *published_text(const struct published_row *rows, size_t n);

#endif
