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
else
	t_skip "memory interleaved over the nodes" "this kernel has no memory nodes"
fi
t_fail "a CPU that is not there" 3 'may not use CPU' processes --max 1 --pin 1023 -o "$tmp/no"
t_fail "a list that is none" 2 'spread, pack' processes --max 1 --pin both -o "$tmp/no"
t_fail "a node that is not there" 3 'no memory node 1000|no memory policies' \
	processes --max 1 --numa 1000 -o "$tmp/no"
t_fail "a limit that is none" 2 'cgroup-mem' processes --max 1 --cgroup-mem none -o "$tmp/no"
t_ok "nothing of these leaves a run folder" test ! -e "$tmp/no"

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
