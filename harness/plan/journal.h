/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_PLAN_JOURNAL_H
#define MVM_PLAN_JOURNAL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/util.h"

/*
 * The files behind settings.h: who changed what, and whether that process still lives.
 * {"format", "owner": "process"|"applied", "pid", "start", "boot_id", "pid_ns", "entries": [...]}
 */
/* One journal file. */
struct journal {
	char *path;
	json_t *doc;
	bool changed;
};

struct journals {
	struct journal *items;
	size_t count;
};

/* Where the journals are; the caller frees it. */
char *journal_folder(void);
/* Refuses a folder that is not ours alone. */
error *journal_check_folder(const char *folder) ERR_MUST_CHECK;
error *journal_make_folder(const char *folder) ERR_MUST_CHECK;

/* Between processes, for one operation; waits. Undone by journal_unlockp(). */
error *journal_lock(const char *folder, int *ret) ERR_MUST_CHECK;
void journal_unlockp(int *fd);

/* NULL when it is missing or damaged; a new reference. */
json_t *journal_load(const char *path);
/* The text of one. Pure. */
json_t *journal_parse(const char *text, size_t len);
/* All of the folder, which is locked; a damaged one is reported in `said` and left out. */
error *journals_load(const char *folder, struct journals *all, struct strlist *said) ERR_MUST_CHECK;
void journals_clear(struct journals *all);
/* On disk, whole, before it returns. */
error *journal_save(const char *folder, const char *path, const json_t *doc) ERR_MUST_CHECK;
/* An empty one of this process. */
json_t *journal_new(bool applied);

bool journal_is_applied(const json_t *doc);
bool journal_same_boot(const json_t *doc);
/* Whether the process that wrote it runs: its pid with its start time, in this boot. A zombie does not. */
bool journal_owner_lives(const json_t *doc);
/* The order of entries: nanoseconds since boot. */
json_int_t journal_now_ns(void);

/* A member of a journal or of an entry; "" or 0 where it is absent. */
const char *journal_text(const json_t *o, const char *key);
json_int_t journal_number(const json_t *o, const char *key);

#endif
