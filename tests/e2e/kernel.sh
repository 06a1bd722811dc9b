#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A run under another kernel: MVMSCALE_TEST_VMLINUZ (its modules in MVMSCALE_TEST_MODULES), the first in /boot
# that can be read, or Debian's, downloaded once into the build folder and only unpacked.
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
: >vmlinuz-x
printf 'CONFIG_ZRAM=m\n# CONFIG_KVM_INTEL is not set\n' >config-x
t_fail "a folder that exists is kept" 2 'exists already' "$M" kernel --vmlinuz empty -o there
t_fail "options of the run are checked before booting" 2 'run: .*bogus' "$M" kernel --vmlinuz empty -o r -- --bogus
t_fail "so is the preset" 2 "unknown preset 'nix'" "$M" kernel --vmlinuz empty -o r -- --preset nix
t_fail "libvirt is refused by name" 3 'backend libvirt cannot work' \
	"$M" kernel --vmlinuz empty -o r -- --backend libvirt
t_fail "a swap file is refused: there is no disk" 3 'use --swap zram' "$M" kernel --vmlinuz empty -o r -- --swap 64M
t_fail "modules that are needed are asked for" 3 'name their folder with --modules' \
	"$M" kernel --vmlinuz vmlinuz-x -o r -- --swap zram:64M
t_fail "a kernel without KVM cannot run backend kvm" 3 'backend kvm cannot work.*built without' \
	"$M" kernel --vmlinuz vmlinuz-x -o r -- --backend kvm
t_fail "an OCI runtime that is not here is named" 3 'no OCI runtime.*nix' \
	"$M" kernel --vmlinuz empty -o r -- --backend oci --runtime nix
t_fail "modules from a folder without any" 2 'neither modules.dep' \
	"$M" kernel --vmlinuz empty --modules there -o r -- --backend null
t_fail "a module that is not there" 2 'no module nix' \
	sh -c ': >there/a.ko; exec "$@"' - "$M" kernel --vmlinuz empty --modules there --load nix -o r -- --backend null
t_fail "only one side of ab names a kernel" 2 'only side A' "$M" ab --a vmlinuz=empty --b ''
t_fail "modules in ab without a kernel" 2 'goes with a kernel' "$M" ab --a modules=there --b ''
if ! command -v qemu-system-x86_64 >/dev/null; then
	t_skip "a run under another kernel" "qemu-system-x86_64 is not installed"
	t_done
fi
t_fail "without QEMU it says what to install" 3 'install qemu-system-x86' \
	env PATH=/nonexistent "$M" kernel --vmlinuz empty -o r
echo '#!/bin/sh' >wrapper
chmod +x wrapper
t_fail "a QEMU that is a script is refused" 3 'script' "$M" kernel --vmlinuz empty -o r -- --qemu ./wrapper
t_fail "too little memory is told before booting" 3 '--memory 256 is too little' \
	"$M" kernel --vmlinuz empty --memory 256 -o r
t_fail "a file that is no kernel" 3 'outer QEMU ended' \
	"$M" kernel --vmlinuz "$M" --accel tcg --timeout 20 -o r -- --backend null
t_ok "and no folder is left" test ! -e r

# the kernel of Debian, neither installed nor of this host
download() {
	cache=$BUILD/test-kernel
	[ ! -e "$cache/complete" ] || return 0
	command -v apt-get >/dev/null && command -v dpkg >/dev/null || return
	package=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/.*Depends: \(linux-image-\)/\1/p')
	[ -n "$package" ] && mkdir -p "$cache" &&
		(cd "$cache" && timeout 60 apt-get -qq -o Acquire::Retries=0 -o Acquire::http::Timeout=5 download "$package" &&
			dpkg -x ./"$package"*.deb . && rm -f ./*.deb && touch complete) >/dev/null 2>&1
}
vmlinuz=${MVMSCALE_TEST_VMLINUZ-} modules=${MVMSCALE_TEST_MODULES-}
for f in /boot/vmlinuz-*; do
	if [ -z "$vmlinuz" ] && [ -r "$f" ]; then
		vmlinuz=$f modules=/lib/modules/${f#/boot/vmlinuz-}
	fi
done
if [ -z "$vmlinuz" ] && download; then
	for f in "$BUILD"/test-kernel/boot/vmlinuz-*; do
		vmlinuz=$f modules=$BUILD/test-kernel/lib/modules/${f##*/vmlinuz-}
	done
fi
if [ -z "$vmlinuz" ]; then
	t_skip "a run under another kernel" \
		"no kernel in /boot can be read, none can be downloaded, and MVMSCALE_TEST_VMLINUZ names none"
	t_done
fi
ln -s "$(command -v qemu-system-x86_64)" q
nested() {
	"$M" kernel --vmlinuz "$vmlinuz" --accel tcg --qemu ./q --timeout 150 -o r -- --quiet --qemu ./q \
		--preset lean --accel tcg --max 2 --intervals 1 --settle 0.3 --samples 3 --stop-on ram
}
marked() {
	grep -q '"nested": {' r/run.json && grep -q '"sha256"' r/run.json && [ -s r/intervals.csv ] && [ -s r/console.log ]
}
t_ok "a run under another kernel, both QEMUs named from here" nested
t_ok "is marked, and whole" marked
t_fail "a kernel that panics tells why" 3 'Unable to mount root fs.*no other rdinit in --append' \
	"$M" kernel --vmlinuz "$vmlinuz" --accel tcg --timeout 60 --append rdinit=/nix -o p -- --backend null --max 2
t_ok "its console is kept" grep -q 'Kernel panic' p-console.log

# interrupted DIR: swap on zram needs modules in their order; Ctrl-C once the run has it
interrupted() {
	mkdir tmp || return
	TMPDIR=$T/tmp "$M" kernel --vmlinuz "$vmlinuz" --modules "$modules" --accel tcg --timeout 150 -o i -- \
		--backend process --swap zram:64M --max 100 --intervals 100 --settle 1 --stop-on swap >i.log 2>&1 &
	run=$!
	while kill -0 $run 2>/dev/null && ! grep -qs 'of swap' tmp/*/console; do sleep 0.3; done
	sleep 3
	kill -INT $run
	wait $run
	status=$?
	cat i.log
	[ $status = 130 ]
}
came_out() {
	grep -q '"state": "interrupted"' i/run.json && grep -q '"kind": "zram"' i/run.json && grep -q 'zram.ko: loaded' i/console.log
}
if [ -d "$modules" ]; then
	t_ok "one with modules that is interrupted" interrupted
	t_ok "comes out, and had its swap" came_out
	t_ok "and nothing is left in TMPDIR" rmdir tmp
else
	t_skip "one with modules" "the kernel's modules are not here (MVMSCALE_TEST_MODULES)"
fi
t_done
