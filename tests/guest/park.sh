#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A template that is stopped while its threads allocate memory: see park_test.c.
exec "${BUILD:-$(dirname "$0")/../../build}/park_test"
