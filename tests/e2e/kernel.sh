#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A run under another kernel: MVMSCALE_TEST_VMLINUZ, or the first in /boot that can be read.
. "$(dirname "$0")/lib.sh"

M=$BUILD/mvmscale
T=$(t_tmp)
cd "$T" || exit 1

t_fail "a kernel must be named" 2 'vmlinuz' "$M" kernel
t_fail "a missing kernel is named" 2 'nowhere' "$M" kernel --vmlinuz nowhere -o r
t_fail "the folder is of this host" 2 'before the --' "$M" kernel --vmlinuz nowhere -- --out r
t_fail "the inner part is refused outside" 2 'first process' "$M" kernel --inside
mkdir there
: >empty
t_fail "a folder that exists is kept" 2 'exists already' "$M" kernel --vmlinuz empty -o there
t_fail "without QEMU it says what to install" 3 'install qemu-system-x86' \
	env PATH=/nonexistent "$M" kernel --vmlinuz empty -o r
if ! command -v qemu-system-x86_64 >/dev/null; then
	t_skip "a run under another kernel" "qemu-system-x86_64 is not installed"
	t_done
fi
t_fail "modules without modules.dep" 2 'modules.dep' "$M" kernel --vmlinuz empty --modules there --accel tcg -o r
t_fail "a file that is no kernel" 3 'outer QEMU ended' "$M" kernel --vmlinuz "$M" --accel tcg --timeout 20 -o r
t_ok "and no folder is left" test ! -e r

vmlinuz=${MVMSCALE_TEST_VMLINUZ-}
for f in /boot/vmlinuz-*; do
	[ -n "$vmlinuz" ] || [ ! -r "$f" ] || vmlinuz=$f
done
if [ -z "$vmlinuz" ]; then
	t_skip "a run under another kernel" "no kernel in /boot can be read, and MVMSCALE_TEST_VMLINUZ names none"
	t_done
fi
nested() {
	"$M" kernel --vmlinuz "$vmlinuz" --accel tcg --timeout 150 -o r -- \
		--preset lean --accel tcg --max 4 --intervals 2 --settle 0.3 --samples 3 --stop-on ram
}
marked() {
	grep -q '"nested": {' r/run.json && grep -q '"sha256"' r/run.json && [ -s r/intervals.csv ]
}
t_ok "a run under another kernel" nested
t_ok "is marked, and whole" marked
t_fail "a run that cannot be made tells why" 2 "unknown preset 'nix'" \
	"$M" kernel --vmlinuz "$vmlinuz" --accel tcg --timeout 100 -o s -- --preset nix
t_done
