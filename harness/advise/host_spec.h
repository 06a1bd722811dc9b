/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_ADVISE_HOST_SPEC_H
#define MVM_ADVISE_HOST_SPEC_H

#include <stdbool.h>

#include "base/err.h"

/* Another host that a measured curve is projected onto; NAN = as the measured one. */
struct host_spec {
	double cores, ram_kb, swap_kb, nodes;
};

/* Parses "cores=48,ram=128G,swap=0,nodes=2" (nodes: of NUMA; any part may be left out; K, M, G, T are powers
 * of 1024). */
error *host_spec_parse(const char *text, struct host_spec *ret) ERR_MUST_CHECK;
/* kB of "128G" or "0"; false on anything else. */
bool host_size_parse(const char *s, double *ret);

#endif
