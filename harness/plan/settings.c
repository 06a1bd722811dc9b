/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "plan/settings.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "plan/journal.h"
#include "plan/undo.h"

struct settings {
	char *folder, *journal;
	pid_t pid; /* a forked child must not undo what its parent did */
	bool applied;
};

/* One entry of one journal. */
struct entry_ref {
	struct journal *journal;
	json_t *entry;
	json_int_t at;
};

static int newest_first(const void *a, const void *b)
{
	const struct entry_ref *x = a, *y = b;

	return (x->at < y->at) - (x->at > y->at);
}

static struct entry_ref *all_entries(struct journals *all, size_t *ret_count)
{
	struct entry_ref *refs = NULL;
	size_t count = 0, i;
	json_t *entry;

	for (size_t k = 0; k < all->count; k++) {
		json_array_foreach(json_object_get(all->items[k].doc, "entries"), i, entry)
		{
			refs = xrealloc(refs, count + 1, sizeof(*refs));
			refs[count++] =
				(struct entry_ref){ &all->items[k], entry, journal_number(entry, "at") };
		}
	}
	if (count)
		qsort(refs, count, sizeof(*refs), newest_first);
	*ret_count = count;
	return refs;
}

enum sweep { SWEEP_OWN, SWEEP_DEAD, SWEEP_APPLIED };

static bool is_ours_to_undo(const struct entry_ref *r, enum sweep what, const char *own)
{
	if (json_is_true(json_object_get(r->entry, "deferred")))
		return true;
	if (journal_is_applied(r->journal->doc))
		return what == SWEEP_APPLIED || !journal_same_boot(r->journal->doc) ||
		       str_eq(r->journal->path, own);
	if (what == SWEEP_OWN)
		return str_eq(r->journal->path, own);
	return !journal_owner_lives(r->journal->doc);
}

/* A later change to the same file by someone who still needs it. */
static const struct entry_ref *holder(const struct entry_ref *holders, size_t n, const struct entry_ref *r)
{
	for (size_t i = 0; i < n; i++)
		if (holders[i].at > r->at && str_eq(journal_text(r->entry, "kind"), "file") &&
		    str_eq(journal_text(holders[i].entry, "path"), journal_text(r->entry, "path")))
			return &holders[i];
	return NULL;
}

/* Undoes one entry, or leaves it for later; returns whether that failed. */
static bool sweep_one(const struct entry_ref *r, const struct entry_ref *held_by, const char *folder,
		      struct strlist *said)
{
	_cleanup_free_ char *line = NULL;

	if (held_by) {
		json_object_set_new(r->entry, "deferred", json_true());
		r->journal->changed = true;
		strlist_addf(said, "left %s at '%s': %s %lld still needs it, and it is restored after that",
			     journal_text(r->entry, "path"), journal_text(r->entry, "new"),
			     journal_is_applied(held_by->journal->doc) ? "'doctor --apply' of process"
								       : "mvmscale, process",
			     (long long)journal_number(held_by->journal->doc, "pid"));
		return false;
	}
	enum undo_result got = undo_entry(r->entry, folder, journal_same_boot(r->journal->doc), &line);
	if (line)
		strlist_add(said, line);
	if (got == UNDO_FAILED)
		return true;
	json_object_set_new(r->entry, "undone", json_true());
	r->journal->changed = true;
	return false;
}

static error *save_changed(const char *folder, struct journals *all)
{
	for (size_t k = 0; k < all->count; k++) {
		json_t *entries = json_object_get(all->items[k].doc, "entries");

		if (!all->items[k].changed && json_array_size(entries))
			continue;
		for (size_t i = json_array_size(entries); i-- > 0;)
			if (json_is_true(json_object_get(json_array_get(entries, i), "undone")))
				json_array_remove(entries, i);
		if (!json_array_size(entries)) {
			unlink(all->items[k].path);
			continue;
		}
		error *e = journal_save(folder, all->items[k].path, all->items[k].doc);
		if (e)
			return e;
	}
	return NULL;
}

