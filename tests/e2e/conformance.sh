#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# What every backend in the table must do: its operations (tests/backend/conformance.c), then the same through the
# command line. A backend that cannot run here is skipped with the reason it gives.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

tmp=$(t_tmp)

# name<TAB> cap cap ... of every backend
table() {
	"$BUILD/mvmscale" list backends --json | tr -d ' \n' | sed 's/},{/\n/g' |
		sed -n 's/.*"name":"\([^"]*\)".*"can":\[\([^]]*\)\].*/\1\t\2/p' | tr -d '"' | tr , ' '
}
can() { case " $caps " in *" $1 "*) true ;; *) false ;; esac; }
brief="--settle 0 --samples 2 --sample-time 0.1 --intervals 1 --stop-on ram --quiet"
# shellcheck disable=SC2086 # several words
run() { "$BUILD/mvmscale" run --backend "$name" $brief "$@"; }
# Where it must be fast and the same everywhere
case_options() {
	if can qemu; then echo "--preset lean --accel tcg"; fi
}
# Cgroups of runs that are over
stale_cgroups() {
	find /sys/fs/cgroup -maxdepth 7 -type d -name 'mvmscale-[0-9]*' 2>/dev/null | while read -r d; do
		n=${d##*/mvmscale-}
		[ -d "/proc/${n%%-*}" ] || echo "left: $d"
	done
}
stale_before=$(stale_cgroups; echo -)
state_is_empty() {
	for d in "$MVMSCALE_STATE"/*; do
		case $d in */lock | *'/*') ;; *) echo "left: $d"; return 1 ;; esac
	done
}
# The processes of any run whose runtime folder was ours, wherever they are
processes_left() { grep -al -- "$MVMSCALE_STATE/run[-]" /proc/[0-9]*/cmdline 2>/dev/null; }
nothing_left() {
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		left=$(processes_left; state_is_empty; stale_cgroups | grep -vxF "$stale_before")
		[ -n "$left" ] || return 0
		sleep 0.25
	done
	echo "$left"
	return 1
}

# operations TITLE ARGUMENT...: the lines of the program, with the title in each
operations() {
	title=$1
	shift
	while read -r line; do
		case $line in
		*"# SKIP"*) t_skip "$title" "${line#*# SKIP }" ;;
		"ok "*) t_ok "$title: ${line#*- }" true ;;
		"not ok "*) t_ok "$title: ${line#*- }" false ;;
		"#"*) echo "$line" ;;
		1..*) planned=yes ;;
		esac
	done <<-LINES
		$("$BUILD/conformance" "$@" 2>&1)
	LINES
	t_ok "$title: it came to its end" test "${planned-}" = yes
	planned=
}

# refuses CAPABILITY OPTION VALUE: who lacks it says so
refuses() { # --null-mem is named as --null-*
	can "$1" || t_fail "$name has no use for $2, and refuses it" 2 "${2%-mem}" run "$2" "$3" --max 1 -o "$tmp/refused"
}

killed_harness() {
	# not through run(): the signal must meet the harness, not a shell around it
	# shellcheck disable=SC2086 # several words
	"$BUILD/mvmscale" run --backend "$name" $brief $options --max 3 --samples 5 --repeat 100 -o "$tmp/$name.killed" \
		>"$tmp/log" 2>&1 </dev/null &
	pid=$!
	for _ in $(seq 100); do
		grep -qs launched "$tmp/$name.killed/events.jsonl" && break
		sleep 0.1
	done
	kill -KILL $pid
	wait $pid 2>/dev/null
	grep -qs launched "$tmp/$name.killed/events.jsonl" || cat "$tmp/log"
}

# counted FILE: the last row has a task for each VM, and memory, or nothing at all. The kernel charges memory in
# batches of 64 pages per CPU: of three processes of a few pages it may show none yet.
counted() {
	tasks=$(t_cell "$1" 2 cgroup_tasks_mean) kb=$(t_cell "$1" 2 cgroup_mem_per_vm_kb)
	echo "tasks '$tasks', kB per VM '$kb'"
	[ -z "$tasks$kb" ] || awk -v tasks="$tasks" -v kb="$kb" \
		'BEGIN { exit !((tasks == "" || tasks >= 3) && (kb == "" || kb >= 0)) }'
}

through_the_command_line() {
	options=$(case_options)
	status=0
	# shellcheck disable=SC2086 # several words
	run $options --max 3 -o "$tmp/$name" >"$tmp/log" 2>&1 </dev/null || status=$?
	if [ $status = 3 ]; then
		t_skip "a run with backend $name" "$(head -n 1 "$tmp/log")"
		return
	fi
	t_ok "$name: a run of 3 VMs ends with 0" test $status = 0
	t_ok "$name: the record has 3 VMs" grep -q '"reached": 3' "$tmp/$name/run.json"
	t_ok "$name: nothing is left of it" nothing_left
	# its VMs are where their memory and tasks are counted, as far as this host counts them
	status=0
	if can cgroup; then
		# shellcheck disable=SC2086 # several words
		run $options --max 3 --cgroup -o "$tmp/$name.cgroup" >"$tmp/log" 2>&1 </dev/null || status=$?
		if [ $status = 3 ]; then
			t_skip "$name: a run in a cgroup of its own" "$(head -n 1 "$tmp/log")"
		else
			t_ok "$name: a run in a cgroup of its own" test $status = 0
			t_ok "$name: its VMs are in that" counted "$tmp/$name.cgroup/intervals.csv"
		fi
	fi
	if can processes; then
		killed_harness
		t_ok "$name: nothing is left of a run that was killed" nothing_left
	fi
}

t_ok "the table of backends is not empty" test -n "$(table)"
while IFS='	' read -r name caps; do
	if can qemu; then
		operations "$name (lean)" "$name" lean tcg
		operations "$name (dense)" "$name" dense tcg
	else
		operations "$name" "$name"
	fi
	refuses qemu --preset lean
	refuses qemu --tune +ksm
	refuses runtime --runtime runc
	refuses place --pin spread
	refuses place --numa local
	refuses cgroup --cgroup-pids 50
	refuses synthetic --null-mem 5
	through_the_command_line
done <<TABLE
$(table)
TABLE
# the one that docs/backends.md walks through; it is not in the table
operations example example
t_done
