/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BASE_FS_H
#define MVM_BASE_FS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/util.h"

/* Reads a whole file (also of /proc, whose size is unknown) of up to 1 GiB, NUL-terminated; the caller frees
 *ret. */
error *fs_read(const char *path, char **ret, size_t *ret_len) ERR_MUST_CHECK;
/* The same of a regular file only: a named pipe or a device is refused by name instead of waited for. */
error *fs_read_regular(const char *path, char **ret, size_t *ret_len) ERR_MUST_CHECK;
/* All of an open file of /proc or /sys from its beginning, NUL-terminated; of one that does not fit, the
   whole lines that do. Returns the bytes; 0 where it cannot be read. */
size_t fs_pread_text(int fd, char *buf, size_t size);
/* Reads a /proc or /sys file that holds one number; false when it is missing or not a number. */
bool fs_read_number(const char *path, long long *ret);
/* Writes through a temporary file in the same folder and rename(2): readers see the old or the new file. What
   is no plain file (a link, a device) is not replaced. See dir.h. */
error *fs_write_atomic(const char *path, const void *data, size_t len) ERR_MUST_CHECK;
/* The same, with zeros behind it up to `size`. */
error *fs_write_padded(const char *path, const void *data, size_t len, off_t size) ERR_MUST_CHECK;
/* Writes into an existing file (a /proc or /sys setting) with one write(2). */
error *fs_write_setting(const char *path, const char *value) ERR_MUST_CHECK;
/* Makes it and what is missing above it: writable by the owner alone, whatever the umask. */
error *fs_mkdirs(const char *path) ERR_MUST_CHECK;
/* Removes a folder and all below it; what is already gone is not an error. */
void fs_remove_tree(const char *path);
/* Names in a folder that begin with prefix, sorted; none where the folder is missing. */
error *fs_list(const char *path, const char *prefix, struct strlist *ret) ERR_MUST_CHECK;
/* Lower-case SHA-256 of a file, 64 digits; the caller frees *ret. */
error *fs_sha256(const char *path, char **ret) ERR_MUST_CHECK;
/*
 * Paths from the root, for what may be used from another folder than the one where it was typed; links are
 * kept, for a program may go by the name it is called by. The caller frees them.
 */
/* A path that was written with `folder` in mind; "" stays empty. */
char *fs_path_in(const char *folder, const char *path);
/* The same with the current folder. */
char *fs_absolute(const char *path);
/* The folder that a file lies in. */
char *fs_folder_of(const char *path);
/* Finds a program on PATH (or tests it where name has a slash), from the root; NULL when there is none. */
char *fs_find_program(const char *name);
/* The same; one that is not there is handed on for the message that says so. */
char *fs_program(const char *name);
/*
 * A file of this project: kind is one of DATA in the GNUmakefile, or "lib" for what is run or loaded. It is
 * searched below $MVMSCALE_DATA, in data/ beside the running binary (a build tree), at ../share/mvmscale from
 * it (wherever it was installed or moved to), then in the data folder of the PREFIX it was built with. NULL
 * when it is in none of them.
 */
char *fs_find_data(const char *kind, const char *name);
/*
 * Where a file that outlives runs is kept: what the environment variable own_variable names, else
 * mvmscale/name below $XDG_STATE_HOME, else below ~/.local/state (XDG Base Directory Specification: a
 * relative folder is as good as none). NULL where none of them is set; the caller frees it.
 */
char *fs_state_path(const char *own_variable, const char *name);
/* The folder of such files that would be searched first and exists; NULL when none does. */
char *fs_data_dir(const char *kind);

#endif
