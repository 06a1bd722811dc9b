#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# mvm boot: one guest on stdin and stdout, and what keeps it from starting.
. "$(dirname "$0")/lib.sh"

mvm=$BUILD/mvm
T=$(t_tmp)
img=$BUILD/guests/sleep.img

# talk LINES ARG...: what the guest answers
talk() {
	lines=$1
	shift
	printf '%b' "$lines" | "$mvm" boot "$img" --accel tcg --wait 1 "$@"
}
answers() {
	want=$1
	shift
	talk "$@" >"$T/got" || return
	cat "$T/got"
	[ "$(tr '\n' ' ' <"$T/got")" = "$want " ]
}
thousand() {
	talk "$(yes 'ping\n' | head -n 500 | tr -d '\n')" --wait 3 >"$T/got"
	[ "$(grep -c '^pong$' "$T/got")" = 500 ]
}
fake() {
	printf '#!/bin/sh\n%s\n' "$2" >"$T/$1"
	chmod +x "$T/$1"
}
# gone PATTERN: no process has it in its arguments, soon
gone() {
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		grep -alq -- "$1" /proc/[0-9]*/cmdline 2>/dev/null || return 0
		sleep 0.5
	done
	return 1
}
# ended SIGNAL: mvm boot in the background is ended by it, its QEMU with it
ended() {
	mkfifo "$T/in" "$T/out" 2>/dev/null
	"$mvm" boot "$img" --accel tcg --qemu "$T/marked" <"$T/in" >"$T/out" &
	pid=$!
	exec 3>"$T/in"
	head -n 1 <"$T/out" >"$T/ready"
	status=0
	kill "-$1" $pid
	wait $pid 2>/dev/null || status=$?
	exec 3>&-
	grep -q 'MVM sleep ready' "$T/ready" && [ "$status" = "$2" ] && gone "$T/marked"
}

head -c 511 "$img" >"$T/short.img"
head -c 510 "$img" | cat - /dev/zero | head -c 512 >"$T/unsigned.img"
fake silent 'exec sleep 1000'
fake broken 'echo "qemu: it is broken" >&2; exit 1'
# argv[0] tells it from other tests' QEMUs
cat >"$T/marked" <<END
#!/usr/bin/env bash
exec -a "$T/marked" qemu-system-x86_64 "\$@"
END
chmod +x "$T/marked"

t_fail "no image" 2 'which image' "$mvm" boot
t_fail "an image of 511 bytes" 2 '511 bytes' "$mvm" boot "$T/short.img"
t_fail "an image without signature" 2 'signature' "$mvm" boot "$T/unsigned.img"
t_fail "a missing image" 2 'nowhere.img' "$mvm" boot "$T/nowhere.img"
t_fail "an unknown machine" 2 'isapc, pc or microvm' "$mvm" boot "$img" --machine q35
t_fail "an unknown accelerator" 2 'auto, tcg or kvm' "$mvm" boot "$img" --accel xen
t_fail "SeaBIOS on a machine without disks" 2 'no disk controller' "$mvm" boot "$img" --machine microvm --firmware seabios
t_fail "a missing QEMU" 3 '/nonexistent' "$mvm" boot "$img" --qemu /nonexistent
t_fail "a QEMU that ends at once" 3 'before the guest was ready' "$mvm" boot "$img" --qemu /bin/true
t_fail "its own message is shown" 3 'it is broken' "$mvm" boot "$img" --qemu "$T/broken"
t_fail "a QEMU that never boots" 3 'not ready within 1.0 s' "$mvm" boot "$img" --accel tcg --qemu "$T/silent" --ready-timeout 1
t_fail "no QEMU on PATH" 3 'apt-get install qemu-system-x86' env PATH="$T/none" "$mvm" boot "$img"
t_ok "a ping is answered" answers 'MVM sleep ready pong' 'ping\n'
t_ok "several lines, the last without its end" answers 'MVM sleep ready pong ? pong' 'ping\nhello\nping'
t_ok "on pc" answers 'MVM sleep ready pong' 'ping\n' --machine pc
t_ok "on microvm" answers 'MVM sleep ready pong' 'ping\n' --machine microvm
t_ok "500 lines at once" thousand
t_ok "empty input" answers 'MVM sleep ready' ''
t_ok "accelerator auto" sh -c "echo ping | '$mvm' boot '$img' --wait 1 | grep -q pong"
t_ok "SIGINT ends it" ended INT 0
t_ok "SIGTERM ends it" ended TERM 0
t_ok "killed, it leaves no QEMU" ended KILL 137
t_ok "nothing is left in TMPDIR" test -z "$(ls -d "${TMPDIR:-/tmp}"/mvm-boot-* 2>/dev/null)"
t_done
