#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Every guest on every machine, firmware and accelerator: see guest_test.c.
exec "${BUILD:-$(dirname "$0")/../../build}/guest_test"
