#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Where VMs run, and what they may use together: pins, memory nodes, limits of their cgroup. What a pin does to a
# process is asked in conformance.sh.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

tmp=$(t_tmp)
run() { "$BUILD/mvmscale" run --settle 0 --samples 2 --sample-time 0.1 --intervals 2 --stop-on ram --quiet "$@"; }
processes() { run --backend process "$@"; }
says() { grep -q -- "$2" "$1/run.json"; }
# limit FOLDER NAME: the run was stopped by that limit
limit() { says "$1" '"kind": "limit"' && says "$1" "\"limit\": \"$2\""; }

t_ok "processes spread over all CPUs" processes --max 20 --pin spread -o "$tmp/spread"
t_ok "is recorded" says "$tmp/spread" '"pin": "spread"'
t_ok "processes packed onto CPUs" processes --max 20 --pin pack -o "$tmp/pack"
t_ok "clones on one CPU, all of them awake" run --accel tcg --max 10 --pin 0 --verify all -o "$tmp/clones"
if [ -d /sys/devices/system/node/node0 ]; then
	t_ok "memory interleaved over the nodes" processes --max 5 --numa interleave -o "$tmp/numa"
	t_ok "one node is not taken for many" sh -c "[ -d /sys/devices/system/node/node1 ] ||
		grep -q 'one memory node' '$tmp/numa/run.json'"
	t_ok "memory of each node is recorded for each interval" \
		test "$(awk -F, '$5 == 0' "$tmp/numa/nodes.csv" | wc -l)" = 3
	node0() { awk -v x="$(t_cell "$tmp/numa/intervals.csv" 3 "node0_$1")" 'BEGIN { exit !(x > 0) }'; }
	for column in used_kb free_kb anon_kb; do
		t_ok "intervals.csv has node0_$column" node0 $column
	done
	t_ok "and the CPU of its cores" test -n "$(t_cell "$tmp/numa/intervals.csv" 3 node0_cpu_pct)"
	if command -v gnuplot >/dev/null; then
		t_ok "memory of the nodes can be plotted" "$BUILD/mvmscale" plot "$tmp/numa" --nodes -o "$tmp/nodes.svg"
		# the same run as it would be with another node, half as full
		awk -F, -v OFS=, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "node0_used_kb") at = i }
			{ print $0, NR == 1 ? "node1_used_kb" : $at / 2 }' "$tmp/numa/intervals.csv" >"$tmp/two.csv"
		mv "$tmp/two.csv" "$tmp/numa/intervals.csv"
		t_ok "of two nodes as well" "$BUILD/mvmscale" plot "$tmp/numa" --nodes -o "$tmp/nodes2.svg"
		t_ok "each has a line of its own" grep -q 'node 1' "$tmp/nodes2.svg"
	else
		t_skip "memory of the nodes can be plotted" "no gnuplot"
	fi
else
	t_skip "memory interleaved over the nodes" "this kernel has no memory nodes"
fi
t_fail "a CPU that is not there" 3 'may not use CPU' processes --max 1 --pin 1023 -o "$tmp/no"
t_fail "a list that is none" 2 'spread, pack' processes --max 1 --pin both -o "$tmp/no"
t_fail "a node that is not there" 3 'no memory node 1000|no memory policies' \
	processes --max 1 --numa 1000 -o "$tmp/no"
t_fail "a limit that is none" 2 'cgroup-mem' processes --max 1 --cgroup-mem none -o "$tmp/no"

# Backends that place by other means than binding a process of the VM.
status=0
run --backend kvm --max 8 --shard 2 --pin spread --numa 0 -o "$tmp/kvm" >"$tmp/log" 2>&1 || status=$?
if [ $status = 3 ]; then
	t_skip "runners of KVM VMs spread over all CPUs" "$(tail -n 1 "$tmp/log")"
else
	t_ok "runners of KVM VMs spread over all CPUs" says "$tmp/kvm" '"pin": "spread"'
	t_ok "packed: each VM on its CPU, all awake" run --backend kvm --max 8 --shard 3 --pin pack --verify all -o "$tmp/kvmpack"
	t_ok "all 8 answered" t_cell_is "$tmp/kvmpack/intervals.csv" 3 proven_ping 8
fi
domains() { run --backend libvirt "$@"; }
status=0
domains --max 2 --pin 0 -o "$tmp/domains" >"$tmp/log" 2>&1 || status=$?
if [ $status = 3 ]; then
	t_skip "domains of libvirt on a CPU" "$(tail -n 1 "$tmp/log")"
