#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Every guest keeps the contract, and one that breaks it is caught, whether it boots alone or
# is launched as a run does it: 'mvm verify'.
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

# check IMAGE ACCEL, launched IMAGE [OPTION...]: into files named after both
check() {
	timeout 120 "$mvm" verify --accel "$2" --quick "$1" >"$T/${1##*/}.$2.tap" 2>&1
	echo $? >"$T/${1##*/}.$2.status"
}
launched() {
	timeout 120 "$mvm" verify --launch all "$@" >"$T/${1##*/}.launched.tap" 2>&1
	echo $? >"$T/${1##*/}.launched.status"
}

# Most of the time they wait for silence: some side by side.
running=0
begin() {
	[ $running -lt 6 ] || wait -n
	[ $running -ge 6 ] || running=$((running + 1))
	"$@" &
}
for g in "${guests[@]}"; do
	begin check "$BUILD/guests/$g.img" auto
	begin launched "$BUILD/guests/$g.img"
done
begin check "$T/deaf.img" tcg
begin check "$T/liar.img" tcg
begin launched "$T/deaf.img" --accel tcg
wait

kept() {
	[ "$(cat "$T/$1.img.$2.status")" = 0 ] || { grep '^not ok' -A1 "$T/$1.img.$2.tap"; return 1; }
}
for g in "${guests[@]}"; do
	t_ok "$g keeps the contract on every machine with the toolkit's firmware" kept "$g" auto
done

# lines GUEST WAY: the clauses that were tried there, or were said to be impossible; of one VM
lines() {
	grep -E "^ok .* on a VM by $2:" "$T/$1.img.launched.tap" | sed 's/^[^:]*: //' | sort -u
}
# The same clauses for all, the boot of a clone left out by name.
same_lines() {
	kept "$1" launched || return 1
	lines "$1" "exec, $2" >"$T/want"
	lines "$1" "$3, $2" | sed 's/ # SKIP a clone does not boot.*//' >"$T/have"
	[ -s "$T/want" ] && diff "$T/want" "$T/have"
}
for g in "${guests[@]}"; do
	for accel in TCG KVM; do
		for mode in exec fork clone; do
			what="$g keeps it when launched by $mode, $accel"
			reason=$(sed -n "s/^ok .* on a VM by $mode, $accel # SKIP //p" "$T/$g.img.launched.tap")
			if [ -n "$reason" ]; then
				t_skip "$what" "$reason"
			else
				t_ok "$what" same_lines "$g" $accel $mode
			fi
		done
	done
done
boot_is_elsewhere() {
	lines sleep 'clone, TCG' | grep -qx "says its ready line # SKIP a clone does not boot: .*"
}
t_ok "that a clone does not boot is said of it" boot_is_elsewhere
for mode in exec fork; do
	t_ok "a guest that answers wrongly is caught when launched by $mode" \
		grep -q "^not ok .* on a VM by $mode, TCG: answers ping with pong" "$T/deaf.img.launched.tap"
done
t_ok "a clone that answers wrongly is none" grep -q "launch clone: VM 0 answered 'pang' to 'ping'" "$T/deaf.img.launched.tap"

names_broken() {
	[ "$(cat "$T/$1.img.tcg.status")" = 1 ] && grep -q "^not ok .*$2" "$T/$1.img.tcg.tap"
}
t_ok "a guest that answers ping wrongly is caught" names_broken deaf 'answers ping with pong'
t_ok "what it sent instead is told" grep -q "it sent 'pang" "$T/deaf.img.tcg.tap"
t_ok "a guest whose timer ticks though it says it sleeps is caught" names_broken liar 'nothing wakes it'
t_fail "a foreign boot sector has no contract" 2 'no parameter block' "$mvm" verify "$T/foreign.img"
t_done
