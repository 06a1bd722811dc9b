/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BACKEND_INIT_PROGRAM_H
#define MVM_BACKEND_INIT_PROGRAM_H

#include "backend/backend.h"

/* mvminit, the process that does what a guest does, and the image whose parameters it follows. */
/* What a process of it takes of the commit limit: its stack. */
#define INIT_COMMIT_KB 136

struct init_program {
	char *path, *sha256;
	char *image; /* written into the runtime folder */
};

error *init_program_probe(void) ERR_MUST_CHECK;
error *init_program_find(const struct backend_config *cfg, struct init_program *ret) ERR_MUST_CHECK;
void init_program_clear(struct init_program *i);

#endif
