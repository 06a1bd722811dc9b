/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "nested/modules.h"

#include <errno.h>
#include <ftw.h>
#include <string.h>
#include <sys/mman.h>

#include "base/child.h"
#include "base/fs.h"
#include "base/spawn.h"
#include "nested/inside.h"

#define FOLDERS_OPEN 16

extern char **environ;

/* How modules are stored; the first is not compressed. */
static const struct {
	const char *suffix, *program;
} forms[] = {
	{ ".ko", NULL },
	{ ".ko.xz", "xz" },
	{ ".ko.zst", "zstd" },
	{ ".ko.gz", "gzip" },
};

/* Length of the path without the suffix of a module; 0 when it is none. *ret_form may be NULL. */
static size_t without_suffix(const char *path, size_t len, size_t *ret_form)
{
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		size_t n = strlen(forms[i].suffix);

		if (len <= n || strncmp(path + len - n, forms[i].suffix, n) != 0)
			continue;
		if (ret_form)
			*ret_form = i;
		return len - n;
	}
	return 0;
}

bool modules_same(const char *path, size_t len, const char *name, size_t name_len)
{
	const char *slash = memrchr(path, '/', len), *base = slash ? slash + 1 : path;
	size_t n = without_suffix(path, len, NULL), before = (size_t)(base - path);

	if (n <= before || n - before != name_len)
		return false;
	for (size_t i = 0; i < name_len; i++)
		if ((base[i] == '-' ? '_' : base[i]) != (name[i] == '-' ? '_' : name[i]))
			return false;
	return true;
}

static bool holds(const struct strlist *l, const char *item)
{
	for (size_t i = 0; i < l->count; i++)
		if (str_eq(l->items[i], item))
			return true;
	return false;
}

static void add_once(struct strlist *l, const char *s, size_t len)
{
	_cleanup_free_ char *item = xasprintf("%.*s", (int)len, s);

	if (!holds(l, item))
		strlist_add(l, item);
}

/* "a.ko: b.ko c.ko": what is needed stands last to first behind the colon. */
static void add_with_needs(const char *line, size_t len, size_t own, struct strlist *ret)
{
	for (size_t end = len; end > own + 1;) {
		size_t from = end;

		while (from > own + 1 && line[from - 1] != ' ')
			from--;
		if (end > from)
			add_once(ret, line + from, end - from);
		end = from - (from > own + 1);
	}
	add_once(ret, line, own);
}

bool modules_order(const char *modules_dep, const char *name, struct strlist *ret)
{
	bool found = false;

	for (const char *line = modules_dep; *line;) {
		size_t len = strcspn(line, "\n"), own = strcspn(line, ":\n");

		if (modules_same(line, own, name, strlen(name))) {
			add_with_needs(line, len, own, ret);
			found = true;
		}
		line += len + (line[len] == '\n');
	}
	return found;
}

void modules_depends(const char *data, size_t len, struct strlist *ret)
{
	/* strings of .modinfo end with a zero each; no other section has one that begins like this */
	static const char key[] = "\0depends=";
	const char *at = memmem(data, len, key, sizeof(key) - 1), *end = data + len;

	if (!at)
		return;
	for (at += sizeof(key) - 1; at < end && *at;) {
		size_t n = 0;

		while (at + n < end && at[n] && at[n] != ',')
			n++;
		if (n)
			add_once(ret, at, n);
		at += n + (at + n < end && at[n] == ',');
	}
}

static error *decompress(const char *program, const char *path, char **ret, size_t *ret_len)
{
	_cleanup_free_ char *found = fs_find_program(program);
	char *argv[] = { (char *)program, (char *)"-dc", (char *)path, NULL };
	_cleanup_close_ int fd = memfd_create("module", MFD_CLOEXEC);
	pid_t pid;

	if (!found)
		return err_new(EXIT_CANNOT, "%s is compressed, and %s is not installed to unpack it", path,
			       program);
	if (fd < 0)
		return err_sys(EXIT_CANNOT, errno, "cannot unpack %s", path);
	struct spawn_fd out = { .from = fd, .to = 1 };
	struct spawn_spec spec = { .path = found,
				   .argv = argv,
				   .envp = environ,
				   .stderr_fd = -1,
				   .cgroup_procs_fd = -1,
				   .fds = &out,
				   .fd_count = 1 };
	error *e = spawn_process(&spec, &pid);
	if (e)
		return e;
	if (child_wait(pid))
		return err_new(EXIT_BAD_INPUT, "'%s -dc %s' failed: is the file whole?", program, path);
	_cleanup_free_ char *memory = xasprintf("/proc/self/fd/%d", fd);
	return fs_read(memory, ret, ret_len);
}

static error *read_module(const struct modules *m, const char *file, char **ret, size_t *ret_len)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", m->dir, file);
	size_t form = 0;

	without_suffix(path, strlen(path), &form);
	return forms[form].program ? decompress(forms[form].program, path, ret, ret_len)
				   : fs_read(path, ret, ret_len);
}

/* nftw() hands no pointer through */
static struct strlist *walk_into;
static size_t walk_skip;

static int note_file(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	if (kind == FTW_F && without_suffix(path, strlen(path), NULL))
		strlist_add(walk_into, path + walk_skip);
	return 0;
}

static error *read_if_there(const char *dir, const char *name, char **ret)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", dir, name);

	return access(path, F_OK) == 0 ? fs_read(path, ret, NULL) : NULL;
}

