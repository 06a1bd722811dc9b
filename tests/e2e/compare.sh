#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# compare, ab, history and limits as a user runs them, with VMs that are numbers.
. "$(dirname "$0")/lib.sh"

M=$BUILD/mvmscale
T=$(t_tmp)
G=$t_root/tests/fixtures/compare
MVMSCALE_HISTORY=$T/history.db
export MVMSCALE_HISTORY
cd "$T" || exit 1

# a run of N null VMs whose memory, CPU and start are known: made DIR MEM SEED [OPTION...]
made() {
	dir=$1 mem=$2 seed=$3
	shift 3
	"$M" run --quiet --backend null --max 60 --intervals 4 --null-mem "$mem" --seed "$seed" --out "$dir" "$@" >/dev/null
}
# folder DIR MEM SHIFT [CELL]: a small run folder, written by hand: the same on any host
folder() {
	mkdir -p "$1" || return
	cat >"$1/run.json" <<-EOF
		{"format": 1, "state": "complete", "vms": {"reached": 30, "died": ${4:-0}, "failed": 0},
		"stop": {"kind": "max"}, "max": 30, "preset": "lean", "teardown": {"seconds": 0.03, "vms": 30},
		"backend": {"name": "qemu", "version": "7.2", "launch": {"mode": "exec"}},
		"host": {"cpu": "X & <Y>", "cores": 2, "ram_kb": 1000000, "kernel": "6.1"}}
	EOF
	awk -v m="$2" -v s="$3" 'BEGIN {
		print "vm_count,cpu_pct_mean,cpu_pct_sd,ram_pct_mean,ram_pct_sd,swap_pct_mean,swap_pct_sd,samples,settled,ledger_drop_kb,boot_p50_ms,boot_p99_ms,launch_cpu_ms_per_vm"
		print "0,0.1,0,1,0,0,0,8,1,0,,,"
		for (n = 10; n <= 30; n += 10)
			printf "%d,%g,0,1,0,0,0,8,1,%g,%g,%g,%g\n", n, 0.1 + n * 0.01, 4000 + n * (m + s), 40 + s / 10, 60, 20 + s / 20
	}' >"$1/intervals.csv"
}
sides() {
	for i in 1 2 3 4 5 6 7 8; do
		folder base/r$i 1000 $i && folder same/r$i 1000 $((9 - i)) && folder worse/r$i 1100 $i || return
	done
}
# Figures whose values differ in more than their last digits.
golden() {
	"$M" compare base worse --metric mem_per_vm_kb,boot_p50_ms,launch_cpu_ms --format "$1" >got
	[ $? = 1 ] && diff -u "$G/worse.$1" got
}

t_ok "(run folders)" sides
t_fail "no side is a usage error" 2 'name two sides' "$M" compare
t_fail "one side is a usage error" 2 'name two sides' "$M" compare base
t_fail "three words are too many" 2 'third' "$M" compare base same worse
t_fail "a missing folder is named" 2 'no folder nowhere' "$M" compare base nowhere
t_fail "a folder without runs is named" 2 'holds none' "$M" compare base .
t_fail "an unknown figure is refused" 2 'no figure' "$M" compare base same --metric nix
t_fail "a gate without a value is refused" 2 'NAME=CHANGE' "$M" compare base same --gate mem_per_vm_kb
t_fail "a gate in the wrong scale is refused" 2 "such as '3 %'" "$M" compare base same --gate mem_per_vm_kb=3
t_fail "an unknown format is refused" 2 'text, json' "$M" compare base same --format yaml
t_ok "the figures are listed" "$M" compare --list
t_ok "equals pass" "$M" compare base same
t_fail "a regression ends with 1" 1 '^regressed: memory per VM' "$M" compare base worse
t_ok "an improvement ends with 0" "$M" compare worse base
t_fail "and says so" 0 '^improved: memory per VM' "$M" compare worse base
t_ok "a wide gate lets it pass" "$M" compare base worse --gate mem_per_vm_kb=20%
t_fail "one run a side tells nothing" 4 'run [0-9]+ more of each side' "$M" compare base/r1 worse/r1
t_fail "words after --base and --new" 4 'Base 2 runs, new 3 runs' \
	"$M" compare --base base/r1 base/r2 --new worse/r1 worse/r2 worse/r3 --metric mem_per_vm_kb
for f in text json markdown junit tap; do
	t_ok "golden $f" golden $f
done
# as CI servers read it: the counts of the suite are those of its cases
cat >counts.py <<'EOF'
import sys, xml.etree.ElementTree as tree

