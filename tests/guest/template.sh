#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Templates that lie, break off or die in the midst of a batch: see template_test.c.
exec "${BUILD:-$(dirname "$0")/../../build}/template_test"
