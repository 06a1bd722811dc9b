/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "host/settings.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "host/journal.h"
#include "host/settings_place.h"
#include "host/undo.h"

/* One entry of one journal. */
struct entry_ref {
	struct journal *journal;
	json_t *entry;
	json_int_t at;
	bool ours; /* to undo */
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
			refs[count++] = (struct entry_ref){ &all->items[k], entry,
							    journal_number(entry, "at"), false };
		}
	}
	if (count)
		qsort(refs, count, sizeof(*refs), newest_first);
	*ret_count = count;
	return refs;
}

enum sweep { SWEEP_OWN, SWEEP_DEAD, SWEEP_APPLIED };

/* One sweep through a folder. */
struct sweep_args {
	enum sweep what;
	const char *folder, *own; /* own: our journal in it, NULL for none */
	const char *state;	  /* whose applied changes are meant; NULL for all */
	bool dead_too;		  /* SWEEP_OWN: what the dead left is undone as well */
};

static bool is_ours_to_undo(const struct entry_ref *r, const struct sweep_args *a)
{
	const json_t *doc = r->journal->doc;
	bool own = a->own && str_eq(r->journal->path, a->own);

	if (json_is_true(json_object_get(r->entry, "deferred")))
		return true;
	if (journal_is_applied(doc))
		return (a->what == SWEEP_APPLIED &&
			(!a->state || str_eq(journal_text(doc, "state"), a->state))) ||
		       !journal_same_boot(doc) || own;
	if (a->what == SWEEP_OWN && (own || !a->dead_too))
		return own;
	return !journal_owner_lives(doc);
}

/* Whether somebody else still needs what the entry would undo: a later change of the same setting, or the
   same thing at any time. The dead need nothing. */
static const struct entry_ref *holder(const struct entry_ref *holders, size_t n, const struct entry_ref *r)
{
	bool file = str_eq(journal_text(r->entry, "kind"), "file");

	for (size_t i = 0; i < n; i++) {
		const json_t *h = holders[i].entry;

		if ((!file || holders[i].at > r->at) && holders[i].journal != r->journal &&
		    str_eq(journal_text(h, "kind"), journal_text(r->entry, "kind")) &&
		    str_eq(journal_text(h, "path"), journal_text(r->entry, "path")) &&
		    (file || str_eq(journal_text(h, "value"), journal_text(r->entry, "value"))))
			return &holders[i];
	}
	return NULL;
}

static void mark(const struct entry_ref *r, const char *how)
{
	json_object_set_new(r->entry, how, json_true());
	r->journal->changed = true;
}

/* Undoes one entry, or leaves it for later; returns whether that failed. */
static bool sweep_one(const struct entry_ref *r, const struct entry_ref *held_by, const char *folder,
		      struct strlist *said)
{
	_cleanup_free_ char *line = NULL;

