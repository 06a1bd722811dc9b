#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Whole runs: on the null backend, whose truth is known, and small ones with real VMs.
. "$(dirname "$0")/lib.sh"

M=$BUILD/mvmscale
T=$(t_tmp)
cd "$T" || exit 1
# 90 % of the RAM is reached at 180 of these, however large the host is
big=$(awk '/^MemTotal:/ {print int($2 / 200)}' /proc/meminfo)

null() {
	"$M" run --backend null --quiet "$@"
}
files() {
	for f in run.json samples.csv intervals.csv events.jsonl advice.json advice.txt plot.svg plot.png; do
		[ -s "$1/$f" ] || {
			echo "$1/$f is missing or empty"
			return 1
		}
	done
}
# rows FILE: without the header
rows() {
	tail -n +2 "$1" | wc -l
}
rows_between() {
	n=$(rows "$1")
	echo "$n rows"
	[ "$n" -ge "$2" ] && [ "$n" -le "$3" ]
}
header() {
	head -n 1 "$1" | grep -q "^$2\(,\|\$\)"
}
# column FILE COLUMN TEST: awk's TEST holds for each value x of the column
column() {
	awk -F, -v name="$2" '
		NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) at = i; if (!at) exit bad = 1; next }
		{ x = $at; if (!('"$3"')) { print name " is " x " in line " NR; bad = 1 } }
		END { exit bad }' "$1"
}
sorted() {
	tail -n +2 "$1" | cut -d, -f1 | sort -c -g
}
# says FOLDER KEY VALUE: a member of run.json, wherever it stands
says() {
	grep -q "\"$2\": $3,\{0,1\}\$" "$1/run.json"
}
holds() {
	grep -Eq -- "$2" "$1"
}
lacks() {
	! grep -Eq -- "$2" "$1"
}
json_only() {
	"$M" run --backend null --max 40 --json "$@" >json 2>err || return
	head -n 1 json | grep -q '^{$' && tail -n 1 json | grep -q '^}$' || return
	[ "$(tr -cd '{' <json | wc -c)" = "$(tr -cd '}' <json | wc -c)" ] || return
	command -v python3 >/dev/null || return 0
	python3 -m json.tool json >/dev/null
}

# The null backend: 200 VMs in 20 steps
t_ok "a run on the null backend" null --max 200 -o null --name 'a "name"' --seed 7
t_ok "its folder is complete" files null
t_ok "samples.csv has the contract's columns" header null/samples.csv time_s,vm_count,cpu_pct,ram_pct,swap_pct
t_ok "intervals.csv has the contract's columns" header null/intervals.csv \
	vm_count,cpu_pct_mean,cpu_pct_sd,ram_pct_mean,ram_pct_sd,swap_pct_mean,swap_pct_sd,samples,settled
t_ok "the baseline and 20 intervals" rows_between null/intervals.csv 21 21
t_ok "the first row is the baseline" t_cell_is null/intervals.csv 1 vm_count 0
t_ok "the second stands at 10 VMs" t_cell_is null/intervals.csv 2 vm_count 10
t_ok "the last stands at 200 VMs" t_cell_is null/intervals.csv 21 vm_count 200
t_ok "each has its 8 samples" column null/intervals.csv samples 'x == 8'
t_ok "CPU is what the VMs cost" column null/intervals.csv cpu_pct_mean 'x == 0 || x > 0.08 && x < 2.3'
t_ok "time never runs backward" sorted null/samples.csv
t_ok "swap is 0 where none is" column null/intervals.csv swap_pct_mean 'x == 0'
t_ok "run.json: complete" says null state '"complete"'
t_ok "run.json: stopped by max" says null kind '"max"'
t_ok "run.json: the name, quoted" says null name '"a \\"name\\""'
t_ok "run.json: the seed" says null seed 7
t_ok "every launch is an event" holds null/events.jsonl '"event":"launched"'
t_fail "its advice: too few VMs for a number" 4 'No answer yet' "$M" advise null
t_fail "a folder that holds a run is not overwritten" 2 'already holds a run' null --max 5 -o null
t_ok "it is as it was" rows_between null/intervals.csv 21 21
t_ok "without --out it makes one" null --max 10
t_ok "named by backend and profile" test -f "$(echo runs/*-null-none-sleep/run.json)"
t_ok "a second one in the same second" null --max 10
t_ok "--repeat" null --max 50 --intervals 5 --repeat 3 -o repeat
t_ok "repeats are pooled at the same points" rows_between repeat/intervals.csv 6 6
t_ok "each row has 3 times 8 samples" column repeat/intervals.csv samples 'x == 24'
t_ok "and says that it pools 3 ramps" column repeat/intervals.csv runs 'x == 3'
t_ok "samples.csv tells them apart" column repeat/samples.csv repeat 'x >= 0 && x <= 2'
t_ok "odd counts" null --max 7 --intervals 3 -o odd
t_ok "end at --max" t_cell_is odd/intervals.csv 4 vm_count 7
t_ok "the same seed" null --max 200 -o again --seed 7
t_ok "gives the same figures" test "$(cut -d, -f1-5 null/intervals.csv)" = "$(cut -d, -f1-5 again/intervals.csv)"

