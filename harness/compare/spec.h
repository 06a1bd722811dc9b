/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_COMPARE_SPEC_H
#define MVM_COMPARE_SPEC_H

#include "base/err.h"
#include "base/option.h"
#include "base/util.h"

/*
 * "qemu=/opt/q,tune=+ksm,-noaslr,no-raise" as options of a program: --qemu=/opt/q --tune=+ksm,-noaslr
 * --no-raise. A word after a comma that is neither KEY=VALUE nor an option without a value belongs to the
 * value before it, and so do the properties of a machine type: "machine=pc,usb=off". `known` are the rows
 * of what exists, ended by NULL. Options that a comparison sets itself are refused.
 * EXIT_BAD_INPUT names what is wrong. Pure.
 */
error *spec_parse(const char *text, const struct option_row *const *known,
		  struct strlist *ret) ERR_MUST_CHECK;
/* Names of the options in which two such lists differ. */
void spec_differences(const struct strlist *a, const struct strlist *b, struct strlist *ret);

#endif
