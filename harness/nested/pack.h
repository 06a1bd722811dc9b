/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_NESTED_PACK_H
#define MVM_NESTED_PACK_H

#include <stdbool.h>

#include "base/err.h"
#include "base/util.h"
#include "nested/cpio.h"

/* An initramfs made of this host's own files, each under the path that it has here. */
struct pack {
	struct cpio archive;
	struct strlist names; /* what is in already */
};

/* A file under its own path, or `as`; folders above it come along. What is in already is passed over. */
error *pack_file(struct pack *p, const char *path, const char *as) ERR_MUST_CHECK;
/* A program or shared library with all that the dynamic linker would load for it. A script is refused: its
   interpreter, and what that calls, cannot be told. */
error *pack_program(struct pack *p, const char *path, const char *as) ERR_MUST_CHECK;
/* All plain files of a folder, placed in `as`. A folder that is not there adds nothing. */
error *pack_folder(struct pack *p, const char *dir, const char *as) ERR_MUST_CHECK;
void pack_text(struct pack *p, const char *as, const char *text);
/* Contents that are no file of this host. */
void pack_data(struct pack *p, const char *as, const char *data, size_t len);
void pack_clear(struct pack *p);

/* Whether the file begins with "#!". */
bool pack_is_script(const char *path);

/* The files that "ld.so --list" names, from its output; pure. */
void pack_libraries(const char *listing, struct strlist *ret);

#endif
