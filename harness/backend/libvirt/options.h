/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_BACKEND_LIBVIRT_OPTIONS_H
#define MVM_BACKEND_LIBVIRT_OPTIONS_H

/* What the libvirt backend is asked to do beyond what every backend is: which hosts, how VMs are spread over
   them and what a domain looks like. Its part of struct backend_config, and the options of `run` that fill
   it. */

#include "backend/backend.h"
#include "backend/libvirt/host_list.h"

struct libvirt_config {
	const char *accel;	/* auto, tcg, kvm */
	const char *qemu;	/* binary given by the user, or NULL */
	struct host_list hosts; /* empty: a private one of this run on this machine */
	const char *template;	/* file or name instead of the driver's own, or NULL */
	enum spread_policy place;
	bool place_given;
};
extern const struct option_table libvirt_options;

#endif
