/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "host/journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/dir.h"
#include "base/fs.h"
#include "host/undo.h"

#define FORMAT 1
/* No journal of ours comes near it. */
#define JOURNAL_MAX_BYTES (64 << 20)
/* A flag of /proc/PID/stat (field 9), set before a dying process closes its files. */
#define PF_EXITING 0x4u

json_int_t journal_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (json_int_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static char *boot_id(void)
{
	char *id = NULL;
	_cleanup_err_ error *e = setting_read("/proc/sys/kernel/random/boot_id", &id);

	return e ? xstrdup("") : id;
}

/* Pids mean something only within one pid namespace. */
static char *pid_namespace(void)
{
	char buf[64];
	ssize_t n = readlink("/proc/self/ns/pid", buf, sizeof(buf) - 1);

	buf[MAX(n, 0)] = '\0';
	return xstrdup(buf);
}

/* Field 22 of /proc/PID/stat, the clock tick of its start; -1 when it is gone, a zombie or about to be. */
json_int_t journal_process_start(json_int_t pid)
{
	_cleanup_free_ char *path = xasprintf("/proc/%lld/stat", (long long)pid), *text = NULL;
	_cleanup_err_ error *e = fs_read(path, &text, NULL);
	char state;
	unsigned int flags;
	unsigned long long start;

	if (e)
		return -1;
	/* the command name may hold blanks and parentheses */
	const char *p = strrchr(text, ')');
	if (!p ||
	    sscanf(p + 1, " %c %*d %*d %*d %*d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
		   &state, &flags, &start) != 3)
		return -1;
	/* whoever waits for its pipe to close comes between that and the zombie */
	return state == 'Z' || state == 'X' || (flags & PF_EXITING) ? -1 : (json_int_t)start;
}

const char *journal_text(const json_t *o, const char *key)
{
	const char *v = json_string_value(json_object_get(o, key));

	return v ? v : "";
}

json_int_t journal_number(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

bool journal_same_boot(const json_t *doc)
{
	_cleanup_free_ char *id = boot_id();

	return str_eq(journal_text(doc, "boot_id"), id);
}

bool journal_is_applied(const json_t *doc)
{
	return str_eq(journal_text(doc, "owner"), "applied");
}

bool journal_owner_lives(const json_t *doc)
{
	_cleanup_free_ char *ns = pid_namespace();

	if (!journal_same_boot(doc))
		return false;
	if (!str_eq(journal_text(doc, "pid_ns"), ns))
		return true; /* cannot be known from here, so hands off */
	json_int_t start = journal_process_start(journal_number(doc, "pid"));
	return start >= 0 && start == journal_number(doc, "start");
}

/* A relative one means the same whatever folder is the working folder later. */
static char *given_folder(const char *name)
{
	const char *given = getenv(name);

	if (!given || !*given)
		return NULL;
	if (*given == '/')
		return xstrdup(given);
	_cleanup_free_ char *cwd = get_current_dir_name();
	return xasprintf("%s/%s", cwd ? cwd : "", given);
}

char *journal_folder(void)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	char *given = given_folder("MVMSCALE_STATE");

	if (given)
		return given;
	if (geteuid() == 0 && access("/run", W_OK) == 0)
		return xstrdup("/run/mvmscale");
	if (geteuid() != 0 && runtime && *runtime && access(runtime, W_OK) == 0)
		return xasprintf("%s/mvmscale", runtime);
	return xasprintf("/tmp/mvmscale-%u", (unsigned)geteuid());
}

/* By nothing that two runs on one host may differ in: not the state folder, not the environment of a login.
 */
char *journal_host_folder(void)
{
	_cleanup_free_ char *runtime = xasprintf("/run/user/%u", (unsigned)geteuid());
	char *given = given_folder("MVMSCALE_HOST_STATE");

	if (given)
		return given;
	if (geteuid() == 0 && access("/run", W_OK) == 0)
		return xstrdup("/run/mvmscale/host");
	if (geteuid() != 0 && access(runtime, W_OK) == 0)
		return xasprintf("%s/mvmscale/host", runtime);
	return xasprintf("/tmp/mvmscale-%u/host", (unsigned)geteuid());
}

/* What stands in the folder decides what is written to /proc, and the consoles of VMs lie in it: nobody else
 * may have a hand in it. */
static error *open_folder(const char *folder, unsigned want)
{
	struct dir d;
	error *e = dir_open(folder, want | DIR_PRIVATE, &d);

	dir_close(&d);
	if (!e)
		return NULL;
	e->code = EXIT_CANNOT;
	return err_wrap(e, "the state folder (see MVMSCALE_STATE)");
}

error *journal_check_folder(const char *folder)
{
	return open_folder(folder, 0);
}

error *journal_make_folder(const char *folder)
{
	return open_folder(folder, DIR_CREATE);
}

error *journal_make_host_folder(const char *folder)
{
	_cleanup_free_ char *above = xstrdup(folder);
	char *name = strrchr(above, '/');

	/* the default one is in a folder that is to be as safe: who may rename in it may replace ours */
	if (!getenv("MVMSCALE_HOST_STATE") && name) {
		*name = '\0';
		error *e = journal_make_folder(above);
		if (e)
			return e;
	}
	return journal_make_folder(folder);
}

/* On disk before the setting changes, and whole whatever happens. */
error *journal_save(const char *folder, const char *path, const json_t *doc)
{
	_cleanup_free_ char *text = json_dumps(doc, JSON_INDENT(1)), *tmp = xasprintf("%s.tmp", path);

	if (!text)
		return err_new(EXIT_CANNOT, "cannot write the journal %s: something in it is no text", path);
	unlink(tmp); /* of one that was killed */
	_cleanup_close_ int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || dir < 0)
		return err_sys(EXIT_CANNOT, errno, "cannot write the journal %s", path);
	error *e = fchmod(fd, 0600) < 0 ? err_sys(EXIT_CANNOT, errno, "%s", path)
					: dir_append(fd, path, text, strlen(text));
	if (!e && (fsync(fd) < 0 || rename(tmp, path) < 0))
		e = dir_cannot_write(errno, path);
	if (e) {
		unlink(tmp);
		return err_wrap(e, "the journal");
	}
	fsync(dir);
	return NULL;
}

