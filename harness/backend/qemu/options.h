/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BACKEND_QEMU_OPTIONS_H
#define MVM_BACKEND_QEMU_OPTIONS_H

/* What the qemu backend is asked to do beyond what every backend is: its part of struct backend_config, and
   the options of `run` that fill it. */

#include "backend/backend.h"
#include "backend/qemu/preset.h"

struct qemu_config {
	const char *preset_name;
	const struct preset *preset; /* loaded from it by the caller */
	const char *accel;	     /* auto, tcg, kvm */
	const char *qemu;	     /* binary given by the user, or NULL */
	const char *machine;	     /* value of -machine instead of the preset's, or NULL */
	const char *tune;	     /* user's changes to the preset's techniques, or NULL */
	enum launch_mode launch;     /* LAUNCH_AUTO: as the preset says, falling back where that is refused */
};
extern const struct option_table qemu_options;

/* Rows that libvirt has as well, into its own configuration. */
#define QEMU_ROW_ACCEL(type)                                                                            \
	{                                                                                               \
		"accel", 0, "auto|tcg|kvm", RUN_GROUP_WHAT, OPT_WORD, offsetof(type, accel),            \
			.help = "Accelerator; auto takes KVM only if a probe guest boots in good time", \
			.words = "auto tcg kvm", .key = OPT_KEY                                         \
	}
#define QEMU_ROW_QEMU(type)                                                                                \
	{                                                                                                  \
		"qemu", 0, "PATH", RUN_GROUP_WHAT, OPT_TEXT, offsetof(type, qemu),                         \
			.help = "QEMU binary to test instead of the preset's", .key = OPT_KEY, .file = "/" \
	}

#endif
