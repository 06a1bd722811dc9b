/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BACKEND_LIBVIRT_LEFT_H
#define MVM_BACKEND_LIBVIRT_LEFT_H

#include <stdbool.h>

#include "base/err.h"
#include "base/util.h"

/*
 * Domains and storage pools on that libvirt host which a harness that is gone left behind: one line of
 * `said` for each. With `remove` they are destroyed. One counts only if its name and UUID
 * are ours, it was made from this machine, and the process that made it no longer runs.
 */
error *libvirt_leftovers(const char *uri, bool remove, struct strlist *said) ERR_MUST_CHECK;

#endif
