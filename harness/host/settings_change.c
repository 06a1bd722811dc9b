/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Changes of the host, and notes of what else is to be undone: each in the journal before it happens. */
#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "host/journal.h"
#include "host/settings_place.h"
#include "host/undo.h"

/* Our journal as it stands: whoever ends last may have taken deferred entries out of it. The lock is held. */
static error *own_journal(const struct settings *s, const struct place *p, json_t **ret)
{
	error *e = journal_load(p->journal, ret);

	if (e || *ret)
		return e;
	*ret = journal_new(s->applied);
	json_object_set_new(*ret, "state", json_string(s->own.folder));
	return NULL;
}

static error *save_own(const struct place *p, const json_t *doc)
{
	if (json_array_size(json_object_get(doc, "entries")))
		return journal_save(p->folder, p->journal, doc);
	if (unlink(p->journal) < 0 && errno != ENOENT)
		return err_sys(EXIT_CANNOT, errno, "cannot remove the journal %s", p->journal);
	return NULL;
}

static void append(json_t *doc, json_t *entry)
{
	json_object_set_new(entry, "at", json_integer(journal_now_ns()));
	json_array_append_new(json_object_get(doc, "entries"), entry);
}

static json_t *last_change(const json_t *doc, const char *path)
{
	json_t *entries = json_object_get(doc, "entries");

	for (size_t i = json_array_size(entries); i-- > 0;) {
		json_t *entry = json_array_get(entries, i);

		if (str_eq(journal_text(entry, "kind"), "file") && str_eq(journal_text(entry, "path"), path))
			return entry;
	}
	return NULL;
}

/* Whether a journal of others has such an entry, younger than `at`. */
static bool others_have(const struct journals *all, const struct place *own, const char *kind,
			const char *path, const char *value, json_int_t at)
{
	json_t *entry;
	size_t i;

	for (size_t k = 0; k < all->count; k++) {
		if (str_eq(all->items[k].path, own->journal))
			continue;
		json_array_foreach(json_object_get(all->items[k].doc, "entries"), i, entry)
		{
			if (journal_number(entry, "at") > at && str_eq(journal_text(entry, "kind"), kind) &&
			    str_eq(journal_text(entry, "path"), path) &&
			    (!value || str_eq(journal_text(entry, "value"), value)))
				return true;
		}
	}
	return false;
}

/* What a change of a shared setting needs: the lock, our journal, and what others have there. */
struct shared {
	int lock;
	json_t *doc;
	struct journals all;
};

static void shared_end(struct shared *h)
{
	json_decref(h->doc);
	journals_clear(&h->all);
	journal_unlockp(&h->lock);
}

static error *shared_begin(struct settings *s, struct shared *ret)
{
	_cleanup_(strlist_clear) struct strlist damaged = { 0 }; /* said at each start */
	error *e = place_ready(s, &s->host);

	if (!e)
		e = journal_lock(s->host.folder, &ret->lock);
	if (!e)
		e = journals_load(s->host.folder, &ret->all, &damaged);
	if (!e)
		e = own_journal(s, &s->host, &ret->doc);
	return e;
}

/*
 * Writes down that the setting is about to go from `old` to `value`. A change upon our own last one becomes
 * part of it: what is undone is the value before us, and a run changes some settings with every interval.
 */
static void note_change(const struct settings *s, struct shared *h, const char *path, const char *old,
			const char *value, const char *why)
{
	json_t *mine = last_change(h->doc, path);

	if (mine && str_eq(old, value) && str_eq(journal_text(mine, "new"), old))
		return;
	if (mine && !json_is_true(json_object_get(mine, "deferred")) &&
	    str_eq(journal_text(mine, "new"), old) &&
	    !others_have(&h->all, &s->host, "file", path, NULL, journal_number(mine, "at"))) {
		/* until it is written, the value before is ours as well */
		json_object_set(mine, "before", json_object_get(mine, "new"));
		json_object_set_new(mine, "new", json_string(value));
		return;
	}
	append(h->doc, json_pack("{s:s, s:s, s:s, s:s, s:s}", "kind", "file", "path", path, "old", old, "new",
				 value, "why", why ? why : ""));
}

static error *write_value(const struct settings *s, struct shared *h, const char *path, const char *old,
			  const char *value, const char *why)
{
	json_auto_t *before = json_deep_copy(h->doc);
	_cleanup_free_ char *now = NULL;
	error *e;

	note_change(s, h, path, old, value, why);
	/* written down even when it is so already: as long as we live, others leave it so */
	if (json_equal(before, h->doc))
		return NULL;
	e = save_own(&s->host, h->doc);
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
	error *j = save_own(&s->host, before);
	err_free(j); /* the entry left in asks for a value that is in force: harmless */
	return e;
}

/* Whether `now` is a number that is enough where `wanted` is. */
static bool is_enough(const char *now, const char *wanted)
{
	double a, b;

	return parse_double(now, 0, 1e18, &a) && parse_double(wanted, 0, 1e18, &b) && a >= b;
}