suites = tree.parse(sys.argv[1]).getroot()
assert suites.tag == 'testsuites'
for suite in suites:
	children = [child.tag for child in suite]
	assert children == sorted(children, key=['properties', 'testcase'].index), children
	assert children.count('properties') <= 1
	assert int(suite.get('tests')) == children.count('testcase')
	for kind in ('failure', 'error', 'skipped'):
		counted = len(suite.findall('testcase/' + kind))
		attribute = kind + ('' if kind == 'skipped' else 's')
		assert int(suite.get(attribute)) == counted, (attribute, counted)
	for case in suite.findall('testcase'):
		assert case.get('name') and case.get('classname') and len(case) <= 1
	names = [case.get('name') for case in suite.findall('testcase')]
	assert len(names) == len(set(names))
	print(' '.join(suite.get(name) for name in ('tests', 'failures', 'errors', 'skipped')))
EOF
# counted "TESTS FAILURES ERRORS SKIPPED" BASE NEW [OPTION...]
counted() {
	want=$1
	shift
	"$M" compare "$@" --format junit -o j.xml
	xmllint --noout j.xml 2>xml.err || { command -v xmllint >/dev/null && cat xml.err && return 1; }
	[ "$(python3 counts.py j.xml)" = "$want" ]
}
# prove STATUS BASE NEW: what prove says of the TAP
proved() {
	"$M" compare "$2" "$3" --format tap >out.tap
	prove -e cat out.tap
	[ $? = "$1" ]
}
if command -v prove >/dev/null; then
	t_ok "TAP of equals passes" proved 0 base same
	t_ok "TAP of a regression fails" proved 1 base worse
else
	t_skip "TAP in prove" "perl's prove is not installed"
fi

folder died 1000 1 2
t_fail "VMs that died make it invalid" 5 '2 VMs died' "$M" compare base died
cp -r base odd && sed -i 's/"kernel": "6.1"/"kernel": "6.2"/' odd/r*/run.json
t_fail "another kernel is shown" 0 'host.kernel: 6.1 -> 6.2' "$M" compare base odd
sed -i 's/"cores": 2/"cores": 4/' odd/r*/run.json
t_fail "another host is invalid" 5 'different hosts' "$M" compare base odd
t_ok "unless it is asked for" "$M" compare base odd --other-host
cp -r base cut && : >cut/r3/run.json
t_fail "a damaged folder is named" 2 'cut/r3/run.json: line' "$M" compare base cut
if command -v python3 >/dev/null; then
	t_ok "JUnit: a regression is a failure" counted '4 1 0 0' base worse --metric mem_per_vm_kb,boot_p50_ms,launch_cpu_ms
	t_ok "JUnit: what cannot be told is skipped" counted '2 0 0 1' base/r1 worse/r1 --metric mem_per_vm_kb
	t_ok "JUnit: invalid is an error" counted '2 0 1 1' base died --metric mem_per_vm_kb
	t_ok "JUnit: environments are properties" counted '2 0 1 0' base odd --metric mem_per_vm_kb
	t_ok "JUnit: and marked-up names survive" grep -q 'property name="host.kernel" value="6.1 -&gt; 6.2"' j.xml
else
	t_skip "JUnit as CI servers read it" "no python3"
fi
if python3 -c 'import junitparser' 2>/dev/null; then
	"$M" compare base same --format junit -o same.xml
	"$M" compare base worse --format junit -o worse.xml
	t_ok "junitparser takes equals for a success" python3 -m junitparser verify same.xml
	t_fail "and a regression for a failure" 1 '' python3 -m junitparser verify worse.xml
else
	t_skip "JUnit in junitparser" "this Python module is not installed (python3-junitparser)"
fi
t_fail "bisect: good" 0 pass "$M" compare base same --bisect
t_fail "bisect: bad" 1 regressed "$M" compare base worse --bisect
t_fail "bisect: cannot tell" 125 inconclusive "$M" compare base/r1 worse/r1 --bisect
t_fail "bisect: stop at bad input" 128 nowhere "$M" compare base nowhere --bisect
t_fail "bisect: stop at bad usage" 128 'unrecognized' "$M" compare base same --bisect --no-such

