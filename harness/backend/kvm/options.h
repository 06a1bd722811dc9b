/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BACKEND_KVM_OPTIONS_H
#define MVM_BACKEND_KVM_OPTIONS_H

/* What the kvm backend is asked to do beyond what every backend is: its part of struct backend_config, and
   the options of `run` that fill it. */

#include "backend/backend.h"

struct kvm_config {
	const char *accel; /* it has but one */
	unsigned shard;	   /* VMs per runner process; 0: the backend's own choice */
	bool no_debugfs;   /* the kernel makes no statistics files for each VM */
};
extern const struct option_table kvm_options;

#endif
