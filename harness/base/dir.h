/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BASE_DIR_H
#define MVM_BASE_DIR_H

#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

/*
 * A folder that is held open, so that its files stay those of this folder whatever its name comes to mean.
 * On the way to it, a symbolic link is followed only where the kernel would with fs.protected_symlinks: not
 * one that another user put into a folder where anyone may write. In it, nothing that was there before is
 * opened for writing, and no link is followed.
 */
struct dir {
	int fd;
	char *path;
};
#define DIR_NONE ((struct dir){ .fd = -1 })

enum dir_want {
	/* makes what is missing, for others to read (0755 less the umask) */
	DIR_CREATE = 1 << 0,
	/* must be ours, and nobody else may write there: what others put there could be taken for ours */
	DIR_OWN = 1 << 1,
	/* open to nobody else (a new one is 0700), no link itself, and no other user can put another folder
	   in its place: then all below it may be named by its path. Implies DIR_OWN. */
	DIR_PRIVATE = 1 << 2,
};

/* want: of enum dir_want. What is no folder, or not as it must be, is EXIT_BAD_INPUT. */
error *dir_open(const char *path, unsigned want, struct dir *ret) ERR_MUST_CHECK;
void dir_close(struct dir *d);

/* A new file, to append to; `sys` of the error is EEXIST where something has that name, be it a link. The
 * caller owns *ret. */
error *dir_create(const struct dir *d, const char *name, int *ret) ERR_MUST_CHECK;
/* A whole file at once: readers see the old or the new one, never a part. Refuses to replace what is no plain
 * file. */
error *dir_replace(const struct dir *d, const char *name, const void *data, size_t len) ERR_MUST_CHECK;
/* The same, with zeros behind it up to `size`, which take no room where the file system knows holes. */
error *dir_replace_padded(const struct dir *d, const char *name, const void *data, size_t len,
			  off_t size) ERR_MUST_CHECK;
/* All of it behind what `fd` holds, or nothing: half a row would make the file unreadable. `path` is for the
 * message. */
error *dir_append(int fd, const char *path, const void *data, size_t len) ERR_MUST_CHECK;
/* What to say of a file that could not be written; names the limit where it was RLIMIT_FSIZE. */
error *dir_cannot_write(int sys, const char *path) ERR_MUST_CHECK;
/* Closes standard output; an error when something did not reach it, but for a reader that wants no more. */
error *dir_finish_output(void) ERR_MUST_CHECK;
/* A limit for files (RLIMIT_FSIZE) ends a program without a word unless it asks for an error instead, which a
 * full disk gives, too. Call it first. */
void dir_expect_full(void);

#endif