	/* the other one undoes it at its own end */
	if (held_by && !str_eq(journal_text(r->entry, "kind"), "file")) {
		mark(r, "undone");
		return false;
	}
	if (held_by) {
		mark(r, "deferred");
		strlist_addf(said, "left %s at '%s': %s %lld still needs it, and it is restored after that",
			     journal_text(r->entry, "path"), journal_text(held_by->entry, "new"),
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
	mark(r, "undone");
	return false;
}

/* One that cannot be written does not keep the others from it: undoing twice is harmless. */
static error *save_changed(const char *folder, struct journals *all)
{
	error *first = NULL;

	for (size_t k = 0; k < all->count; k++) {
		const char *path = all->items[k].path;
		json_t *entries = json_object_get(all->items[k].doc, "entries");
		error *e = NULL;

		if (!all->items[k].changed && json_array_size(entries))
			continue;
		for (size_t i = json_array_size(entries); i-- > 0;)
			if (json_is_true(json_object_get(json_array_get(entries, i), "undone")))
				json_array_remove(entries, i);
		if (json_array_size(entries))
			e = journal_save(folder, path, all->items[k].doc);
		else if (unlink(path) < 0 && errno != ENOENT)
			e = err_sys(EXIT_CANNOT, errno, "cannot remove the journal %s", path);
		if (first)
			err_free(e);
		else
			first = e;
	}
	return first;
}

/* Undoes every entry that `a` makes ours, over all journals of the folder, the newest first. */
static error *sweep(const struct sweep_args *a, struct strlist *said)
{
	_cleanup_(journal_unlockp) int fd = -1;
	_cleanup_(journals_clear) struct journals all = { 0 };
	_cleanup_free_ struct entry_ref *refs = NULL, *holders = NULL;
	size_t count = 0, held = 0, failures = 0;
	error *e = journal_lock(a->folder, &fd);

	if (!e)
		e = journals_load(a->folder, &all, said);
	if (e)
		return e;
	refs = all_entries(&all, &count);
	holders = xcalloc(count, sizeof(*holders));
	for (size_t i = 0; i < count; i++) {
		const json_t *doc = refs[i].journal->doc;

		refs[i].ours = is_ours_to_undo(&refs[i], a);
		if (!refs[i].ours && journal_same_boot(doc) &&
		    (journal_is_applied(doc) || journal_owner_lives(doc)))
			holders[held++] = refs[i];
	}
	for (size_t i = 0; i < count; i++)
		if (refs[i].ours)
			failures += sweep_one(&refs[i], holder(holders, held, &refs[i]), a->folder, said);
	e = save_changed(a->folder, &all);
	if (!e && failures)
		e = err_new(
			EXIT_CANNOT,
			"%zu change%s of this host could not be undone and stay%s in the journal in %s: run 'mvmscale doctor --restore' with the privilege that made them",
			failures, failures == 1 ? "" : "s", failures == 1 ? "s" : "", a->folder);
	return e;
}

/*
 * Makes the usual name of our journal free for us: a dead process that had our pid may have left one there,
 * and one of another pid namespace may be using it.
 */
static error *claim_name(struct place *p)
{
	_cleanup_free_ char *aside = xasprintf("%.*s-%lld.json", (int)(strlen(p->journal) - 5), p->journal,
					       (long long)journal_now_ns());
	_cleanup_(journal_unlockp) int fd = -1;
	json_auto_t *doc = NULL;
	error *e = journal_lock(p->folder, &fd);

	if (e || (e = journal_load(p->journal, &doc)))
		return e;
	if (!doc || journal_is_own(doc))
		return NULL;
	if (journal_owner_lives(doc)) {
		char *other = journal_foreign_name(p->journal);

		free(p->journal);
		p->journal = other;
		return NULL;
	}
	if (rename(p->journal, aside) < 0 && errno != ENOENT)
		return err_sys(EXIT_CANNOT, errno, "cannot move the old journal %s aside", p->journal);
	return NULL;
}

/* Takes the folder. */
static void place_init(struct place *p, char *folder, bool applied)
{
	p->folder = folder;
	if (applied)
		p->journal = xasprintf("%s/applied-%lld-%d.json", folder, (long long)journal_now_ns(),
				       (int)getpid());
	else
		p->journal = xasprintf("%s/restore-%d.json", folder, (int)getpid());
}

error *place_ready(struct settings *s, struct place *p)
{
	error *e;

	if (p->ready)
		return NULL;
	e = p == &s->host ? journal_make_host_folder(p->folder) : journal_make_folder(p->folder);
	if (!e && !s->applied)
		e = claim_name(p);
	p->ready = !e;
	return e;
}

static error *open_as(struct settings **ret, bool applied)
{
	struct settings *s = xcalloc(1, sizeof(*s));

	s->pid = getpid();
	s->applied = applied;
	place_init(&s->own, journal_folder(), applied);
	place_init(&s->host, journal_host_folder(), applied);
	error *e = place_ready(s, &s->own);
	if (e)
		settings_close(s);
	else
		*ret = s;
	return e;
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
	free(s->own.folder);
	free(s->own.journal);
	free(s->host.folder);
	free(s->host.journal);
	free(s);
}

const char *settings_folder(const struct settings *s)
{
	return s->own.folder;
}

error *settings_restore(struct settings *s, struct strlist *said)
{
	error *e = NULL;

	if (getpid() != s->pid)
		return NULL;
	/* settings come first: VMs that are still dying may keep the rest waiting */
	if (s->host.ready)
		e = sweep(&(struct sweep_args){ .what = SWEEP_OWN,
						.folder = s->host.folder,
						.own = s->host.journal,
						.dead_too = true },
			  said);
	return err_first(e, sweep(&(struct sweep_args){ .what = SWEEP_OWN,
							.folder = s->own.folder,
							.own = s->own.journal },
				  said));
}

static error *sweep_existing(const char *folder, enum sweep what, const char *state, struct strlist *said)
{
	error *e;

	if (access(folder, F_OK) < 0)
		return NULL;
	e = journal_check_folder(folder);
	return e ? e : sweep(&(struct sweep_args){ .what = what, .folder = folder, .state = state }, said);
}

static error *sweep_places(enum sweep what, struct strlist *said)
{
	_cleanup_free_ char *own = journal_folder(), *host = journal_host_folder();
	error *e = sweep_existing(host, what, own, said);

	return str_eq(own, host) ? e : err_first(e, sweep_existing(own, what, NULL, said));
}

error *settings_recover(struct strlist *said)
{
	return sweep_places(SWEEP_DEAD, said);
}

error *settings_restore_applied(struct strlist *said)
{
	return sweep_places(SWEEP_APPLIED, said);
}

static const char *noun_of(const char *kind)
{
	static const char *const nouns[][2] = {
		{ "swapoff", "swap" },		{ "zram", "swap" },
		{ "rmdir", "cgroup" },		{ "rmtree", "folder" },
		{ "emptydir", "folder" },	{ "containers", "containers in" },
		{ "pidfiles", "processes of" }, { "controller", "handed down by" },
	};

	for (size_t i = 0; i < ARRAY_LEN(nouns); i++)
		if (str_eq(kind, nouns[i][0]))
			return nouns[i][1];
	return "setting";
}

static void describe(const struct journal *j, const json_t *entry, struct strlist *ret)
{
	bool applied = journal_is_applied(j->doc);
	const char *who = applied			? "applied for good, by process"
			  : journal_owner_lives(j->doc) ? "in use by process"
			  : journal_same_boot(j->doc)	? "left behind by dead process"
							: "left behind before the last boot by process";
	_cleanup_free_ char *own = journal_folder();
	const char *state = journal_text(j->doc, "state");
	_cleanup_free_ char *where = applied && *state && !str_eq(state, own)
					     ? xasprintf(", restored with MVMSCALE_STATE=%s", state)
					     : xstrdup("");
	long long pid = (long long)journal_number(j->doc, "pid");
	const char *kind = journal_text(entry, "kind"), *path = journal_text(entry, "path");

	if (str_eq(kind, "file"))
		strlist_addf(ret, "%s: '%s' -> '%s' (%s %lld%s)", path, journal_text(entry, "old"),
			     journal_text(entry, "new"), who, pid, where);
	else
		strlist_addf(ret, "%s %s (%s %lld)", noun_of(kind), path, who, pid);
}

static error *list_pending(const char *folder, struct strlist *ret)
{
	_cleanup_(journal_unlockp) int fd = -1;
	_cleanup_(journals_clear) struct journals all = { 0 };
	_cleanup_free_ struct entry_ref *refs = NULL;
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

error *settings_list_pending(struct strlist *ret)
{
	_cleanup_free_ char *own = journal_folder(), *host = journal_host_folder();
	error *e = list_pending(host, ret);

	return str_eq(own, host) ? e : err_first(e, list_pending(own, ret));
}