else
	t_ok "domains of libvirt on a CPU" says "$tmp/domains" '"cpus": "0"'
	t_fail "a policy that libvirt does not have" 2 'libvirt has no such policy' domains --max 1 --numa local -o "$tmp/no"
	t_fail "a driver that would ignore CPUs" 2 'no .cpuset., so it would be ignored' \
		domains --connect test:///default --max 1 --pin 0 -o "$tmp/no"
	t_fail "a driver that would ignore memory nodes" 2 'no .numatune., so it would be ignored' \
		domains --connect test:///default --max 1 --numa 0 -o "$tmp/no"
	if processes --max 1 --cgroup-pids 50 -o "$tmp/can" >"$tmp/log" 2>&1; then
		t_fail "VMs of a daemon are not in our cgroup" 2 "in cgroups of its own" \
			domains --connect test:///default --max 1 --cgroup-pids 5 -o "$tmp/no"
	else
		t_skip "VMs of a daemon are not in our cgroup" "$(tail -n 1 "$tmp/log")"
	fi
	t_fail "CPUs of one machine say nothing on several" 2 'run elsewhere' \
		domains --connect test:///default --connect test:///default?1 --max 1 --pin 0 -o "$tmp/no"
fi

# The population's own cgroup.
t_fail "no cgroup, and limits for it" 2 'leaves no cgroup' processes --max 1 --cgroup=none --cgroup-pids 5 -o "$tmp/no"
t_fail "a cgroup without a name" 2 'needs auto' processes --max 1 --cgroup= -o "$tmp/no"
t_fail "arithmetic has none" 2 'one cgroup' "$BUILD/mvmscale" run --backend null --max 1 --cgroup -o "$tmp/no"
t_fail "a cgroup that is not there" 3 'there is no cgroup|no cgroup hierarchy' \
	processes --max 1 --cgroup=not/there -o "$tmp/no"
t_ok "nothing of these leaves a run folder" test ! -e "$tmp/no"
t_ok "a run without a cgroup" processes --max 4 --cgroup=none -o "$tmp/none"
t_ok "records none" sh -c "! grep -q '\"cgroup\": {' '$tmp/none/run.json'"
t_ok "and where the CPU of its VMs is from" says "$tmp/none" 'no cgroup could be made'
v2=$(find /sys/fs/cgroup -maxdepth 2 -name cgroup.controllers 2>/dev/null | head -n 1)
if [ -n "$v2" ] && [ -w "$(dirname "$v2")" ]; then
	t_ok "a cgroup of v2, by its folder" processes --max 4 --cgroup="$(dirname "$v2")" -o "$tmp/v2"
	t_ok "is one of v2" says "$tmp/v2" '"version": 2'
	t_ok "counts CPU time" test -n "$(t_cell "$tmp/v2/intervals.csv" 3 cpu_guests_pct_mean)"
else
	t_skip "a cgroup of v2, by its folder" "no v2 hierarchy is mounted and writable here"
fi
status=0
processes --max 6 --cgroup -o "$tmp/counted" >"$tmp/log" 2>&1 || status=$?
if [ $status = 3 ]; then
	t_skip "memory and tasks counted in a cgroup" "$(tail -n 1 "$tmp/log")"
elif [ -z "$(t_cell "$tmp/counted/intervals.csv" 3 cgroup_tasks_mean)" ]; then
	t_skip "memory and tasks counted in a cgroup" "this host has no controllers for it"
else
	t_ok "tasks counted in a cgroup" t_cell_is "$tmp/counted/intervals.csv" 3 cgroup_tasks_mean 6
	above_0() { awk -v x="$(t_cell "$1" 3 "$2")" 'BEGIN { exit !(x > 0) }'; }
	t_ok "and memory, by VM" above_0 "$tmp/counted/intervals.csv" cgroup_mem_per_vm_kb
	t_ok "the most that was used is recorded" says "$tmp/counted" '"peak_kb": [1-9]'
fi

status=0
processes --max 1 --cgroup-cpu 50% --cgroup-mem 1G --cgroup-pids 100 -o "$tmp/first" >"$tmp/log" 2>&1 || status=$?
if [ $status = 3 ]; then
	t_skip "limits of a cgroup" "$(head -n 1 "$tmp/log")"
	t_done
fi
t_ok "limits of a cgroup are recorded" says "$tmp/first" '"throttled_ms"'
t_ok "a limit of tasks ends the run before it is met" processes --max 100 --cgroup-pids 40 -o "$tmp/pids"
t_ok "and is named" limit "$tmp/pids" cgroup-pids
t_ok "40 processes fit into it" says "$tmp/pids" '"reached": 40'
t_ok "memory: the run ends near the limit" processes --max 3000 --rate 500 --cgroup-mem 24M -o "$tmp/mem"
t_ok "and it is named" limit "$tmp/mem" cgroup-memory
t_fail "a limit below one VM is told" 3 'cgroup-pids.*too few|cgroup-pids leaves room for 0' \
	run --accel tcg --preset lean --max 5 --cgroup-pids 2 -o "$tmp/few"
t_done
