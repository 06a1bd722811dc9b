#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Images run in another PC than QEMU: Bochs, with its own BIOS, from a floppy; COM1 on a socket.
set -u
. "$(dirname "$0")/../e2e/lib.sh"

bios=/usr/share/bochs/BIOS-bochs-legacy
vga=/usr/share/vgabios/vgabios.bin
for need in "$(command -v bochs)" "$(command -v script)" "$bios" "$vga"; do
	[ -e "$need" ] && continue
	t_skip "images run in Bochs" "not installed (Debian: bochs bochs-term bochsbios vgabios)"
	t_done
	exit
done
T=$(t_tmp)
bochs_pid=

stop() {
	[ -z "$bochs_pid" ] || { kill -KILL -- "-$bochs_pid" && wait "$bochs_pid"; } 2>/dev/null
	bochs_pid=
}
trap 'stop; t_remove' EXIT

# start GUEST: boots it and opens its serial line as descriptor 3
start() {
	local port=$((20000 + RANDOM % 20000))
	"$BUILD/mvm" build "$1" -o "$T/$1.img" --pad 1440K || return 1
	cat >"$T/bochsrc" <<-END
		megs: 4
		romimage: file=$bios
		vgaromimage: file=$vga
		floppya: 1_44=$T/$1.img, status=inserted
		boot: floppy
		com1: enabled=1, mode=socket-server, dev=127.0.0.1:$port
		display_library: term
		log: $T/bochs.log
	END
	# Debian's has its debugger built in: it waits for a command to go on
	echo c >"$T/rc"
	TERM=xterm setsid script -qec "bochs -q -f $T/bochsrc -rc $T/rc" /dev/null </dev/null >"$T/bochs.out" 2>&1 &
	bochs_pid=$!
	for _ in {1..100}; do
		exec 3<>"/dev/tcp/127.0.0.1/$port" && return 0
		sleep 0.1
	done 2>/dev/null
	echo "Bochs does not listen:"
	tail -n 5 "$T/bochs.log" "$T/bochs.out"
	return 1
}

# hears LINE: it comes within a while
hears() {
	local line
	while read -r -t 20 -u 3 line; do
		[ "${line%$'\r'}" != "$1" ] || return 0
		echo "it said: $line"
	done
	return 1
}

asks() {
	printf '%s\n' "$1" >&3
	hears "$2"
}

talk() {
	start "$1" && hears "MVM $1 ready" && asks ping pong && asks xyzzy '?' && asks "$2" "$3"
}

for c in "sleep|ping|pong" "serve|name|MVM" "burn|burn 5|done 5" "touch|pages|64"; do
	IFS='|' read -r guest request answer <<<"$c"
	t_ok "$guest boots in Bochs and answers" talk "$guest" "$request" "$answer"
	exec 3>&- || true
	stop
done
t_done
