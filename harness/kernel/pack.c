/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "kernel/pack.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

#include "backend/spawn.h"

#define LINKER "/lib64/ld-linux-x86-64.so.2"
#define LIST_TIMEOUT_MS 20000

static bool holds(const struct strlist *l, const char *name)
{
	for (size_t i = 0; i < l->count; i++)
		if (str_eq(l->items[i], name))
			return true;
	return false;
}

/* Names in the archive have no leading slash. */
static const char *inside(const char *path)
{
	return path + strspn(path, "/");
}

static void folders_above(struct pack *p, const char *name)
{
	_cleanup_free_ char *dir = xstrdup(name);

	for (char *slash = strchr(dir, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (!holds(&p->names, dir)) {
			strlist_add(&p->names, dir);
			cpio_folder(&p->archive, dir);
		}
		*slash = '/';
	}
}

error *pack_file(struct pack *p, const char *path, const char *as)
{
	const char *name = inside(as ? as : path);

	if (holds(&p->names, name))
		return NULL;
	folders_above(p, name);
	strlist_add(&p->names, name);
	return cpio_file(&p->archive, name, access(path, X_OK) == 0 ? 0755 : 0644, path);
}

void pack_text(struct pack *p, const char *as, const char *text)
{
	folders_above(p, inside(as));
	cpio_data(&p->archive, inside(as), 0644, text, strlen(text));
}

void pack_libraries(const char *listing, struct strlist *ret)
{
	for (const char *line = listing; line && *line;
	     line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		size_t len = strcspn(line, "\n");
		const char *slash = memchr(line, '/', len), *end = slash ? strstr(slash, " (0x") : NULL;
		const char *arrow = slash ? strstr(line, "=> /") : NULL;

		if (arrow && arrow < line + len) {
			slash = arrow + 3;
			end = strstr(slash, " (0x");
		}
		if (end && end < line + len)
			strlist_addf(ret, "%.*s", (int)(end - slash), slash);
	}
}

error *pack_program(struct pack *p, const char *path, const char *as)
{
	char *argv[] = { (char *)LINKER, (char *)"--list", (char *)path, NULL };
	struct strlist libraries = { 0 };
	_cleanup_free_ char *listing = NULL;
	int status = 0;
	error *e = pack_file(p, path, as);

	if (!e)
		e = spawn_capture(argv, LIST_TIMEOUT_MS, &listing, &status);
	if (e)
		return e;
	/* a static program needs none, and the linker says so */
	if (status && !strstr(listing, "statically linked") && !strstr(listing, "not a dynamic"))
		return err_new(EXIT_CANNOT, "%s: its libraries cannot be told: %s", path, listing);
	if (strstr(listing, "not found"))
		return err_new(EXIT_CANNOT, "%s needs a library that is not on this host: %s", path, listing);
	pack_libraries(listing, &libraries);
	for (size_t i = 0; i < libraries.count && !e; i++)
		e = pack_file(p, libraries.items[i], NULL);
	strlist_clear(&libraries);
	return e;
}

error *pack_folder(struct pack *p, const char *dir, const char *as)
{
	struct dirent **names = NULL;
	int n = scandir(dir, &names, NULL, alphasort);
	error *e = NULL;

	for (int i = 0; i < n; i++) {
		_cleanup_free_ char *path = xasprintf("%s/%s", dir, names[i]->d_name);
		_cleanup_free_ char *to = xasprintf("%s/%s", as, names[i]->d_name);
		struct stat st;

		if (!e && stat(path, &st) == 0 && S_ISREG(st.st_mode))
			e = pack_file(p, path, to);
		free(names[i]);
	}
	free(names);
	return e;
}

void pack_clear(struct pack *p)
{
	strlist_clear(&p->names);
}
