#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Every guest keeps the contract, and one that breaks it is caught: 'mvm verify'. A few at a time.
set -u
. "$(dirname "$0")/../e2e/lib.sh"

command -v qemu-system-x86_64 >/dev/null || {
	t_skip "guests keep the contract" "qemu-system-x86_64 is not on PATH"
	t_done
	exit
}
T=$(t_tmp)
mvm=$BUILD/mvm
guests=()
for f in "$BUILD"/guests/*.img; do
	f=${f##*/}
	guests+=("${f%.img}")
done
{
	head -c 510 /dev/zero
	printf '\125\252'
} >"$T/foreign.img"

# patched NAME SED-EXPRESSION SOURCE: a guest with one promise broken, from the image of another
patched() {
	LC_ALL=C sed "$2" "$BUILD/guests/$3.img" >"$T/$1.img"
}
patched deaf 's/pong/pang/' sleep
# its flags (byte 422) say that it sleeps and answers: idle does neither
head -c 422 "$BUILD/guests/idle.img" >"$T/liar.img"
printf '\0\0' >>"$T/liar.img"
tail -c 88 "$BUILD/guests/idle.img" >>"$T/liar.img"

check() {
	timeout 120 "$mvm" verify --accel "$2" --quick "$1" >"$T/${1##*/}.$2.tap" 2>&1
	echo $? >"$T/${1##*/}.$2.status"
}

i=0
for g in "${guests[@]}" "$T/deaf.img" "$T/liar.img"; do
	case $g in
	"$T"/*) check "$g" tcg & ;;
	*) check "$BUILD/guests/$g.img" auto & ;;
	esac
	i=$((i + 1))
	[ $((i % 4)) -ne 0 ] || wait
done
wait

kept() {
	[ "$(cat "$T/$1.img.auto.status")" = 0 ] || { grep '^not ok' -A1 "$T/$1.img.auto.tap"; return 1; }
}
for g in "${guests[@]}"; do
	t_ok "$g keeps the contract on every machine with the toolkit's firmware" kept "$g"
done

names_broken() {
	[ "$(cat "$T/$1.img.tcg.status")" = 1 ] && grep -q "^not ok .*$2" "$T/$1.img.tcg.tap"
}
t_ok "a guest that answers ping wrongly is caught" names_broken deaf 'answers ping with pong'
t_ok "what it sent instead is told" grep -q "it sent 'pang" "$T/deaf.img.tcg.tap"
t_ok "a guest whose timer ticks though it says it sleeps is caught" names_broken liar 'nothing wakes it'
t_fail "a foreign boot sector has no contract" 2 'no parameter block' "$mvm" verify "$T/foreign.img"
t_done
