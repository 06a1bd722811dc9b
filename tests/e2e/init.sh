#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# mvminit, the guest without a machine: the same contract as the guests, asked over a pipe.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

tmp=$(t_tmp)
for p in sleep idle constant; do "$BUILD/mvm" build "$p" -o "$tmp/$p.img" >/dev/null; done
# says EXPECTED SECONDS IMAGE: the whole output after the requests on standard input
says() {
	printf "%b" "$1" >"$tmp/expected"
	(cat "$tmp/requests"; sleep "$2") | timeout 10 "$BUILD/mvminit" "$3" >"$tmp/said"
	diff "$tmp/expected" "$tmp/said"
}
printf 'ping\nfoo\n\nping\r\npin\npingg\n%064d\n%063d\n' 1 1 >"$tmp/requests"
t_ok "sleep answers as the guest does" says 'MVM sleep ready\npong\n?\npong\n?\n?\n?\n?\n' 0 "$tmp/sleep.img"
printf 'ping\n' >"$tmp/requests"
t_ok "a waveform goes on, and is answered meanwhile" says 'MVM wave ready\npong\n' 0.5 "$tmp/constant.img"
silent() { printf 'ping\n' | timeout 0.5 "$BUILD/mvminit" "$tmp/idle.img"; }
t_fail "idle ticks and answers nothing" 124 '^MVM idle ready$' silent
t_fail "no image" 64 'usage' "$BUILD/mvminit"
t_fail "an image that is not there" 66 'nosuch.*cannot read' "$BUILD/mvminit" "$tmp/nosuch"
t_fail "a file that is no image" 69 'no parameter block' "$BUILD/mvminit" "$BUILD/mvminit"
# Its CPU time is between half and twice the 10 % it was asked for
worked() {
	(sleep 3) | "$BUILD/mvminit" "$tmp/constant.img" >/dev/null &
	sleep 2.5
	pid=$(pgrep -f "^$BUILD/mvminit $tmp/constant.img" | head -n 1)
	read -r line <"/proc/$pid/schedstat"
	wait
	ns=${line%% *}
	echo "$ns ns of 2.5 s"
	[ "$ns" -gt 125000000 ] && [ "$ns" -lt 500000000 ]
}
t_ok "a waveform of 10 % takes about that" worked
t_done