static error *damaged(const char *path, const char *why)
{
	return err_new(EXIT_CANNOT, "the journal %s %s: left alone; look into it and remove it", path, why);
}

static bool is_sound(const json_t *doc)
{
	const json_t *entries = json_object_get(doc, "entries"), *entry;
	size_t i;

	if (!json_is_array(entries) || journal_number(doc, "format") != FORMAT)
		return false;
	json_array_foreach(entries, i, entry)
	{
		if (!*journal_text(entry, "kind") || !*journal_text(entry, "path"))
			return false;
	}
	return true;
}

json_t *journal_parse(const char *text, size_t len)
{
	json_t *doc = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);

	if (is_sound(doc))
		return doc;
	json_decref(doc);
	return NULL;
}

/* Nobody writes meanwhile: it is replaced as a whole. */
static json_t *parse_file(int fd, size_t size)
{
	_cleanup_free_ char *text = xcalloc(size + 1, 1);
	size_t len = 0;
	ssize_t n;

	while ((n = read(fd, text + len, size - len)) > 0 || (n < 0 && errno == EINTR))
		len += n > 0 ? (size_t)n : 0;
	return journal_parse(text, len);
}

/* What it says is done with our privilege: it has to be our own file, which nobody else could write. */
error *journal_load(const char *path, json_t **ret)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;

	*ret = NULL;
	if (fd < 0 && errno == ENOENT)
		return NULL;
	if (fd < 0 && errno == ELOOP)
		return damaged(path, "is a link");
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(EXIT_CANNOT, errno, "cannot read the journal %s", path);
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
		return damaged(path, "is no plain file with one name");
	if (st.st_uid != geteuid())
		return damaged(path, "belongs to another user");
	if (st.st_mode & 022)
		return damaged(path, "can be written by others");
	*ret = st.st_size > JOURNAL_MAX_BYTES ? NULL : parse_file(fd, (size_t)st.st_size);
	return *ret ? NULL : damaged(path, "is damaged");
}

void journals_clear(struct journals *all)
{
	for (size_t i = 0; i < all->count; i++) {
		free(all->items[i].path);
		json_decref(all->items[i].doc);
	}
	free(all->items);
	*all = (struct journals){ 0 };
}

static bool is_journal(const char *name)
{
	size_t n = strlen(name);

	return (str_starts(name, "restore-") || str_starts(name, "applied-")) && n > 5 &&
	       strcmp(name + n - 5, ".json") == 0;
}

/* What a writer that was killed left behind: nobody writes now, for we hold the lock. */
static bool is_half_written(const char *name)
{
	size_t n = strlen(name);

	return (str_starts(name, "restore-") || str_starts(name, "applied-")) && n > 9 &&
	       strcmp(name + n - 9, ".json.tmp") == 0;
}

error *journals_load(const char *folder, struct journals *all, struct strlist *said)
{
	DIR *d = opendir(folder);

	if (!d)
		return err_sys(EXIT_CANNOT, errno, "cannot read the state folder %s", folder);
	for (struct dirent *e; (e = readdir(d));) {
		if (is_half_written(e->d_name))
			unlinkat(dirfd(d), e->d_name, 0);
		if (!is_journal(e->d_name))
			continue;
		struct journal j = { .path = xasprintf("%s/%s", folder, e->d_name) };

		_cleanup_err_ error *bad = journal_load(j.path, &j.doc);
		if (bad)
			strlist_add(said, bad->msg);
		if (!j.doc) {
			free(j.path);
			continue;
		}
		all->items = xrealloc(all->items, all->count + 1, sizeof(*all->items));
		all->items[all->count++] = j;
	}
	closedir(d);
	return NULL;
}

bool journal_is_own(const json_t *doc)
{
	_cleanup_free_ char *ns = pid_namespace();

	return journal_same_boot(doc) && str_eq(journal_text(doc, "pid_ns"), ns) &&
	       journal_number(doc, "pid") == getpid() &&
	       journal_number(doc, "start") == journal_process_start(getpid());
}

char *journal_foreign_name(const char *path)
{
	_cleanup_free_ char *ns = pid_namespace();
	const char *number = strchr(ns, '[');

	return xasprintf("%.*s-%.*s.json", (int)(strlen(path) - 5), path,
			 number ? (int)strcspn(number + 1, "]") : 0, number ? number + 1 : "");
}

json_t *journal_new(bool applied)
{
	_cleanup_free_ char *id = boot_id(), *ns = pid_namespace();

	return json_pack("{s:i, s:s, s:i, s:I, s:s, s:s, s:[]}", "format", FORMAT, "owner",
			 applied ? "applied" : "process", "pid", (int)getpid(), "start",
			 journal_process_start((json_int_t)getpid()), "boot_id", id, "pid_ns", ns, "entries");
}
