#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# VMs of one population with values of their own: see vary_test.c.
exec "${BUILD:-$(dirname "$0")/../../build}/vary_test"