error *modules_open(const char *dir, struct modules *ret)
{
	error *e;

	*ret = (struct modules){ .dir = realpath(dir, NULL) };
	if (!ret->dir)
		return err_sys(EXIT_BAD_INPUT, errno, "--modules %s", dir);
	if ((e = read_if_there(ret->dir, "modules.dep", &ret->dep)) ||
	    (e = read_if_there(ret->dir, "modules.builtin", &ret->builtin)) || ret->dep)
		return e;
	walk_into = &ret->files;
	walk_skip = strlen(ret->dir) + 1;
	nftw(ret->dir, note_file, FOLDERS_OPEN, FTW_PHYS);
	if (ret->files.count)
		return NULL;
	return err_new(
		EXIT_BAD_INPUT,
		"--modules %s: holds neither modules.dep nor any module: it needs a folder such as /lib/modules/VERSION",
		dir);
}

static const char *file_of(const struct modules *m, const char *name)
{
	for (size_t i = 0; i < m->files.count; i++)
		if (modules_same(m->files.items[i], strlen(m->files.items[i]), name, strlen(name)))
			return m->files.items[i];
	return NULL;
}

static bool is_built_in(const struct modules *m, const char *name)
{
	struct strlist none = { 0 };
	bool is = m->builtin && modules_order(m->builtin, name, &none);

	strlist_clear(&none);
	return is;
}

/* A module that is to be loaded, and the names of what it needs itself. */
struct node {
	const char *file; /* NULL: built in */
	char *name;
	struct strlist needs;
	bool placed;
};
struct nodes {
	struct node *items;
	size_t count;
};

static struct node *find_node(const struct nodes *n, const char *name)
{
	for (size_t i = 0; i < n->count; i++)
		if (str_eq(n->items[i].name, name))
			return &n->items[i];
	return NULL;
}

static error *add_node(const struct modules *m, struct nodes *n, const char *name, const char *for_whom)
{
	struct node new_node = { .file = file_of(m, name) };
	_cleanup_free_ char *data = NULL;
	size_t len = 0;
	error *e = NULL;

	if (!new_node.file && !is_built_in(m, name))
		return err_new(EXIT_BAD_INPUT, "%s: module %s needs %s, which is neither there nor built in",
			       m->dir, for_whom, name);
	if (new_node.file && (e = read_module(m, new_node.file, &data, &len)))
		return e;
	new_node.placed = !new_node.file;
	new_node.name = xstrdup(name);
	if (data)
		modules_depends(data, len, &new_node.needs);
	n->items = xrealloc(n->items, n->count + 1, sizeof(*n->items));
	n->items[n->count++] = new_node;
	return NULL;
}

static bool is_ready(const struct nodes *n, const struct node *of)
{
	for (size_t i = 0; i < of->needs.count; i++)
		if (!find_node(n, of->needs.items[i])->placed)
			return false;
	return true;
}

/* In rounds: each places what has all it needs; modules cannot need each other in a ring. */
static void place(struct nodes *n, struct strlist *order)
{
	for (size_t round = 0; round < n->count; round++)
		for (size_t i = 0; i < n->count; i++) {
			struct node *x = &n->items[i];

			if (x->placed || !is_ready(n, x))
				continue;
			add_once(order, x->file, strlen(x->file));
			x->placed = true;
		}
}

static error *add_from_files(struct modules *m, const char *name)
{
	struct nodes n = { 0 };
	error *e = add_node(m, &n, name, name);

	for (size_t i = 0; i < n.count && !e; i++)
		for (size_t k = 0; k < n.items[i].needs.count && !e; k++)
			if (!find_node(&n, n.items[i].needs.items[k]))
				e = add_node(m, &n, n.items[i].needs.items[k], n.items[i].name);
	if (!e)
		place(&n, &m->order);
	for (size_t i = 0; i < n.count; i++) {
		free(n.items[i].name);
		strlist_clear(&n.items[i].needs);
	}
	free(n.items);
	return e;
}

error *modules_add(struct modules *m, const char *name, bool *ret_found)
{
	*ret_found = true;
	if (is_built_in(m, name))
		return NULL;
	if (m->dep)
		*ret_found = modules_order(m->dep, name, &m->order);
	else if (file_of(m, name))
		return add_from_files(m, name);
	else
		*ret_found = false;
	return NULL;
}

error *modules_pack(const struct modules *m, struct pack *p)
{
	_cleanup_free_ char *list = xstrdup("");
	error *e = NULL;

	for (size_t i = 0; i < m->order.count && !e; i++) {
		const char *file = m->order.items[i], *slash = strrchr(file, '/');
		const char *base = slash ? slash + 1 : file;
		_cleanup_free_ char *name =
			xasprintf("%.*s.ko", (int)without_suffix(base, strlen(base), NULL), base);
		_cleanup_free_ char *as = xasprintf("%s/%s", INSIDE_MODULES, name), *data = NULL;
		size_t len = 0;

		e = read_module(m, file, &data, &len);
		if (!e)
			pack_data(p, as, data, len);
		char *longer = xasprintf("%s%s\n", list, name);
		free(list);
		list = longer;
	}
	pack_text(p, INSIDE_MODULES "/order", list);
	return e;
}

void modules_clear(struct modules *m)
{
	free(m->dir);
	free(m->dep);
	free(m->builtin);
	strlist_clear(&m->files);
	strlist_clear(&m->order);
	*m = (struct modules){ 0 };
}
