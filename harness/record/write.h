/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_RECORD_WRITE_H
#define MVM_RECORD_WRITE_H

#include <jansson.h>
#include <stdio.h>

#include "base/dir.h"
#include "base/err.h"
#include "record/interval.h"

/* What a sample was taken for; the `phase` column. */
enum phase { PHASE_LAUNCH, PHASE_SETTLE, PHASE_MEASURE, PHASE_STOP };

/*
 * A run folder being written. Every sample and event is on disk when its call
 * returns (one write each); run.json and intervals.csv are replaced whole, by
 * rename. So the folder is readable whenever the writer is killed.
 */
struct run_folder {
	char *dir;
	json_t *meta;  /* becomes run.json with run_folder_save() */
	struct dir at; /* its files are made and replaced in this folder, whatever its name comes to mean */
	int samples_fd, events_fd;
	int nodes_fd;	   /* -1 until the first row */
	int teardown_fd;   /* -1 until the first row */
	int hosts_fd;	   /* -1 until the first row */
	uint64_t start_ns; /* time 0 of time_s */
};

#define RUN_FOLDER_NONE                          \
	((struct run_folder){ .at = DIR_NONE,    \
			      .samples_fd = -1,  \
			      .events_fd = -1,   \
			      .nodes_fd = -1,    \
			      .teardown_fd = -1, \
			      .hosts_fd = -1 })

/* Creates the folder; refuses one that holds files of a run (`sys` of the error is EEXIST then), one that is
   not ours alone, and what is no place for a run. */
error *run_folder_create(const char *dir, struct run_folder *ret) ERR_MUST_CHECK;
void run_folder_close(struct run_folder *r);
/* Removes a folder that holds no sample yet; for runs that fail before they began. */
void run_folder_discard(struct run_folder *r);

error *run_folder_save(struct run_folder *r) ERR_MUST_CHECK;
error *run_folder_sample(struct run_folder *r, const struct sample *s, uint32_t vm_count, unsigned interval,
			 unsigned repeat, enum phase phase) ERR_MUST_CHECK;
/* One line of events.jsonl: time_s, event, and the members of detail (stolen, may be NULL). */
error *run_folder_event(struct run_folder *r, const char *event, json_t *detail) ERR_MUST_CHECK;
/* Rows of nodes.csv: memory of each NUMA node at the end of an interval. */
struct node_memory;
error *run_folder_nodes(struct run_folder *r, const struct node_memory *nodes, size_t n, uint32_t vm_count,
			unsigned interval, unsigned repeat) ERR_MUST_CHECK;
/* One look at a population that is being stopped. */
struct teardown_row {
	unsigned repeat;
	double seconds; /* since the first VM was killed */
	uint32_t vms;	/* not yet gone */
	double ram_pct, swap_pct;
	long long tasks; /* on the host; -1 unknown */
};
/* Appends it to teardown.csv, which the first row makes. */
error *run_folder_teardown(struct run_folder *r, const struct teardown_row *row) ERR_MUST_CHECK;
/* Rows of hosts.csv, the first with its header. */
error *run_folder_hosts(struct run_folder *r, const char *rows, size_t len) ERR_MUST_CHECK;
error *run_folder_intervals(struct run_folder *r, const struct interval *rows, size_t n) ERR_MUST_CHECK;

#endif