# Stops and plans
t_ok "a threshold stops the run" null --max 100000 --null-mem "$big" -o ram
t_ok "attributed to RAM" says ram metric '"ram"'
t_ok "as a threshold" says ram kind '"threshold"'
t_ok "with about 20 intervals" rows_between ram/intervals.csv 14 31
t_ok "the advice names RAM" holds ram/advice.json '"binding_resource": "ram"'
t_ok "advise says so as well" "$M" advise ram
t_ok "a resource that is left out ends nothing" null --max 60 --null-cpu 5 --null-mem 1 --stop-on ram,swap -o nocpu
t_ok "and the run goes to its maximum" says nocpu kind '"max"'
t_fail "an unknown resource is refused by name" 2 "'disk' is no resource" null --max 10 --stop-on disk -o none
t_ok "CPU can be what ends it" null --max 100000 --null-cpu 0.5 --null-mem 1 --threshold 50 -o cpu
t_ok "attributed to CPU" says cpu metric '"cpu"'
t_ok "a population that was unforeseen" null --max 100000 --null-mem 20000 -o replan
t_ok "is planned anew: about 20 intervals" rows_between replan/intervals.csv 14 31

# What is printed
t_ok "with --json" json_only -o js
t_ok "the outcome is there" holds json '"stop": "max"'
t_ok "and the advice in it" holds json '"binding_resource"'
t_ok "and the exit status" holds json '"exit_status": 0'
t_ok "progress goes to stderr" holds err '^ interval'
"$M" --backend null --max 20 -o plain >out 2>err
t_ok "run is the default command" files plain
t_ok "a pipe gets a line per interval" holds err '^ +20/20 +20 '
printf '\033\r' >control
t_ok "and no control characters" test -z "$(tr -cd "$(cat control)" <err)$(tr -cd "$(cat control)" <out)"
t_ok "the outcome is on stdout" holds out '^20 VMs; stopped by max'
null --max 20 -o quiet >out 2>err
t_ok "--quiet: nothing on stderr" test ! -s err
t_ok "nor on standard output" test ! -s out
t_fail "but --json is asked for" 0 '"vms": 20' "$M" run --backend null --quiet --max 20 -o quiet-json --json
t_fail "and what went wrong is said" 5 'VMs; stopped by .*VMs died' env MVMSCALE_FAULT=vm-dies:2 \
	"$M" run --quiet --preset lean --accel tcg --max 3 --intervals 1 --settle 0 --samples 2 --sample-time 0.1 --stop-on ram -o quiet-dies
if command -v script >/dev/null; then
	# null VMs that take a moment, so that the line is drawn
	line="'$M' --backend null --max 40 --null-start 20"
	env -u NO_COLOR TERM=xterm script -qec "$line -o tty" /dev/null >tty.out </dev/null
	t_ok "on a terminal a line is rewritten" grep -q "$(printf '\033')\[K" tty.out
	t_ok "with the stages' bars" grep -q 'CPU \[' tty.out
	t_ok "and colour" grep -q "$(printf '\033')\[0m" tty.out
	NO_COLOR=1 TERM=xterm script -qec "$line -o tty-no" /dev/null >no.out </dev/null
	t_ok "NO_COLOR: no colour" test -z "$(grep -c "$(printf '\033')"'\[[0-9]*m' no.out | grep -v '^0')"
	TERM=dumb script -qec "$line -o tty-dumb" /dev/null >dumb.out </dev/null
	t_ok "TERM=dumb: plain lines" lacks dumb.out "$(printf '\033')"
	TERM='' script -qec "$line -o tty-empty" /dev/null >empty.out </dev/null
	t_ok "an empty TERM as well" lacks empty.out "$(printf '\033')"
	env -u TERM script -qec "unset TERM; $line -o tty-unset" /dev/null >unset.out </dev/null
	t_ok "and none" lacks unset.out "$(printf '\033')"
	# What the display wrote, one piece a line, without escape sequences: none reaches the last column.
	fits() {
		tr '\r' '\n' <"$1" | sed "s/$(printf '\033')\[[0-9]*[mK]//g" | grep 'CPU\|interval\|[0-9]/[0-9]' >pieces
		grep -q 'CPU' pieces && awk -v most="$2" 'length > most { print; bad = 1 } END { exit bad }' pieces
	}
	for width in 20 30 44 60; do
		TERM=xterm script -qec "stty cols $width rows 24; $line --settle 0.1 -o tty-$width" /dev/null >"w$width.out" </dev/null
		sed -n '1,/Memory, kB/p' "w$width.out" | sed '/VMs; stopped/,$d' >"live$width.out"
		t_ok "a terminal of $width columns: no line wraps" fits "live$width.out" $((width - 1))
	done
	TERM=xterm script -qec "stty cols 120 rows 24; (sleep 0.7; stty cols 24 </dev/tty; echo RESIZED) & $line --settle 0.5 \
		--intervals 4 -o tty-resized" /dev/null >resized.out </dev/null
	sed '1,/RESIZED/d; /VMs; stopped/,$d' resized.out | sed '1,2d' >live-resized.out
	t_ok "one that becomes narrow meanwhile" fits live-resized.out 23
