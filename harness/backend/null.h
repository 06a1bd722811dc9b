/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BACKEND_NULL_H
#define MVM_BACKEND_NULL_H

/* What the null backend's VMs cost: its part of struct backend_config. No process, a cost by arithmetic, for
   tests of the harness itself. */

#include "backend/backend.h"

struct null_config {
	double mem_kb, cpu_pct; /* per VM: memory, and CPU as a share of the host */
	double start_ms;	/* from spawn to ready */
	double noise;		/* relative sd of each reading */
};

#endif
