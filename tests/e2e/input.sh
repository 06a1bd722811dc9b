#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Odd names, tables of other writers, folders that are taken, output that nobody takes.
. "$(dirname "$0")/lib.sh"
M=$BUILD/mvmscale
T=$(t_tmp)
cd "$T" || exit 1
MVMSCALE_HISTORY=$T/history.db
export MVMSCALE_HISTORY

run() {
	"$M" --backend null --max 60 --intervals 4 --quiet "$@"
}

# Eight at once into one folder: one has it, the others are told.
one_of_eight() {
	for i in 1 2 3 4 5 6 7 8; do
		(
			run -o same >/dev/null 2>"same.err$i"
			echo $? >"same.$i"
		) &
	done
	wait
	[ "$(cat same.? | sort | uniq -c | tr -s ' ' ,)" = ",1,0
,7,2" ] && [ "$(cat same.err? | grep -c 'already holds a run')" = 7 ] && "$M" plot same -o same.svg
}

# In the same second and without --out: each has a folder of its own.
own_folders() {
	mkdir own && cd own || return 1
	for i in 1 2 3 4; do
		run >/dev/null 2>&1 &
	done
	wait
	cd .. && [ "$(find own/runs -name run.json | wc -l)" = 4 ]
}

foreign_is_kept() {
	mkdir foreign && echo mine >foreign/samples.csv
	status=0
	run -o foreign || status=$?
	[ "$status" = 2 ] && [ "$(cat foreign/samples.csv)" = mine ] && [ ! -e foreign/run.json ]
}

full() {
	"$@" >/dev/full
}

# What was typed makes the same folder again: the command line of matrix.json goes through a shell.
# shellcheck disable=SC2016 # a $ in a name is what is tested
typed_again() {
	printf '[matrix]\nbackend = null\nmax = 20\nintervals = 2\n[config it is "x" & $HOME]\nnull_mem = 500\n' >q.matrix
	"$M" matrix ./q.matrix -o "q q" --quiet >/dev/null || return 1
	command=$(sed -n 's/^ *"command": "\(.*\)".*/\1/p' "q q/matrix.json" | sed 's/\\"/"/g; s/\\\\/\\/g')
	eval "$(echo "$command" | sed "s|^mvmscale|'$M'|; s|q q/|again/|") --quiet" >/dev/null || return 1
	set -- again/*
	grep -q '"name": "it is \\"x\\" & $HOME"' "$1/run.json"
}

t_ok "of eight runs that begin at once in one folder, one has it" one_of_eight
t_ok "runs of the same second have folders of their own" own_folders
t_ok "a file that is no run's is not overwritten" foreign_is_kept
t_fail "an empty folder name" 2 "out '': needs a value" run -o ''
t_fail "a matrix does not go into a run's folder" 2 'folder of a run' "$M" matrix quick -o same
t_fail "a name that is no text" 2 'UTF-8' run --name "$(printf '\377')"
t_fail "a folder whose name is no text" 2 'UTF-8' run -o "$(printf 'x\377y')"
t_ok "a recorded command line can be typed" typed_again
if [ -w /dev/full ]; then
	t_fail "a full disk is told" 3 'standard output: No space' full "$M" list metrics
else
	t_skip "a full disk is told" "no /dev/full"
fi

printf '\357\273\277"cpu_pct","ram_pct",note\r\n50,97,"a, b"\r\n97,50,c' >hand.csv
t_fail "a table of a spreadsheet: its last line counts" 0 '2\. .*cpu-bound' "$M" advise --table hand.csv
printf 'mvms,cpu_pct\n12345,1\n23456,2' >beside.csv
printf '[matrix]\nbackend = null\nmax = 20\nintervals = 2\n[config a]\nnull_mem = 500\n' >b.matrix
t_fail "and beside a matrix" 0 '23456' "$M" matrix ./b.matrix -o b --quiet --beside ./beside.csv

t_fail "history: a label of nothing" 2 'goes with add' "$M" history list --label x
t_fail "history: a figure of a list" 2 'go with trend' "$M" history list --metric mem_per_vm_kb
t_fail "compare: a database without baseline" 2 'give that, too' "$M" compare same same --db x.db
# Every option that is a number refuses what is none, or out of range, and says the range.
numbers='mvmscale run max
mvmscale run intervals
mvmscale run threshold
mvmscale run repeat
mvmscale run jobs
mvmscale run rate
mvmscale run ready-timeout
mvmscale run settle
mvmscale run samples
mvmscale run sample-time
mvmscale run verify
mvmscale run disk-capacity
mvmscale run net-capacity
mvmscale run seed
mvmscale run shard
mvmscale run cgroup-cpu
mvmscale run cgroup-pids
mvmscale run null-mem
mvmscale run null-cpu
mvmscale run null-start
mvmscale run null-noise
mvmscale advise threshold
mvmscale advise reserve
mvmscale advise overcommit
mvmscale advise target
mvmscale classify threshold
mvmscale compare alpha
mvmscale ab rounds
mvmscale ab budget
mvmscale ab alpha
mvmscale kernel memory
mvmscale kernel cpus
mvmscale kernel timeout
mvmscale matrix max
mvmscale matrix rounds
mvmscale doctor max
mvmscale doctor vm-mem
mvmscale doctor vm-tasks
mvm boot memory
mvm boot wait
mvm boot ready-timeout
mvm build seed
mvm build phase
mvm wave seconds
mvm wave window'
refused() {
	echo "$numbers" | while read -r program command option; do
		for value in '' x -1 1e308 1e999 99999999999999999999 nan inf 0x10 '1 ' ' 1' "$(printf '\t1')" 1,5 1x; do
			status=0
			"$BUILD/$program" "$command" "--$option=$value" >number.out 2>&1 || status=$?
			[ $status = 2 ] && grep -q -- "--$option .*from [0-9.e-]* to [0-9.]*" number.out || {
				echo "$program $command --$option='$value': $status"
				cat number.out
				return 1
			}
		done
	done
}
t_ok "numbers of all options: range and kind are checked, and named" refused
t_fail "the last of two counts" 0 '"vms": 3,' "$M" run --backend null --max 2 --max 3 --intervals 1 --quiet --json -o twice
t_fail "but the first must be right as well" 2 "max '0': needs" "$M" run --backend null --max 0 --max 3 -o twice2

# Everything that is printed either arrives, or the program says that it did not.
printers='list presets
help
help --man
run --help
--version
advise runs/sleep
classify runs/sleep
table runs/sleep
compare --list
doctor
run --backend null --max 5 --intervals 1 --json -o full-json
run --backend null --max 5 --intervals 1 -o full-text'
ln -s "$t_root/tests/fixtures/runs" runs
full() {
	echo "$printers" | while read -r line; do
		status=0
		# shellcheck disable=SC2086 # words
		"$M" $line >/dev/full 2>full.err || status=$?
		[ $status = 3 ] && [ "$(grep -c '^mvmscale: standard output: No space left on device$' full.err)" = 1 ] || {
			echo "$line: $status"
			cat full.err
			return 1
		}
	done
}
t_ok "standard output on a full disk, all commands" full
full_mvm() {
	for line in list 'list --json' '--version' 'build --help' 'wave constant'; do
		status=0
		# shellcheck disable=SC2086 # words
		"$BUILD/mvm" $line >/dev/full 2>full.err || status=$?
		[ $status = 3 ] && grep -q '^mvm: standard output: No space left on device$' full.err || {
			echo "$line: $status"
			cat full.err
			return 1
		}
	done
}
t_ok "mvm as well" full_mvm
# A reader that has seen enough is no failure.
head_only() {
	for line in 'list metrics' 'help --man' 'doctor' 'run --backend null --max 5 --intervals 1 --quiet --json -o head'; do
		# shellcheck disable=SC2086 # words
		{
			"$M" $line 2>head.err
			echo $? >head.status
		} | head -n 1 >/dev/null
		[ ! -s head.err ] || return
		grep -q '^0$\|^141$' head.status || return
	done
}
t_ok "| head ends quietly" head_only
t_fail "a git bisect is stopped, and no revision blamed" 128 'standard output' \
	sh -c '"$1" compare --bisect runs/sleep -- runs/sleep >/dev/full' - "$M"
t_done