printf '[limits]\nmem_per_vm_kb = max 900\nboot_p50_ms = max 500\n[changes]\nmem_per_vm_kb = 30 %%\n' >tight.slo
printf '[limits]\nmem_per_vm_kb = max 1500\n' >kept.slo
printf '[limits]\nwake_p99_ms = max 15\n' >unknown.slo
t_fail "compare names a broken limit" 1 'broken: mem_per_vm_kb .* above the limit of 900' "$M" compare base same --slo tight.slo
t_ok "a limit that is kept" "$M" compare base worse --slo kept.slo --gate mem_per_vm_kb=30%
t_fail "a limit without a figure cannot be checked" 4 'cannot be checked' "$M" compare base same --slo unknown.slo
t_fail "run names a broken limit" 1 'limit broken: mem_per_vm_kb' made slo1 1000 1 --slo tight.slo
t_ok "run keeps a limit" made slo2 1000 1 --slo kept.slo
t_fail "run cannot check a limit" 4 'cannot be checked' made slo3 1000 1 --slo unknown.slo
printf '[limits]\n' >empty.slo
printf '[changes]\nmem_per_vm_kb = 5 %%\n' >changes.slo
t_fail "limits that limit nothing are refused" 2 'empty.slo: limits nothing' "$M" compare base same --slo empty.slo
t_fail "run refuses those of comparisons alone" 2 'no \[limits\]' made slo5 1000 1 --slo changes.slo
t_fail "a file of limits that is not there" 2 "no limits 'nix'" made slo4 1000 1 --slo nix
t_ok "and no run was made" test ! -e slo4
for f in "$t_root"/profiles/slo/*.slo; do
	name=$(basename "$f" .slo)
	t_fail "the limits '$name' are read by name" 4 'cannot be checked' \
		"$M" run --quiet --backend null --max 20 --null-mem 100 --out "named-$name" --slo "$name"
done

order() {
	sed -n 's/^ab1\/\([ab]-[0-9]*\):.*/\1/p' ab1.err | tr '\n' ' '
}
"$M" ab --a null-mem=1000 --b null-mem=1200 --rounds 6 --metric mem_per_vm_kb --out ab1 -- \
	--backend null --max 40 --intervals 3 >ab1.out 2>ab1.err
t_ok "ab finds a regression" test $? = 1
t_ok "in the order A B B A" test "$(order)" = "a-1 b-1 b-2 a-2 a-3 b-3 b-4 a-4 a-5 b-5 b-6 a-6 "
t_ok "what was asked for is no surprise" grep -q '^  backend.synthetic.mem_kb: 1000.0 -> 1200.0' ab1.out
t_ok "auto stops when it is decided" "$M" ab --a '' --b '' --metric mem_per_vm_kb --out ab2 -- --backend null --max 40 --intervals 3
t_ok "and not before the first look" test -d ab2/a-6
t_fail "a budget ends it" 4 'inconclusive' \
	"$M" ab --a '' --b null-mem=1300 --budget 1.2 --out ab3 -- --backend null --max 40 --intervals 3
t_fail "a folder that exists is kept" 2 'exists already' "$M" ab --a '' --b '' --out ab1 -- --backend null
t_fail "an option that run does not know" 2 "'nix' is no option" "$M" ab --a nix=1 --b '' --out ab4
t_fail "a run that cannot be made ends it" 2 'a-1 ended with status 2.*null-\*' \
	"$M" ab --a null-mem=1 --b '' --out ab5 -- --max 3
t_fail "with --bisect so that git stops" 128 'ended with status 2' \
	"$M" ab --bisect --a null-mem=1 --b '' --out ab6 -- --max 3
