#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# One ramp over several libvirt hosts. First of three one is killed while it goes on; then of two one reaches its
# threshold and later falls silent.
# alone: hosts of this test reach thresholds and time limits of their own

# in_hub: the runs themselves, in the namespaces of the test
in_hub() {
	hub_open
	hub_host 1 tcp
	hub_host 2 tcp
	hub_host 3 tcp "$small_mb"
	hub_wait 1 2 3
	for i in 1 2 3; do
		printf '[h%s]\nuri = qemu+tcp://10.123.77.%s/system\n' "$i" "$i"
	done >"$T/three"
	echo 'max = 1' >>"$T/three" # of h3
	printf '[h1]\nuri = qemu+tcp://10.123.77.1/system\n[h3]\nuri = qemu+tcp://10.123.77.3/system\nthreshold = 70\n' >"$T/two"

	"$BUILD/mvmscale" run --quiet --backend libvirt --hosts "$T/three" --accel tcg --max 9 --intervals 3 \
		--settle 0.3 --samples 2 --sample-time 0.1 --verify 0 --threshold 99 --stop-on ram -o "$T/run" >"$T/run.out" 2>&1 &
	run=$!
	# h2 dies as soon as it has VMs that were measured
	wait_for_row "$T/run" '^[^,]*,1,0,h2,up,[1-9]'
	# shellcheck disable=SC2154 # pid2 is made by hub_host
	kill -9 "$pid2"
	wait $run
	echo $? >"$T/run.status"

	"$BUILD/mvmscale" run --quiet --backend libvirt --hosts "$T/two" --accel tcg --max 8 --intervals 4 \
		--settle 0.3 --samples 2 --sample-time 0.2 --verify 0 --threshold 99 --stop-on ram -o "$T/mute" >"$T/mute.out" 2>&1 &
	run=$!
	# h3 falls silent as soon as it was measured full
	wait_for_row "$T/mute" '^[^,]*,[0-9]*,0,h3,full,'
	ip link set port3 down
	date +%s >"$T/mute.begin"
	wait $run
	echo $? >"$T/mute.status"
	date +%s >"$T/mute.end"
}

wait_for_row() { # wait_for_row RUN PATTERN: up to 40 s
	for _ in $(seq 400); do
		grep -Eq "$2" "$1/hosts.csv" 2>/dev/null && return
		kill -0 $run 2>/dev/null || return
		sleep 0.1
	done
}

small_mb=60
. "$(dirname "$0")/libvirt-hub"
# fleet.sh --in-hub FOLDER
if [ "${1-}" = --in-hub ]; then
	T=$2
	in_hub
	exit 0
fi
. "$(dirname "$0")/lib.sh"
T=$(t_tmp)

if ! hub_possible; then
	t_skip "a fleet of libvirt hosts" "needs $hub_needs"
	t_done
fi

row() { # row RUN PATTERN: its hosts.csv has such a line
	grep -Eq "$2" "$T/$1/hosts.csv" || {
		cat "$T/$1/hosts.csv"
		tail -n 3 "$T/$1.out" "$T"/h?.log
		return 1
	}
}
column() { # column FILE NAME: its values
	awk -F, -v c="$2" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == c) n = i; next } { print $n }' "$1"
}

t_ok "two runs over several hosts end by themselves" hub "$0" --in-hub "$T"
lost_is_told() { # lost_is_told RUN HOST REASON
	[ "$(cat "$T/$1.status")" = 5 ] &&
		grep -Eq "\"event\":\"host_lost\",\"host\":\"$2\".*\"reason\":\"$3" "$T/$1/events.jsonl" || {
		cat "$T/$1.status" "$T/$1/events.jsonl"
		return 1
	}
}
t_ok "the loss of a host is told, with status 5 (not trustworthy)" lost_is_told run h2 ""
t_ok "the record is complete" grep -q '"state": "complete"' "$T/run/run.json"
t_ok "the lost host's samples are kept" row run '^[^,]*,1,0,h2,up,[1-9]'
t_ok "it is marked as lost" row run '^[^,]*,3,0,h2,lost,0,,,,,'
t_ok "VMs are spread evenly" row run '^[^,]*,1,0,h1,up,1,'
t_ok "a host's max is kept" row run '^[^,]*,3,0,h3,up,1,'
t_ok "the others took over what was lost" row run '^[^,]*,3,0,h1,up,8,'
all_run() { # all_run RUN N: the last interval has so many VMs
	[ "$(column "$T/$1/intervals.csv" vm_count | tail -n 1)" = "$2" ]
}
t_ok "the last interval has all VMs" all_run run 9
summed() { # cpu and ram of the samples are there, and this machine's own columns are not
	column "$T/run/samples.csv" ram_pct | grep -q '^[0-9.]*[1-9]' &&
		[ -z "$(column "$T/run/samples.csv" slab_kb | tr -d '\n')" ]
}
t_ok "samples are those of the hosts" summed

full_is_told() {
	grep -q '"event":"host_full","host":"h3","metric":"ram","value":[0-9.]*,"threshold_pct":70' \
		"$T/mute/events.jsonl" || {
		cat "$T/mute/events.jsonl"
		return 1
	}
}
t_ok "a host that reaches its own threshold is told to be full" full_is_told
t_ok "the others go on" row mute '^[^,]*,4,0,h1,up,8,'
t_ok "a host that falls silent is told" lost_is_told mute h3 "it answers no longer"
t_ok "what was measured there before is kept" row mute '^[^,]*,[123],0,h3,full,[1-9][0-9]*,[0-9.]*,[0-9.]*,[789]'
t_ok "it is marked as lost" row mute '^[^,]*,4,0,h3,lost,0,,,,,'
t_ok "its VMs were started again" all_run mute 8
t_ok "and the run was not held up for long" test $(($(cat "$T/mute.end") - $(cat "$T/mute.begin"))) -lt 40
if command -v gnuplot >/dev/null; then
	panels() {
		for word in '>all hosts<' '>h1<' '>8 VMs<' '>h3<' '>lost with [1-9][0-9]* VMs<' '>8 VMs on 2 hosts, 1 lost<'; do
			grep -Eq "$word" "$T/mute/plot-hosts.svg" || {
				grep -o '>[^<>]*</tspan>' "$T/mute/plot-hosts.svg"
				return 1
			}
		done
	}
	t_ok "a figure shows each host and all together" panels
fi
t_done
