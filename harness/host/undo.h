/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_HOST_UNDO_H
#define MVM_HOST_UNDO_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "base/err.h"

/* Containers are named so; nothing else is ever deleted. */
#define CONTAINER_ID_PREFIX "mvmscale-"

/* One step back, as a journal of settings.c describes it: {"kind", "path", ...}. */
enum undo_result {
	UNDO_DONE,
	UNDO_NOTHING, /* it was as it should be already */
	UNDO_FOREIGN, /* someone else changed it since: left alone */
	UNDO_FAILED,
};

/*
 * Undoes one entry. `folder` bounds what "rmtree" may remove; with same_boot false only what
 * outlives a reboot (files) is undone. *said is a line for the user, or NULL; the caller frees it.
 */
enum undo_result undo_entry(const json_t *entry, const char *folder, bool same_boot, char **said);

/* The value in force of a settings file ("madvise" of "always [madvise] never"); the caller frees *ret. */
error *setting_read(const char *path, char **ret) ERR_MUST_CHECK;
/* Writes with one write(2); a plain file (tests) is emptied first. */
error *setting_write(const char *path, const char *value) ERR_MUST_CHECK;

/* Parts of undo_entry(). */
/* Whether that file is the one that the entry says was made; true where it does not say. */
bool undo_is_made(const json_t *entry, const struct stat *st);
/* Takes the error into *said. */
enum undo_result undo_failed(char **said, error *e);
enum undo_result undo_swap(const json_t *entry, const char *path, bool same_boot, char **said);
enum undo_result undo_zram(const char *path, const char *label, char **said);
/* Deletes the containers of an OCI runtime whose --root is `root`. *said as above. */
enum undo_result undo_containers(const char *root, const char *runtime, char **said);

#endif
