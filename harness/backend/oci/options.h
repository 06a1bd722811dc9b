/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BACKEND_OCI_OPTIONS_H
#define MVM_BACKEND_OCI_OPTIONS_H

/* What the oci backend is asked to do beyond what every backend is: its part of struct backend_config, and
   the options of `run` that fill it. */

#include "backend/backend.h"

struct oci_config {
	const char *runtime; /* OCI runtime given by the user, or NULL */
};
extern const struct option_table oci_options;

#endif