/* Undoes every entry that `what` makes ours, over all journals, the newest first. */
static error *sweep(const char *folder, enum sweep what, const char *own, struct strlist *said)
{
	_cleanup_(journal_unlockp) int fd = -1;
	_cleanup_(journals_clear) struct journals all = { 0 };
	_cleanup_free_ struct entry_ref *refs = NULL, *holders = NULL;
	size_t count = 0, held = 0, failures = 0;
	error *e = journal_lock(folder, &fd);

	if (!e)
		e = journals_load(folder, &all, said);
	if (e)
		return e;
	refs = all_entries(&all, &count);
	holders = xcalloc(count, sizeof(*holders));
	for (size_t i = 0; i < count; i++) {
		if (is_ours_to_undo(&refs[i], what, own))
			failures += sweep_one(&refs[i], holder(holders, held, &refs[i]), folder, said);
		else if (journal_same_boot(refs[i].journal->doc))
			holders[held++] = refs[i];
	}
	e = save_changed(folder, &all);
	if (!e && failures)
		e = err_new(
			EXIT_CANNOT,
			"%zu change%s of this host could not be undone and stay%s in the journal in %s: run "
			"'mvmscale doctor --restore' with the privilege that made them",
			failures, failures == 1 ? "" : "s", failures == 1 ? "s" : "", folder);
	return e;
}

/* A dead process that had our pid may have left a journal under our name. */
static error *move_aside(const char *folder, const char *journal)
{
	_cleanup_free_ char *aside =
		xasprintf("%.*s-%lld.json", (int)(strlen(journal) - 5), journal, (long long)journal_now_ns());
	_cleanup_(journal_unlockp) int fd = -1;
	error *e = journal_lock(folder, &fd);

	if (e)
		return e;
	json_auto_t *doc = journal_load(journal);
	if (doc && journal_owner_lives(doc))
		return NULL;
	if (rename(journal, aside) < 0 && errno != ENOENT)
		return err_sys(EXIT_CANNOT, errno, "cannot move the old journal %s aside", journal);
	return NULL;
}

static error *open_as(struct settings **ret, bool applied)
{
	_cleanup_free_ char *folder = journal_folder(), *journal = NULL;
	error *e = journal_make_folder(folder);
	if (e)
		return e;
	if (applied)
		journal = xasprintf("%s/applied-%lld-%d.json", folder, (long long)journal_now_ns(),
				    (int)getpid());
	else
		journal = xasprintf("%s/restore-%d.json", folder, (int)getpid());
	e = applied ? NULL : move_aside(folder, journal);
	if (e)
		return e;
	struct settings *s = xcalloc(1, sizeof(*s));
	s->folder = STEAL(folder);
	s->journal = STEAL(journal);
	s->pid = getpid();
	s->applied = applied;
	*ret = s;
	return NULL;
}

error *settings_open(struct settings **ret)
{
	return open_as(ret, false);
}

error *settings_open_applied(struct settings **ret)
{
	return open_as(ret, true);
}

void settings_close(struct settings *s)
{
	if (!s)
		return;
	free(s->folder);
	free(s->journal);
	free(s);
}

const char *settings_folder(const struct settings *s)
{
	return s->folder;
}

/* Adds the entry, or takes the last one away again (NULL). The lock is held. */
static error *journal_edit(const struct settings *s, json_t *entry)
{
	/* read anew each time: whoever ends last may have taken deferred entries out of it */
	json_auto_t *doc = journal_load(s->journal);

	if (!doc)
		doc = journal_new(s->applied);
	json_t *entries = json_object_get(doc, "entries");
	if (entry) {
		json_object_set_new(entry, "at", json_integer(journal_now_ns()));
		json_array_append_new(entries, entry);
	} else if (json_array_size(entries)) {
		json_array_remove(entries, json_array_size(entries) - 1);
	}
	if (!json_array_size(entries)) {
		unlink(s->journal);
		return NULL;
	}
	return journal_save(s->folder, s->journal, doc);
}

static error *set_locked(struct settings *s, const char *path, const char *value, const char *old,
			 const char *why)
{
	_cleanup_free_ char *now = NULL;
	error *e = journal_edit(s, json_pack("{s:s, s:s, s:s, s:s, s:s}", "kind", "file", "path", path, "old",
					     old, "new", value, "why", why ? why : ""));

	/* Written down even when it is so already: as long as we live, others leave it so. */
	if (e || str_eq(old, value))
		return e;
	e = setting_write(path, value);
	if (!e)
		e = setting_read(path, &now);
	if (!e && str_eq(now, value))
		return NULL;
	if (!e)
		e = err_new(EXIT_CANNOT, "%s did not take '%s': it reads '%s'", path, value, now);
	if (now && !str_eq(now, old)) {
		error *back = setting_write(path, old);

		if (back) {
			/* keep the entry, so that it is tried again later */
			e = err_wrap(e, "%s", back->msg);
			err_free(back);
			return e;
		}
	}
	error *j = journal_edit(s, NULL);
	err_free(j); /* the entry left in asks for a value that is in force: harmless */
	return e;
}

