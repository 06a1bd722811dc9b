/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_HOST_SETTINGS_PLACE_H
#define MVM_HOST_SETTINGS_PLACE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "host/settings.h"

/* Shared by settings.c, which undoes, and settings_change.c, which changes and notes. */

/* A folder of journals, and the name of ours in it. */
struct place {
	char *folder, *journal;
	bool ready; /* the folder is there and safe, the journal's name is free or ours */
};

struct settings {
	struct place own; /* of what only we use */
	struct place
		host; /* of settings, which every run of this host shares: made when the first is changed */
	pid_t pid;    /* a forked child must not undo what its parent did */
	bool applied;
};

/* Makes the folder and takes our name in it, once. */
error *place_ready(struct settings *s, struct place *p) ERR_MUST_CHECK;

#endif
