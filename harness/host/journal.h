/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_HOST_JOURNAL_H
#define MVM_HOST_JOURNAL_H

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

/* Where the journals of what only one run uses are: its folders, swap, cgroups. The caller frees it. */
char *journal_folder(void);
/*
 * Where those of what all share are, the settings of the host: one place for all runs of a user, whatever
 * their state folders are, so that the last of them to end puts the original value back. The caller frees it.
 */
char *journal_host_folder(void);
/* Refuses a folder that is not ours alone. */
error *journal_check_folder(const char *folder) ERR_MUST_CHECK;
error *journal_make_folder(const char *folder) ERR_MUST_CHECK;
error *journal_make_host_folder(const char *folder) ERR_MUST_CHECK;

/*
 * Between processes, for one operation. Waits, but not without end: EXIT_CANNOT, and who holds it, after 120
 * s or $MVMSCALE_LOCK_WAIT seconds. Undone by journal_unlockp().
 */
error *journal_lock(const char *folder, int *ret) ERR_MUST_CHECK;
void journal_unlockp(int *fd);
/* Gets the line that says who is waited for, after a second of waiting. */
void journal_on_wait(void (*say)(const char *line));
/* Who holds a flock() of that file, by the text of /proc/locks; *ret stays where nobody is seen. Pure. */
void lock_holder_parse(const char *locks, unsigned major, unsigned minor, unsigned long long inode,
		       json_int_t *ret);

/* *ret is a new reference, NULL where there is none. One that is damaged, or that somebody else may have
   written, is an error. */
error *journal_load(const char *path, json_t **ret) ERR_MUST_CHECK;
/* The text of one; NULL when it is damaged. Pure. */
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
/* Whether this very process wrote it. */
bool journal_is_own(const json_t *doc);
/* The name for a journal of ours where a process of another pid namespace, with our pid, has the usual one.
 */
char *journal_foreign_name(const char *path);
/* The clock tick of its start; -1 when it is gone, a zombie or about to be. */
json_int_t journal_process_start(json_int_t pid);
/* The order of entries: nanoseconds since boot. */
json_int_t journal_now_ns(void);

/* A member of a journal or of an entry; "" or 0 where it is absent. */
const char *journal_text(const json_t *o, const char *key);
json_int_t journal_number(const json_t *o, const char *key);

#endif