error *settings_set(struct settings *s, const char *path, const char *value, const char *why)
{
	_cleanup_(journal_unlockp) int fd = -1;
	_cleanup_free_ char *old = NULL;
	error *e;

	if (*path != '/')
		return err_new(EXIT_BAD_INPUT, "cannot set '%s': the path of a setting starts with /", path);
	e = journal_lock(s->folder, &fd);
	if (!e)
		e = setting_read(path, &old);
	if (e) {
		e->code = EXIT_CANNOT;
		return e;
	}
	return set_locked(s, path, value, old, why);
}

static error *note(struct settings *s, const char *kind, const char *path, const char *value)
{
	_cleanup_(journal_unlockp) int fd = -1;
	error *e;

	if (*path != '/')
		return err_new(EXIT_BAD_INPUT, "cannot note '%s' for undoing: its path must start with /",
			       path);
	e = journal_lock(s->folder, &fd);
	return e ? e
		 : journal_edit(s, json_pack("{s:s, s:s, s:s*}", "kind", kind, "path", path, "value", value));
}

error *settings_note_swap(struct settings *s, const char *path)
{
	return note(s, "swapoff", path, NULL);
}

error *settings_note_cgroup(struct settings *s, const char *path)
{
	return note(s, "rmdir", path, NULL);
}

error *settings_note_tree(struct settings *s, const char *path)
{
	size_t n = strlen(s->folder);

	if (strncmp(path, s->folder, n) != 0 || path[n] != '/' || strstr(path, "/.."))
		return err_new(EXIT_BAD_INPUT, "cannot note %s for removal: it is not below %s", path,
			       s->folder);
	return note(s, "rmtree", path, NULL);
}

error *settings_note_containers(struct settings *s, const char *path, const char *runtime)
{
	return note(s, "containers", path, runtime);
}

error *settings_note_pidfiles(struct settings *s, const char *path, const char *word)
{
	return note(s, "pidfiles", path, word);
}

error *settings_note_empty(struct settings *s, const char *path, const char *name)
{
	return note(s, "emptydir", path, name);
}

error *settings_note_write(struct settings *s, const char *path, const char *value)
{
	return note(s, "write", path, value);
}

error *settings_restore(struct settings *s, struct strlist *said)
{
	if (getpid() != s->pid)
		return NULL;
	return sweep(s->folder, SWEEP_OWN, s->journal, said);
}

static error *sweep_existing(enum sweep what, struct strlist *said)
{
	_cleanup_free_ char *folder = journal_folder();
	error *e;

	if (access(folder, F_OK) < 0)
		return NULL;
	e = journal_check_folder(folder);
	return e ? e : sweep(folder, what, NULL, said);
}

error *settings_recover(struct strlist *said)
{
	return sweep_existing(SWEEP_DEAD, said);
}

error *settings_restore_applied(struct strlist *said)
{
	return sweep_existing(SWEEP_APPLIED, said);
}

static void describe(const struct journal *j, const json_t *entry, struct strlist *ret)
{
	const char *who = journal_is_applied(j->doc)	? "applied for good, by process"
			  : journal_owner_lives(j->doc) ? "in use by process"
			  : journal_same_boot(j->doc)	? "left behind by dead process"
							: "left behind before the last boot by process";
	long long pid = (long long)journal_number(j->doc, "pid");
	const char *kind = journal_text(entry, "kind"), *path = journal_text(entry, "path");

	if (str_eq(kind, "file"))
		strlist_addf(ret, "%s: '%s' -> '%s' (%s %lld)", path, journal_text(entry, "old"),
			     journal_text(entry, "new"), who, pid);
	else
		strlist_addf(ret, "%s %s (%s %lld)",
			     str_eq(kind, "swapoff")	  ? "swap"
			     : str_eq(kind, "rmdir")	  ? "cgroup"
			     : str_eq(kind, "rmtree")	  ? "folder"
			     : str_eq(kind, "emptydir")	  ? "folder"
			     : str_eq(kind, "containers") ? "containers in"
			     : str_eq(kind, "pidfiles")	  ? "processes of"
							  : "setting",
			     path, who, pid);
}

error *settings_list_pending(struct strlist *ret)
{
	_cleanup_(journal_unlockp) int fd = -1;
	_cleanup_(journals_clear) struct journals all = { 0 };
	_cleanup_free_ struct entry_ref *refs = NULL;
	_cleanup_free_ char *folder = journal_folder();
	size_t count = 0;
	error *e;

	if (access(folder, F_OK) < 0)
		return NULL;
	e = journal_check_folder(folder);
	if (!e)
		e = journal_lock(folder, &fd);
	if (!e)
		e = journals_load(folder, &all, ret);
	if (e)
		return e;
	refs = all_entries(&all, &count);
	for (size_t i = count; i-- > 0;)
		describe(refs[i].journal, refs[i].entry, ret);
	return NULL;
}
