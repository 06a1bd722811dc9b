#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Clones of a running VM, and the template they come from: see clones_test.c.
exec "${BUILD:-$(dirname "$0")/../../build}/clones_test"
