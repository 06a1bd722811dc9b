/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "nested/pack.h"

#include <dirent.h>
#include <elf.h>
#include <string.h>
#include <sys/stat.h>

#include "base/child.h"

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

void pack_data(struct pack *p, const char *as, const char *data, size_t len)
{
	folders_above(p, inside(as));
	cpio_data(&p->archive, inside(as), 0644, data, len);
}

void pack_text(struct pack *p, const char *as, const char *text)
{
	pack_data(p, as, text, strlen(text));
}

bool pack_is_script(const char *path)
{
	char head[2] = { 0 };
	_cleanup_fclose_ FILE *f = fopen(path, "re");

	return f && fread(head, 1, 2, f) == 2 && memcmp(head, "#!", 2) == 0;
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

/* Without a dynamic section nothing would be loaded for it, and the dynamic linker is not asked. */
static bool is_static(const char *path)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	Elf64_Ehdr head;
	Elf64_Phdr part;

	if (!f || fread(&head, sizeof(head), 1, f) != 1 || memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 ||
	    head.e_ident[EI_CLASS] != ELFCLASS64)
		return false;
	for (unsigned i = 0; i < head.e_phnum; i++)
		if (fseek(f, (long)(head.e_phoff + (Elf64_Off)i * head.e_phentsize), SEEK_SET) < 0 ||
		    fread(&part, sizeof(part), 1, f) != 1 || part.p_type == PT_DYNAMIC)
			return false;
	return true;
}

error *pack_program(struct pack *p, const char *path, const char *as)
{
	char *argv[] = { (char *)LINKER, (char *)"--list", (char *)path, NULL };
	struct strlist libraries = { 0 };
	_cleanup_free_ char *listing = NULL;
	int status = 0;
	error *e;

	if (pack_is_script(path))
		return err_new(EXIT_CANNOT,
			       "%s is a script, and no shell is taken along: name the program that it starts",
			       path);
	e = pack_file(p, path, as);
	if (e || is_static(path))
		return e;
	if ((e = child_capture(argv, LIST_TIMEOUT_MS, &listing, &status)))
		return e;
	/* a position-independent one may be static all the same, and the linker says so */
	if (status && !strstr(listing, "statically linked"))
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
