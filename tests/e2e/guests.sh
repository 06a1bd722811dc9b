#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The toolkit as a user has it: parameters of guests, images for other machines, guests with devices.
set -u
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

T=$(t_tmp)
mvm=$BUILD/mvm
mvmscale=$BUILD/mvmscale

profile() {
	printf '[profile]\nguest = %s\nsummary = x\n[parameters]\n%s\n' "$2" "$3" >"$T/$1.profile"
}
shows() {
	"$mvm" inspect "$1" | grep -Eq "$2"
}
lists() {
	"$mvm" list | grep -q "$1"
}

profile mine burn 'iterations = 77'
t_ok "a profile sets a parameter of its guest" "$mvm" build "$T/mine.profile" -o "$T/mine.img"
t_ok "inspect shows it by its name" shows "$T/mine.img" 'iterations 77 iterations'
t_ok "inspect names it in the code" shows "$T/mine.img" 'mov eax,.*; iterations'
t_ok "inspect says how many bytes are free" shows "$T/mine.img" 'of 416 bytes used, [0-9]+ free'
t_ok "list shows what can be set" lists 'iterations = 1000000: .*(0 to 4294967295 iterations)'

profile high burn 'iterations = 4294967296'
t_fail "a value out of range is refused with file and line" 2 'high.profile:5: iterations' \
	"$mvm" build "$T/high.profile" -o "$T/x.img"
profile alien burn 'pages = 1'
t_fail "a parameter that the guest has not is refused" 2 "guest 'burn' has no such parameter; it has iterations" \
	"$mvm" build "$T/alien.profile" -o "$T/x.img"

# byte 420: version of the parameter block, 421: its length, 416: its magic
damaged() {
	cp "$T/mine.img" "$T/damaged.img"
	printf '%b' "$2" | dd of="$T/damaged.img" bs=1 seek="$1" conv=notrunc 2>/dev/null
}
damaged 420 '\002'
t_fail "another version of the parameter block is refused" 2 'version 2, this program knows version 1' \
	"$mvm" inspect "$T/damaged.img"
damaged 421 '\001'
t_fail "another length of it is refused" 2 'says that it has 1 bytes instead of 94' "$mvm" inspect "$T/damaged.img"
damaged 416 'X'
t_fail "without its magic an image has no contract" 2 'no parameter block' "$mvm" verify "$T/damaged.img"
head -c 511 "$T/mine.img" >"$T/short.img"
t_fail "a cut image is refused" 2 'has 511 bytes' "$mvm" verify "$T/short.img"

is_padded() {
	[ "$(stat -c %s "$T/mine.raw")" = 1048576 ] && cmp -n 512 "$T/mine.raw" "$T/mine.img"
}
"$mvm" build "$T/mine.profile" -o "$T/mine.raw" --pad 1M
t_ok "--pad fills an image up" is_padded
t_fail "--pad takes whole sectors" 2 'whole sectors' "$mvm" build sleep -o "$T/x.img" --pad 513

if ! command -v qemu-system-x86_64 >/dev/null; then
	t_skip "guests with devices" "qemu-system-x86_64 is not on PATH"
	t_done
	exit
fi

# the shell: letters and signs between the digits and the letters of hexadecimal are none
addresses() {
	printf '%s\n' 'peek 7c00' 'peek 7C00' 'peek W' 'peek :' 'peek @' 'peek G' 'poke 8000 Z' 'poke 8000 1F' 'peek 8000' |
		"$mvm" boot "$BUILD/guests/shell.img" --accel tcg --wait 1 >"$T/got" || return
	cat "$T/got"
	[ "$(tr '\n' ' ' <"$T/got")" = 'MVM shell ready 250 250 ? ? ? ? ? 31 31 ' ]
}
t_ok "the shell refuses what is no address" addresses
answers() {
	printf 'pages\n' | "$mvm" boot "$T/touch.img" --accel tcg --memory "$1" --wait 1 | grep -qx "$2"
}
profile touch touch 'pages = 65000'
"$mvm" build "$T/touch.profile" -o "$T/touch.img"
t_ok "touch takes what a VM of 1 MB has" answers 1 143
t_ok "and of 3 MB" answers 3 655

# run PROFILE DIR [OPTION...]
run() {
	r_profile=$1 r_dir=$2
	shift 2
	"$mvmscale" run --max 2 --intervals 1 --accel tcg --preset lean --profile "$r_profile" --stop-on ram \
		--settle 0 --samples 3 --verify all --quiet -o "$r_dir" "$@"
}
# more DIR COLUMN FACTOR: it has more than so much per VM in the last row than in the first
more() {
	awk -F, -v name="$2" -v least="$3" '
		NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) c = i }
		NR == 2 { before = $c }
		{ after = $c }
		END { print before " -> " after; exit !(c && after - before > least) }' "$1/intervals.csv"
}
empty() {
	awk -F, -v name="$2" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) c = i } END { exit !(c && $c == "") }' \
		"$1/intervals.csv"
}
profile net net 'per_tick = 100'
t_ok "VMs with a network card run" run "$T/net.profile" "$T/net" --net-capacity 100
t_ok "their frames are counted" more "$T/net" net_packets_per_s_mean 1000
t_ok "and are a share of the capacity given" more "$T/net" net_pct_mean 0.05
t_ok "without a capacity the share is empty" empty "$T/net" disk_pct_mean
# Numbers that a descriptor of ours has must not be mistaken for one that a VM gets.
crowded() (
	exec 3</dev/null 4</dev/null 5</dev/null 6</dev/null 7</dev/null
	run "$@"
)
t_ok "VMs with disks run, launched by fork, whatever is open in us" crowded disk "$T/disk" --preset dense
t_ok "each has a disk of its own" grep -q 'proc/self/fd/13' "$T/disk/run.json"
t_fail "they cannot be cloned" 3 'copies would share the devices' run disk "$T/no" --preset dense --launch clone
t_fail "a backend without devices refuses them" 3 "needs a device" \
	"$mvmscale" run --backend kvm --profile disk --max 2 --quiet -o "$T/no"
t_fail "phases of a guest without one are refused" 2 'makes no use of a phase' \
	sh -c "printf '[profile]\nguest = sleep\nsummary = x\nspread_ms = 5\n' >$T/p.profile; $mvm build $T/p.profile -o $T/x.img"
t_done
