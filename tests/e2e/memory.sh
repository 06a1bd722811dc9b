#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Swap that a run adds and takes away, KSM's settings, and the record of a teardown.
# alone: adds swap, and changes KSM's settings
. "$(dirname "$0")/lib.sh"

M=$BUILD/mvmscale
T=$(t_tmp)
run() { "$M" run --accel tcg --settle 0 --samples 2 --sample-time 0.1 --quiet --stop-on ram "$@"; }
no_swap_of_ours() { ! grep -q 'mvmscale-swap\|/dev/zram[1-9]' /proc/swaps && ! ls /var/tmp/mvmscale-swap.* 2>/dev/null; }
ksm() { cat /sys/kernel/mm/ksm/run /sys/kernel/mm/ksm/pages_to_scan /sys/kernel/mm/ksm/sleep_millisecs \
	/sys/kernel/mm/ksm/use_zero_pages 2>/dev/null; }

# Teardown
t_ok "a run with VMs" run --max 60 --intervals 2 -o "$T/down"
t_ok "its teardown is a table" grep -q '^repeat,time_s,vm_count,ram_pct,swap_pct,tasks$' "$T/down/teardown.csv"
t_ok "from the whole population to none" awk -F, 'NR == 2 { first = $3 } { last = $3 } END { exit !(first == 60 && last == 0) }' \
	"$T/down/teardown.csv"
t_ok "run.json sums it up" grep -A1 '"teardown": {' "$T/down/run.json"

# Swap
t_fail "a size without its unit is refused" 2 'needs a size' run --max 1 --swap 64 -o "$T/none"
t_fail "so is one that is too small" 2 'from 1M to 16T' run --max 1 --swap 4K -o "$T/none"
t_fail "null VMs use no swap" 2 'uses no memory' "$M" run --backend null --swap 64M -o "$T/none"
if [ "$(id -u)" -ne 0 ]; then
	t_skip "swap that is added for a run" "only root may add swap"
elif ! run --max 2 --intervals 1 --swap 64M -o "$T/try" >"$T/out" 2>&1 && grep -q 'refuses' "$T/out"; then
	t_skip "swap that is added for a run" "the kernel takes no swap file here"
else
	t_fail "a size that the disk has not is refused" 3 'leave less than a tenth' run --max 1 --swap 15T -o "$T/none"
	t_ok "a swap file is added" run --max 20 --intervals 2 --swap 64M -o "$T/file"
	t_ok "and recorded" grep -q '"kind": "file"' "$T/file/run.json"
	t_ok "the host in the record has it" awk -F': ' '/"swap_kb"/ { exit !($2 + 0 >= 65000) }' "$T/file/run.json"
	t_ok "nothing of it is left" no_swap_of_ours
	"$M" run --accel tcg --preset lean --quiet --max 2000 --rate 5 --intervals 500 --settle 0 --swap 64M --stop-on ram \
		-o "$T/killed" >"$T/out" 2>&1 &
	pid=$!
	for _ in $(seq 100); do
		[ -f "$T/killed/intervals.csv" ] && break
		sleep 0.1
	done
	t_ok "a run that holds swap" grep -q "mvmscale-swap.$pid" /proc/swaps
	kill -KILL $pid
	wait $pid 2>/dev/null
	for _ in $(seq 100); do
		no_swap_of_ours >/dev/null && break
		sleep 0.1
	done
	t_ok "SIGKILL: the swap file is out of use and gone" no_swap_of_ours
	if [ -e /sys/class/zram-control/hot_add ]; then
		t_ok "zram is added" run --max 5 --intervals 1 --swap zram:32M -o "$T/zram"
		t_ok "and recorded" grep -q '"kind": "zram"' "$T/zram/run.json"
		t_ok "nothing of it is left" no_swap_of_ours
	else
		t_skip "zram is added" "this kernel has no zram"
	fi
fi

# KSM's settings, whichever way a run ends
if [ ! -w /sys/kernel/mm/ksm/run ]; then
	t_skip "KSM is as before" "writing its settings needs root, or the kernel has none"
else
	before=$(ksm)
	same_ksm() { [ "$(ksm)" = "$before" ]; }
	other_ksm() { [ "$(ksm)" != "$before" ]; }
	t_ok "a run with KSM" run --max 20 --intervals 1 --tune +ksm -o "$T/ksm"
	t_ok "leaves KSM as it was" same_ksm
	for signal in INT KILL; do
		"$M" run --accel tcg --quiet --max 2000 --rate 5 --intervals 500 --settle 0 --tune +ksm --stop-on ram \
			-o "$T/ksm-$signal" >"$T/out" 2>&1 &
		pid=$!
		for _ in $(seq 100); do
			[ -f "$T/ksm-$signal/intervals.csv" ] && other_ksm && break
			sleep 0.1
		done
		t_ok "a run that set KSM" other_ksm
		kill -$signal $pid
		wait $pid 2>/dev/null
		for _ in $(seq 100); do
			same_ksm && break
			sleep 0.1
		done
		t_ok "SIG$signal: KSM is as it was" same_ksm
	done
fi
t_done
