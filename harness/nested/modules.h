/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_NESTED_MODULES_H
#define MVM_NESTED_MODULES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/util.h"
#include "nested/pack.h"

/*
 * The modules of a kernel: which to take along, and the order to load them. What a module needs comes from
 * modules.dep, or from the modules themselves where depmod has not run yet (a package that was only unpacked,
 * a build tree).
 */
struct modules {
	char *dir;
	char *dep, *builtin;  /* texts of modules.dep and modules.builtin, or NULL */
	struct strlist files; /* without modules.dep: all modules below dir, relative to it */
	struct strlist order; /* to be loaded, what is needed first */
};

/* dir is a folder such as /lib/modules/VERSION; one without any module is EXIT_BAD_INPUT. */
error *modules_open(const char *dir, struct modules *ret) ERR_MUST_CHECK;
/* Adds a module and what it needs. *ret_found is false when it is neither there nor built in. */
error *modules_add(struct modules *m, const char *name, bool *ret_found) ERR_MUST_CHECK;
/* Puts them, decompressed, and the list INSIDE_MODULES/order into the archive. */
error *modules_pack(const struct modules *m, struct pack *p) ERR_MUST_CHECK;
void modules_clear(struct modules *m);

/* The file of one module and those that it needs, in the order to load them, from the text of a modules.dep;
   false when it does not hold the module. Pure. */
bool modules_order(const char *modules_dep, const char *name, struct strlist *ret);
/* What a module says that it needs: names in the "depends=" of its .modinfo. Pure. */
void modules_depends(const char *data, size_t len, struct strlist *ret);
/* Whether the path is that of a module of that name, compressed or not; '-' and '_' are the same. Pure. */
bool modules_same(const char *path, size_t len, const char *name, size_t name_len);

#endif
