/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_NESTED_CPIO_H
#define MVM_NESTED_CPIO_H

#include <stddef.h>
#include <stdio.h>

#include "base/err.h"

/*
 * Archives in the "newc" format of cpio, which Linux takes as initramfs (Documentation/driver-api/
 * early-userspace/buffer-format.rst): an entry is a header of 110 characters, the name, and the data, each
 * padded to 4 bytes. Errors of the stream show in ferror().
 */
struct cpio {
	FILE *out;
	unsigned inode; /* names without hard links: each entry has its own */
};

/* A name has no leading slash. Folders must come before what is in them. */
void cpio_folder(struct cpio *c, const char *name);
void cpio_data(struct cpio *c, const char *name, unsigned mode, const void *data, size_t len);
/* The contents of a file of this host. */
error *cpio_file(struct cpio *c, const char *name, unsigned mode, const char *path) ERR_MUST_CHECK;
void cpio_end(struct cpio *c);

/*
 * Unpacks folders and files below `into`, which exists. A cut or foreign archive, and a name that leads out
 * of the folder, are EXIT_BAD_INPUT; `what` names the archive in errors.
 */
error *cpio_unpack(const char *data, size_t len, const char *what, const char *into) ERR_MUST_CHECK;
/* Length of the archive that stands first in data, 0 where it is cut or damaged: archives may follow each
 * other. */
size_t cpio_whole(const char *data, size_t len);

#endif
