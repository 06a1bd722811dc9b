/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_ADVISE_HOST_SPEC_H
#define MVM_ADVISE_HOST_SPEC_H

#include "base/err.h"

/* Another host that a measured curve is projected onto; NAN = as the measured one. */
struct host_spec {
	double cores, ram_kb, swap_kb;
};

/* Parses "cores=48,ram=128G,swap=0" (any part may be left out; K, M, G, T are powers of 1024). */
error *host_spec_parse(const char *text, struct host_spec *ret) ERR_MUST_CHECK;

#endif
