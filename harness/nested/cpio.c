/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "nested/cpio.h"

#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/util.h"

#define MAGIC "070701"
#define HEADER 110
#define LAST "TRAILER!!!"

static void pad(FILE *out, size_t len)
{
	while (len++ % 4)
		fputc(0, out);
}

static void entry(struct cpio *c, const char *name, unsigned mode, const void *data, size_t len)
{
	size_t name_size = strlen(name) + 1;

	/* inode, mode, uid, gid, links, mtime, size, device (2), device it is (2), name, checksum (not in
	 * newc) */
	fprintf(c->out, MAGIC "%08x%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx%08x", ++c->inode, mode, 0U,
		0U, 1U, 0U, len, 0U, 0U, 0U, 0U, name_size, 0U);
	fwrite(name, 1, name_size, c->out);
	pad(c->out, HEADER + name_size);
	if (len)
		fwrite(data, 1, len, c->out);
	pad(c->out, len);
}

void cpio_folder(struct cpio *c, const char *name)
{
	entry(c, name, S_IFDIR | 0755, NULL, 0);
}

void cpio_data(struct cpio *c, const char *name, unsigned mode, const void *data, size_t len)
{
	entry(c, name, S_IFREG | mode, data, len);
}

error *cpio_file(struct cpio *c, const char *name, unsigned mode, const char *path)
{
	_cleanup_free_ char *data = NULL;
	size_t len = 0;
	error *e = fs_read(path, &data, &len);

	if (!e)
		cpio_data(c, name, mode, data, len);
	return e;
}

void cpio_end(struct cpio *c)
{
	entry(c, LAST, 0, NULL, 0);
}

/* The n-th of the 8-digit fields behind the magic. */
static bool field(const char *header, unsigned n, size_t *ret)
{
	char digits[9] = { 0 }, *end;

	memcpy(digits, header + 6 + 8 * n, 8);
	*ret = strtoul(digits, &end, 16);
	return *end == '\0';
}

static bool leads_out(const char *name)
{
	return *name == '/' || str_eq(name, "..") || str_starts(name, "../") || strstr(name, "/../") ||
	       (strlen(name) >= 3 && strcmp(name + strlen(name) - 3, "/..") == 0);
}

static error *unpack_one(const char *name, size_t mode, const char *data, size_t len, const char *into)
{
	_cleanup_free_ char *path = xasprintf("%s/%s", into, name);

	if (S_ISDIR(mode))
		return fs_mkdirs(path);
	return S_ISREG(mode) ? fs_write_atomic(path, data, len) : NULL;
}

/* One entry as it stands in an archive; name is NULL where the archive is cut. */
struct view {
	const char *name, *data;
	size_t mode, size, next;
};

static error *look(const char *data, size_t len, size_t at, const char *what, struct view *ret)
{
	const char *header = data + at;
	size_t name_size;

	*ret = (struct view){ 0 };
	if (at > len || len - at < HEADER)
		return NULL;
	if (memcmp(header, MAGIC, 6) != 0 || !field(header, 1, &ret->mode) || !field(header, 6, &ret->size) ||
	    !field(header, 11, &name_size))
		return err_new(EXIT_BAD_INPUT, "%s: byte %zu: no header of an archive", what, at);
	size_t body = (at + HEADER + name_size + 3) & ~(size_t)3;
	if (!name_size || name_size > len - at - HEADER || header[HEADER + name_size - 1] != '\0' ||
	    body > len || ret->size > len - body)
		return NULL;
	ret->data = data + body;
	ret->next = (body + ret->size + 3) & ~(size_t)3;
	ret->name = header + HEADER;
	return NULL;
}

error *cpio_unpack(const char *data, size_t len, const char *what, const char *into)
{
	struct view v = { 0 };

	for (size_t at = 0;; at = v.next) {
		error *e = look(data, len, at, what, &v);

		if (e)
			return e;
		if (!v.name)
			return err_new(EXIT_BAD_INPUT, "%s: the archive is cut: its last entry is missing",
				       what);
		if (str_eq(v.name, LAST))
			return NULL;
		if (leads_out(v.name))
			return err_new(EXIT_BAD_INPUT, "%s: the name '%s' leads out of the folder", what,
				       v.name);
		if ((e = unpack_one(v.name, v.mode, v.data, v.size, into)))
			return e;
	}
}

size_t cpio_whole(const char *data, size_t len)
{
	struct view v = { 0 };

	for (size_t at = 0;; at = v.next) {
		_cleanup_err_ error *e = look(data, len, at, "", &v);

		if (e || !v.name)
			return 0;
		if (str_eq(v.name, LAST))
			return MIN(v.next, len);
	}
}
