/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_HOST_SETTINGS_H
#define MVM_HOST_SETTINGS_H

#include <stddef.h>

#include "base/err.h"
#include "base/util.h"

/*
 * Changes to the host that must not outlive the process that made them. Each is written
 * to a journal before it happens, so the next start can undo what a killed process left.
 * The journals are in $MVMSCALE_STATE, /run/mvmscale (root), $XDG_RUNTIME_DIR/mvmscale
 * or /tmp/mvmscale-UID: the first that is given, exists or can be made. Those of settings, which
 * all runs of a host share, are in one place whatever the state folder is (journal_host_folder()).
 * A process that still lives, or that set the same file later, is respected: the older change is
 * then undone when the last user of it ends.
 */
struct settings;

/* What one process opens several times is one journal. Creates the folder (0700) and refuses one that others
 * may write.
 */
error *settings_open(struct settings **ret) ERR_MUST_CHECK;
/* The same for changes that stay until settings_restore_applied() or a reboot (`doctor --apply`). */
error *settings_open_applied(struct settings **ret) ERR_MUST_CHECK;
/* Frees s without undoing anything. */
void settings_close(struct settings *s);
/* The state folder; owned by s. A run may keep its runtime folder below it. */
const char *settings_folder(const struct settings *s);

/*
 * Writes `value` to a /proc/sys or /sys file and reads it back; a value that did not take
 * is an error, and then the old one is put back. `why` is kept in the journal.
 */
error *settings_set(struct settings *s, const char *path, const char *value, const char *why) ERR_MUST_CHECK;

/* The same for a number, unless it is as large already: somebody else may have raised it since it was read.
 */
error *settings_raise(struct settings *s, const char *path, const char *value,
		      const char *why) ERR_MUST_CHECK;
/* What others of us raised stays so for as long as we need it, too. Nothing where nobody changed it. */
error *settings_hold(struct settings *s, const char *path, const char *why) ERR_MUST_CHECK;
/* Has a cgroup of v2 hand a controller down, until the last of us that asked for it ends. */
error *settings_hand_down(struct settings *s, const char *cgroup, const char *controller) ERR_MUST_CHECK;

/* What to undo that is no settings file. Note it before doing it: undoing what never happened is harmless. */
/* A swap file: swapoff(2), then unlink. Only the file that was made, by settings_note_made() or its label. */
error *settings_note_swap(struct settings *s, const char *path, const char *label) ERR_MUST_CHECK;
/* A zram device in use as swap: swapoff(2), reset, removed. Only one with that label, or an empty one. */
error *settings_note_zram(struct settings *s, const char *path, const char *label) ERR_MUST_CHECK;
/* What was noted has been made: only this very file or folder is ours to undo. */
error *settings_note_made(struct settings *s, const char *path) ERR_MUST_CHECK;
/* A cgroup: kill what is in it and below, then rmdir. */
error *settings_note_cgroup(struct settings *s, const char *path) ERR_MUST_CHECK;
/* A folder below settings_folder(): remove it and all in it. Kills nothing. */
error *settings_note_tree(struct settings *s, const char *path) ERR_MUST_CHECK;
/* Containers of an OCI runtime whose --root is `path`: delete those that are ours. */
error *settings_note_containers(struct settings *s, const char *path, const char *runtime) ERR_MUST_CHECK;
/* Kill the processes that the files *.pid in this folder name and whose arguments hold `word`. */
error *settings_note_pidfiles(struct settings *s, const char *path, const char *word) ERR_MUST_CHECK;
/* A folder that others may use by then: remove the file `name` in it, and the folder if that leaves it empty.
 */
error *settings_note_empty(struct settings *s, const char *path, const char *name) ERR_MUST_CHECK;
/*
 * Undoes what s did, last first. A setting that holds another value than the one we set
 * is left alone. `said` gets one line per thing done or left. An error when something
 * could not be undone; it then stays in the journal. In a forked child it does nothing.
 */
error *settings_restore(struct settings *s, struct strlist *said) ERR_MUST_CHECK;
/* Undoes what processes that are gone left behind; call it at each start. No folder, no error. */
error *settings_recover(struct strlist *said) ERR_MUST_CHECK;
/* The same, and what `doctor --apply` did with this state folder. */
error *settings_restore_applied(struct strlist *said) ERR_MUST_CHECK;
/* One line for each change in force: what, and who made it. */
error *settings_list_pending(struct strlist *ret) ERR_MUST_CHECK;

#endif
