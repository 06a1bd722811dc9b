/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_TEST_COUNTS_H
#define MVM_TEST_COUNTS_H

/* What the kernel counts of what VMs take, to be held against what their backend declares. */

#include <sys/types.h>

#include "host/limits.h"

/* Adds what that process takes. */
void counts_add_process(pid_t pid, struct vm_cost *sum);
/* Adds the keys that bear the name of containers of this process. */
void counts_add_keys(struct vm_cost *sum);

#endif