static error *set(struct settings *s, const char *path, const char *value, const char *why, bool at_least)
{
	_cleanup_(shared_end) struct shared h = { .lock = -1 };
	_cleanup_free_ char *old = NULL;
	error *e;

	if (*path != '/')
		return err_new(EXIT_BAD_INPUT, "cannot set '%s': the path of a setting starts with /", path);
	e = shared_begin(s, &h);
	if (!e)
		e = setting_read(path, &old);
	if (e) {
		e->code = EXIT_CANNOT;
		return e;
	}
	return write_value(s, &h, path, old, at_least && is_enough(old, value) ? old : value, why);
}

error *settings_set(struct settings *s, const char *path, const char *value, const char *why)
{
	return set(s, path, value, why, false);
}

error *settings_raise(struct settings *s, const char *path, const char *value, const char *why)
{
	return set(s, path, value, why, true);
}

error *settings_hold(struct settings *s, const char *path, const char *why)
{
	_cleanup_(shared_end) struct shared h = { .lock = -1 };
	_cleanup_free_ char *now = NULL;
	error *e;

	if (access(s->host.folder, F_OK) < 0)
		return NULL; /* nobody changed anything */
	e = shared_begin(s, &h);
	if (e || !others_have(&h.all, &s->host, "file", path, NULL, -1))
		return e;
	e = setting_read(path, &now);
	return e ? e : write_value(s, &h, path, now, now, why);
}

/* Whether one of the words of a list is that one: "cpuset" is not "cpu". */
static bool has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = list; *p; p += strspn(p, " \n")) {
		size_t len = strcspn(p, " \n");

		if (len == n && strncmp(p, word, n) == 0)
			return true;
		p += len;
	}
	return false;
}

error *settings_hand_down(struct settings *s, const char *cgroup, const char *controller)
{
	_cleanup_free_ char *file = xasprintf("%s/cgroup.subtree_control", cgroup);
	_cleanup_free_ char *offers = xasprintf("%s/cgroup.controllers", cgroup);
	_cleanup_free_ char *on = xasprintf("+%s", controller), *now = NULL, *offered = NULL;
	_cleanup_(shared_end) struct shared h = { .lock = -1 };
	error *e = shared_begin(s, &h);

	if (e || (e = fs_read(file, &now, NULL)))
		return e;
	bool is_on = has_word(now, controller);
	/* what is on though none of us switched it on is not ours to switch off */
	if (is_on && !others_have(&h.all, &s->host, "controller", file, controller, -1))
		return NULL;
	if ((e = fs_read(offers, &offered, NULL)))
		return e;
	if (!has_word(offered, controller))
		return err_new(EXIT_CANNOT,
			       "%s does not have the controller %s: it may be in use in a hierarchy of v1",
			       offers, controller);
	append(h.doc, json_pack("{s:s, s:s, s:s}", "kind", "controller", "path", file, "value", controller));
	if ((e = save_own(&s->host, h.doc)) || is_on)
		return e;
	return setting_write(file, on);
}

/* Of what only we use. Takes the entry. */
static error *note_entry(struct settings *s, json_t *entry)
{
	_cleanup_(journal_unlockp) int fd = -1;
	json_auto_t *doc = NULL, *owned = entry;
	const char *path = journal_text(entry, "path");
	error *e;

	if (*path != '/')
		return err_new(EXIT_BAD_INPUT, "cannot note '%s' for undoing: its path must start with /",
			       path);
	e = journal_lock(s->own.folder, &fd);
	if (!e)
		e = own_journal(s, &s->own, &doc);
	if (e)
		return e;
	append(doc, json_incref(owned));
	return save_own(&s->own, doc);
}

static error *note(struct settings *s, const char *kind, const char *path, const char *value)
{
	return note_entry(s, json_pack("{s:s, s:s, s:s*}", "kind", kind, "path", path, "value", value));
}

error *settings_note_made(struct settings *s, const char *path)
{
	_cleanup_(journal_unlockp) int fd = -1;
	json_auto_t *doc = NULL;
	struct stat st;
	error *e;

	if (lstat(path, &st) < 0)
		return err_sys(EXIT_CANNOT, errno, "cannot note %s for undoing", path);
	e = journal_lock(s->own.folder, &fd);
	if (!e)
		e = own_journal(s, &s->own, &doc);
	if (e)
		return e;
	json_t *entries = json_object_get(doc, "entries");
	for (size_t i = json_array_size(entries); i-- > 0;) {
		json_t *entry = json_array_get(entries, i);

		if (!str_eq(journal_text(entry, "path"), path))
			continue;
		json_object_set_new(entry, "dev", json_integer((json_int_t)st.st_dev));
		json_object_set_new(entry, "ino", json_integer((json_int_t)st.st_ino));
		return save_own(&s->own, doc);
	}
	return NULL;
}

error *settings_note_swap(struct settings *s, const char *path, const char *label)
{
	return note(s, "swapoff", path, label);
}

error *settings_note_zram(struct settings *s, const char *path, const char *label)
{
	return note(s, "zram", path, label);
}

error *settings_note_cgroup(struct settings *s, const char *path)
{
	return note(s, "rmdir", path, NULL);
}

error *settings_note_tree(struct settings *s, const char *path)
{
	size_t n = strlen(s->own.folder);

	if (strncmp(path, s->own.folder, n) != 0 || path[n] != '/' || strstr(path, "/.."))
		return err_new(EXIT_BAD_INPUT, "cannot note %s for removal: it is not below %s", path,
			       s->own.folder);
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
