#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# make install: what is installed works by itself, wherever it lies, and make uninstall takes it all away.
. "$(dirname "$0")/lib.sh"

T=$(t_tmp)
prefix=/opt/scale
bin=$T$prefix/bin
# what is under test is the installed data, not the build tree's
unset MVMSCALE_DATA

make_there() {
	make --no-print-directory -C "$t_root" BUILD="$BUILD" PREFIX=$prefix DESTDIR="$T" "$@"
}

# Every file that the build made for users, and the pages of both programs
is_complete() {
	for f in bin/mvmscale bin/mvm lib/mvmscale/libmvmzygote.so lib/mvmscale/mvminit share/man/man1/mvmscale.1 share/man/man1/mvm.1 \
		share/mvmscale/guests/sleep.img share/mvmscale/guests/firmware.bin share/mvmscale/plots/scalability.gp \
		share/bash-completion/completions/mvmscale share/bash-completion/completions/mvm \
		share/doc/mvmscale/README.md share/doc/mvmscale/COPYING; do
		[ -s "$T$prefix/$f" ] || {
			echo "$prefix/$f is missing"
			return 1
		}
	done
}

lists_presets() {
	"$bin/mvmscale" list presets >"$T/list" && grep '^lean ' "$T/list" && grep '^stock ' "$T/list"
}

lists_guests() {
	"$bin/mvm" list >"$T/list" && grep ' sleep ' "$T/list" && grep ' idle ' "$T/list"
}

builds_image() {
	"$bin/mvm" build sleep -o "$T/x.img" && [ "$(wc -c <"$T/x.img")" -eq 512 ] &&
		"$bin/mvm" build sleep --firmware -o "$T/x.rom" && [ "$(wc -c <"$T/x.rom")" -eq 65536 ]
}

null_run() {
	(cd "$T" && "$bin/mvmscale" --backend null --max 100 --quiet -o run && [ -s run/intervals.csv ] &&
		[ -s run/advice.json ] && { ! command -v gnuplot >/dev/null || [ -s run/plot.svg ]; })
}

# A run whose VMs are the installed mvminit: the record says which file they were.
process_run() {
	(cd "$T" && MVMSCALE_STATE=$T/state "$bin/mvmscale" --backend process --max 2 --intervals 1 --settle 0 --samples 2 \
		--sample-time 0.05 --stop-on ram --verify all --quiet -o process &&
		grep "\"binary\": \"$1/.*lib/mvmscale/mvminit\"" process/run.json; status=$?; rm -rf process; exit $status)
}

completes() {
	bash -c '
		PATH=$1:$PATH
		. "$2"
		COMP_WORDS=(mvmscale run --pres) COMP_CWORD=2
		_mvmscale mvmscale
		[ "${COMPREPLY[*]}" = --preset ] || { echo "options: ${COMPREPLY[*]}"; exit 1; }
		COMP_WORDS=(mvmscale --profile sl) COMP_CWORD=2
		_mvmscale mvmscale 2>/dev/null
		[[ " ${COMPREPLY[*]} " == *" sleep "* ]] || { echo "profiles: ${COMPREPLY[*]}"; exit 1; }
		COMP_WORDS=(mvm bo) COMP_CWORD=1
		_mvm mvm
		[ "${COMPREPLY[*]}" = boot ] || { echo "verbs: ${COMPREPLY[*]}"; exit 1; }
	' - "$bin" "$T$prefix/share/bash-completion/completions/mvmscale"
}

nothing_left() {
	left=$(find "$T$prefix" ! -type d)
	[ -z "$left" ] || {
		echo "$left"
		return 1
	}
}

t_ok "make install with a PREFIX other than the build's" make_there install
t_ok "all is there" is_complete
t_ok "the installed mvmscale finds its presets" lists_presets
t_ok "the installed mvm finds its guests" lists_guests
t_ok "the installed mvm builds an image and a firmware" builds_image
t_ok "a null run with what is installed" null_run
t_ok "its processes are the installed mvminit" process_run "$T$prefix"
if command -v bash >/dev/null; then
	t_ok "completion asks the installed programs" completes
else
	t_skip "completion asks the installed programs" "no bash"
fi
if [ -e /usr/bin/qemu-system-x86_64 ]; then
	boots() {
		echo ping | "$bin/mvm" boot "$T/x.img" --accel tcg | grep pong
	}
	t_ok "the installed mvm boots its image" boots
else
	t_skip "the installed mvm boots its image" "no QEMU"
fi
moved=$T/elsewhere
mv "$T$prefix" "$moved"
bin=$moved/bin
t_ok "a tree that was moved still finds its presets" lists_presets
t_ok "and its mvminit" process_run "$moved"
mv "$moved" "$T$prefix"
t_ok "make uninstall" make_there uninstall
t_ok "and nothing is left" nothing_left
t_done