# interrupted: compares what there is
interrupted() {
	"$M" ab --a '' --b null-mem=1500 --rounds 50 --out ab7 -- --backend null --max 40 --intervals 3 >ab7.out 2>ab7.err &
	pid=$!
	for _ in $(seq 100); do
		grep -q 'b-2:' ab7.err 2>/dev/null && break
		sleep 0.3
	done
	kill -TERM $pid
	wait $pid
	[ $? = 130 ] && grep -q '^inconclusive: too few samples' ab7.out
}
t_ok "interrupted it compares what is there" interrupted
# The run must end with it, also when it has no time to say so.
killed() {
	"$M" ab --a '' --b null-mem=1500 --out ab8 -- --backend null --max 40 --settle 60 >/dev/null 2>&1 &
	pid=$!
	for _ in $(seq 100); do
		ls ab8/a-1/run.json >/dev/null 2>&1 && break
		sleep 0.1
	done
	run=$(cat "/proc/$pid/task/$pid/children")
	kill -KILL $pid
	wait $pid
	for _ in $(seq 100); do
		grep -q '"interrupted"' ab8/a-1/run.json && ! kill -0 $run 2>/dev/null && return
		sleep 0.1
	done
	kill -KILL $run
	return 1
}
t_ok "killed it leaves no run behind" killed
# Whenever the signal comes, be it between the start of a run and its first step.
at_once() {
	for wait in 0 0.002 0.004 0.006 0.01 0.02; do
		"$M" ab --a '' --b null-mem=1500 --out "ab9-$wait" -- --backend null --max 40 --settle 60 >/dev/null 2>&1 &
		pid=$!
		for _ in $(seq 200); do
			[ ! -e "ab9-$wait/log-a-1" ] || break
			sleep 0.002
		done
		sleep "$wait"
		kill -TERM $pid
		wait $pid
		status=$?
		[ $status = 130 ] || return
	done
}
t_ok "a signal at any moment ends it" at_once
standard_folder() {
	(mkdir own && cd own && "$M" ab --quiet --a '' --b '' --rounds 1 -- --backend null --max 40 --intervals 3 >/dev/null
		ls -d runs/*-ab/a-1)
}
t_ok "the folder of the runs is below runs/" standard_folder

history_of() {
	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do
		folder "h/r$i" $((i > 8 ? 1150 : 1000)) $((i * 7 % 5)) &&
			sed -i "s/\"max\": 30/\"max\": 30, \"started\": \"2026-01-$((i + 10))T00:00:00Z\"/" "h/r$i/run.json" || return
	done
	"$M" history add h
}
nothing_read() {
	for side in blank/a blank/b; do
		for i in 1 2 3 4 5 6 7 8; do
			folder $side/r$i 1000 $i && sed -i '2,$s/,[0-9.]*,0,1,0,0,0,8,1,.*/,nan,inf,,inf,nan,,8,1,,-inf,nan,/' $side/r$i/intervals.csv || return
		done
	done
}
t_ok "(runs without a readable value)" nothing_read
t_fail "of nothing nothing passes" 4 'must be told, and no run has it' "$M" compare blank/a blank/b
t_fail "nor by limits" 4 'inconclusive' "$M" compare blank/a blank/b --slo kept.slo
t_fail "bisect skips it" 125 'inconclusive' "$M" compare blank/a blank/b --bisect
t_fail "nor is there a class" 4 'inconclusive' "$M" classify blank/a/r1 --threshold 90

t_fail "history needs a verb" 2 'add, list, trend or baseline' "$M" history
t_fail "an unknown verb" 2 'known are' "$M" history forget
t_fail "trend of nothing" 2 'holds no run' "$M" history trend
t_fail "list of nothing" 0 'history.db holds no run' "$M" history list
t_fail "no baseline of nothing" 2 'no history .*history.db yet' "$M" history baseline 1
t_ok "reading made no file" test ! -e history.db
few() {
	"$M" history add base/r1 base/r2 --db few.db >/dev/null && "$M" history trend --db few.db
}
t_fail "two runs have no trend" 4 'fewer than 10 runs' few
t_ok "history add" history_of
t_fail "a run is added once" 0 'there already' "$M" history add h/r3
t_fail "history list" 0 '16 +2026-01-26' "$M" history list
t_fail "a change of level is found" 0 'memory per VM +worse: 100[0-9] -> 115[0-9] kB .* from run 9, 2026-01-19' "$M" history trend
unchanged() {
	"$M" history trend >trend.out && ! grep -q 'fixed memory' trend.out
}
t_ok "what is left of rounding is none" unchanged
t_fail "as JSON" 0 '"run": 9,' "$M" history trend --json
t_fail "no baseline yet" 2 'has no baseline' "$M" compare --baseline worse
t_ok "baseline is set" "$M" history baseline 1 2 3 4 5 6 7 8
t_fail "an unknown run is refused" 2 'holds no run 99' "$M" history baseline 99
t_fail "compare with the baseline" 1 '^regressed: memory per VM' "$M" compare --baseline worse
echo 'not a database, but of some length, so that it is read as one' >bad.db
t_fail "a file that is no database is named" 2 'bad.db' "$M" history list --db bad.db
if command -v gnuplot >/dev/null; then
	t_ok "a trend is drawn" "$M" history trend --metric mem_per_vm_kb -o trend.svg
	t_ok "with its axis" grep -q 'memory per VM (kB)' trend.svg
	t_fail "an unknown format is refused" 2 'svg' "$M" history trend --metric mem_per_vm_kb -o trend.gif
else
	t_skip "a trend is drawn" "gnuplot is not installed"
fi
t_fail "-o needs a figure" 2 'name the figure' "$M" history trend -o x.svg
t_done
