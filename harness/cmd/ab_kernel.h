/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_CMD_AB_KERNEL_H
#define MVM_CMD_AB_KERNEL_H

/* Private to the ab command: sides that name a kernel, and so are runs of 'mvmscale kernel'. */

#include "base/err.h"
#include "base/option.h"
#include "base/util.h"

/* What a SPEC may hold: the options of run, and those of kernel that may differ between sides. The caller
   frees it, not what it points to. */
const struct option_row **ab_spec_rows(void);
/* Moves the options of kernel out of a side's options. */
void ab_take_kernel_options(struct strlist *options, struct strlist *ret);
/* Refuses sides of which only one names a kernel, and options of kernel without one. outer may be NULL. */
error *ab_check_kernels(const struct strlist kernel[2], const char *outer) ERR_MUST_CHECK;
/* The beginning of the command line of a run under a kernel, up to the options of run. */
void ab_add_kernel(const struct strlist *kernel, const char *outer, const char *dir, struct strlist *argv);

#endif
