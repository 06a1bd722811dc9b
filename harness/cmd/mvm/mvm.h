/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_CMD_MVM_MVM_H
#define MVM_CMD_MVM_MVM_H

/* The verbs of the guest toolkit, a file each. Not for what they share: that is cmd/cmd.h. */

#include "cmd/cmd.h"

extern const struct command mvm_build;
extern const struct command mvm_inspect;
extern const struct command mvm_boot;
extern const struct command mvm_list;
extern const struct command mvm_verify;
extern const struct command mvm_wave;

#endif
