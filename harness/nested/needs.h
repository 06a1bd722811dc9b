/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_NESTED_NEEDS_H
#define MVM_NESTED_NEEDS_H

#include "base/err.h"
#include "nested/outer.h"
#include "nested/pack.h"

/*
 * What a run needs under another kernel, where there is nothing but what is taken along: no disk, no network,
 * no daemon.
 */

/* Refuses, by its name, what cannot work there; asks nothing of the kernel that only booting it could tell.
 */
error *needs_check(const struct outer_options *o) ERR_MUST_CHECK;
/* Takes along programs, libraries, firmware, presets, files that options name, modules. */
error *needs_pack(struct pack *p, const struct outer_options *o) ERR_MUST_CHECK;

/* How a kernel's configuration answers for one option: 'y', 'm', 'n', or '?' when the text is NULL. Pure. */
char needs_config(const char *config, const char *option);

#endif
