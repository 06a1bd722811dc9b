/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_HOST_GOVERNOR_H
#define MVM_HOST_GOVERNOR_H

#include "base/util.h"
#include "host/settings.h"

/* The cpufreq governors that every CPU offers, below `root` ("" is this host); none without
 * cpufreq. */
void governor_names(const char *root, struct strlist *ret);
/* Sets it on every CPU, through the journal. */
error *governor_set(struct settings *s, const char *root, const char *name) ERR_MUST_CHECK;

#endif