else
	t_skip "the display on a terminal" "no script(1) here to make one"
fi

# Options that contradict each other
t_fail "--qemu with the null backend" 2 'null has no use for --qemu' null --qemu x
t_fail "--machine with the null backend" 2 'null has no use for --machine' null --machine pc
t_fail "an empty --machine" 2 'name a machine type first' "$M" --machine '' --max 1
t_fail "--preset with the null backend" 2 'no use for' null --preset lean
t_fail "--launch with the null backend" 2 'no use for' null --launch exec
t_fail "--verify with the null backend" 2 '--verify' null --verify all
t_fail "--null-mem with qemu" 2 'need --backend null' "$M" --null-mem 5 --max 1
t_fail "--image and --profile" 2 'exclude' "$M" --image x --profile sleep
t_fail "an argument" 2 "'surplus'" "$M" run surplus
t_fail "an unknown option" 2 'unrecognized' "$M" --surplus
t_fail "an unknown command" 2 "unknown command 'surplus'" "$M" surplus

# Real VMs
t_ok "6 VMs, all of them verified" t_real --preset lean --max 6 --intervals 3 --verify all -o real
t_ok "their folder is complete" files real
t_ok "the last interval has 6" t_cell_is real/intervals.csv 4 vm_count 6
t_ok "each by its own ready line" t_cell_is real/intervals.csv 4 proven_ready 6
t_ok "each answered a ping" t_cell_is real/intervals.csv 4 proven_ping 6
t_ok "none was lost" column real/intervals.csv died 'x == 0'
t_ok "start latency was measured" column real/intervals.csv boot_p50_ms 'x == "" || x > 0 && x < 60000'
t_ok "PSS of a guest process" column real/intervals.csv guest_pss_kb_mean 'x == "" || x > 500'
t_ok "run.json: the accelerator" says real accel '"tcg"'
t_ok "run.json: the binary's hash" holds real/run.json '"sha256": "[0-9a-f]{64}"'
t_ok "run.json: the argv" holds real/run.json '"-bios"'
t_ok "run.json: the launch mode" holds real/run.json '"mode": "exec"'
t_ok "the other guest" t_real --preset lean --max 4 --intervals 2 --profile idle -o idle
t_ok "is counted too" t_cell_is idle/intervals.csv 3 proven_ready 4
t_ok "an untuned QEMU with SeaBIOS" t_real --preset stock --max 2 --intervals 1 -o stock
t_ok "is ready as well" t_cell_is stock/intervals.csv 2 proven_ready 2
t_ok "another machine type" t_real --preset lean --accel tcg --machine pc,usb=off --max 2 --intervals 1 -o machine
t_ok "is recorded" grep -q '"machine": "pc",' machine/run.json
t_ok "with its properties" grep -q '"pc,usb=off"' machine/run.json
t_ok "a boot sector of one's own" t_real --preset lean --image "$BUILD/guests/sleep.img" --max 2 --intervals 1 -o own
t_ok "--rate" t_real --preset lean --max 4 --intervals 1 --rate 4 -o rate
t_ok "paces the launch" column rate/intervals.csv launch_s 'x == "" || x > 0.7'
t_ok "--repeat" t_real --preset lean --max 4 --intervals 2 --repeat 2 -o twice
t_ok "with the same points" rows_between twice/intervals.csv 3 3
t_ok "no run folder of the state is left" test -z "$(ls -d "$MVMSCALE_STATE"/run-* 2>/dev/null)"
t_done
