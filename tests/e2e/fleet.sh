#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# One ramp over three libvirt hosts, of which one is killed while it goes on. The hosts are libvirtd processes
# in network namespaces of their own on this machine, joined by a bridge in a fourth; all of it lives in a
# process tree that the kernel ends and takes down with its first process, so nothing can be left behind.

# fleet.sh --in-hub FOLDER: the run itself, in the namespaces of the test
if [ "${1-}" = --in-hub ]; then
	T=$2
	here=$(dirname "$0")
	ip link set lo up
	ip link add hub type bridge
	ip addr add 10.123.77.254/24 dev hub
	ip link set hub up
	for i in 1 2 3; do
		mkdir "$T/h$i"
		"$here/private-libvirtd" "$T/h$i" tcp >"$T/h$i.log" 2>&1 &
		eval "pid$i=$!"
	done
	for i in 1 2 3; do
		pid=
		eval "pid=\$pid$i"
		for _ in 1 2 3 4 5 6 7 8 9 10; do
			[ "$(readlink /proc/self/ns/net)" != "$(readlink /proc/"$pid"/ns/net)" ] && break
			sleep 0.1
		done
		ip link add "port$i" type veth peer name eth0 netns "$pid"
		ip link set "port$i" master hub up
		nsenter -t "$pid" -n ip addr add "10.123.77.$i/24" dev eth0
		nsenter -t "$pid" -n ip link set eth0 up
	done
	for i in 1 2 3; do
		for _ in $(seq 50); do
			[ -S "$T/h$i/sock/libvirt-sock" ] && break
			sleep 0.1
		done
		printf '[h%s]\nuri = qemu+tcp://10.123.77.%s/system\n' "$i" "$i" >>"$T/hosts"
	done
	echo 'max = 1' >>"$T/hosts" # of h3
	"$BUILD/mvmscale" run --quiet --backend libvirt --hosts "$T/hosts" --accel tcg --max 9 --intervals 3 \
		--settle 0.3 --samples 2 --sample-time 0.1 --verify 0 --threshold 99 --stop-on ram -o "$T/run" >"$T/out" 2>&1 &
	run=$!
	# h2 dies as soon as it has VMs that were measured
	for _ in $(seq 200); do
		grep -q '^[^,]*,1,0,h2,up,[1-9]' "$T/run/hosts.csv" 2>/dev/null && break
		sleep 0.1
	done
	# shellcheck disable=SC2154 # pid2 is made by the eval above
	kill -9 "$pid2"
	status=0
	wait $run || status=$?
	echo "$status" >"$T/status"
	exit 0
fi

. "$(dirname "$0")/lib.sh"
T=$(t_tmp)

hub() {
	unshare --net --mount --pid --fork --kill-child --mount-proc "$@"
}

if [ "$(id -u)" != 0 ] || ! hub true 2>/dev/null || ! command -v libvirtd >/dev/null || ! command -v ip >/dev/null ||
	! hub ip link add x type bridge 2>/dev/null; then
	t_skip "a fleet of three libvirt hosts" "needs root, network namespaces with a bridge, ip and libvirtd"
	t_done
fi

row() { # row PATTERN: hosts.csv has such a line
	grep -Eq "$1" "$T/run/hosts.csv" || {
		cat "$T/run/hosts.csv" "$T/out" "$T"/h?.log
		return 1
	}
}
column() { # column FILE NAME: its values
	awk -F, -v c="$2" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == c) n = i; next } { print $n }' "$1"
}

t_ok "a run over three hosts ends by itself" hub "$0" --in-hub "$T"
lost_is_told() {
	[ "$(cat "$T/status")" = 5 ] && grep -q '"event":"host_lost","host":"h2"' "$T/run/events.jsonl" || {
		cat "$T/status" "$T/out" "$T/run/events.jsonl"
		return 1
	}
}
t_ok "the loss of a host is told, with status 5 (not trustworthy)" lost_is_told
t_ok "the record is complete" grep -q '"state": "complete"' "$T/run/run.json"
t_ok "the lost host's samples are kept" row '^[^,]*,1,0,h2,up,[1-9]'
t_ok "it is marked as lost" row '^[^,]*,3,0,h2,lost,0,,,,,'
t_ok "VMs are spread evenly" row '^[^,]*,1,0,h1,up,1,'
t_ok "a host's max is kept" row '^[^,]*,3,0,h3,up,1,'
t_ok "the others took over what was lost" row '^[^,]*,3,0,h1,up,8,'
replaced() {
	[ "$(column "$T/run/intervals.csv" vm_count | tail -n 1)" = 9 ]
}
t_ok "the last interval has all VMs" replaced
summed() { # cpu and ram of the samples are there, and this machine's own columns are not
	column "$T/run/samples.csv" ram_pct | grep -q '^[0-9.]*[1-9]' &&
		[ -z "$(column "$T/run/samples.csv" slab_kb | tr -d '\n')" ]
}
t_ok "samples are those of the hosts" summed
t_done
