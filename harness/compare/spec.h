/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef MVM_COMPARE_SPEC_H
#define MVM_COMPARE_SPEC_H

#include <argp.h>

#include "base/err.h"
#include "base/util.h"

/*
 * "qemu=/opt/q,tune=+ksm,-noaslr,no-raise" as options of a program: --qemu=/opt/q --tune=+ksm,-noaslr
 * --no-raise. A word after a comma that is neither KEY=VALUE nor an option without a value belongs to the
 * value before it, and so do the properties of a machine type: "machine=pc,usb=off". `known` is the table
 * that says what exists. Options that a comparison sets itself (out, json, quiet, repeat) are refused.
 * EXIT_BAD_INPUT names what is wrong. Pure.
 */
error *spec_parse(const char *text, const struct argp_option *known, struct strlist *ret) ERR_MUST_CHECK;
/* Names of the options in which two such lists differ. */
void spec_differences(const struct strlist *a, const struct strlist *b, struct strlist *ret);

#endif
