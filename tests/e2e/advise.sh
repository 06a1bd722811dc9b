#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Advice on recorded runs: answers, refusals, damage; what-if, tables, fleets, forecasts.
# GOLDEN=1 writes the expected outputs of tests/fixtures/advice anew.
. "$(dirname "$0")/lib.sh"

M=${BUILD:-build}/mvmscale
RUNS=$(dirname "$0")/../fixtures/runs
T=$(t_tmp)

# says RUN PATTERN [OPTION...]: exit status 0 and the first line is so
says() {
	run=$1 pattern=$2
	shift 2
	"$M" advise "$RUNS/$run" "$@" >"$T/out" 2>&1 && head -n 1 "$T/out" | grep -Eq -- "$pattern"
}
also() {
	grep -Eq -- "$1" "$T/out"
}
# json RUN KEY VALUE: whatever the exit status
json() {
	"$M" advise "$RUNS/$1" --json 2>/dev/null | grep -Eq "^  \"$2\": $3,?\$"
}

t_fail "no run is a usage error" 2 'name a run folder' "$M" advise
t_fail "another run that is missing is named" 2 'no folder b' "$M" advise "$RUNS/sleep" b
t_fail "a threshold beyond 100 % is refused" 2 '1 to 100' "$M" advise "$RUNS/sleep" --threshold 101
t_fail "a host that is not understood is refused" 2 'cores=48' "$M" advise "$RUNS/sleep" --host 48
t_fail "a missing folder is named" 2 'nowhere' "$M" advise "$RUNS/nowhere"
t_fail "a folder without run.json is named" 2 'no run.json' "$M" advise "$RUNS/no-json"
t_fail "a cut run.json is named with its line" 2 'run.json: line' "$M" advise "$RUNS/damaged-json"
t_fail "a row of the wrong length is left out by its line" 4 'line 3 has 15 fields' "$M" advise "$RUNS/damaged-fields"
t_fail "a missing column is named" 2 'cpu_pct_sd' "$M" advise "$RUNS/damaged-column"
t_fail "a VM count that is no number is named, and nothing is advised" 4 'line 3 has a vm_count' "$M" advise "$RUNS/damaged-count"

t_ok "a run that RAM ended" says sleep '^45,9[0-9][0-9] VMs, then RAM is at 90 % \(measured'
t_ok "clones are called clones" also 'not booted on their own'
t_ok "its cost per VM is said" also '47[0-9] KiB of RAM'
t_ok "binding_resource" json sleep binding_resource '"ram"'
t_ok "runner_up" json sleep runner_up '"cpu"'
t_ok "verdict" json sleep verdict '"ok"'
t_ok "extrapolated" json sleep extrapolated false
t_ok "measured_to" json sleep measured_to 46000
t_ok "a run that CPU ended" says idle 'then CPU is at 90 % \(measured'
t_ok "a run that a limit ended" says limit '^6,480 VMs, then the limit pid_max'
t_ok "binding_resource of a limit" json limit binding_resource '"limit:pid_max"'
t_ok "a lower threshold is read off the curve" says sleep '^24,[56][0-9][0-9] VMs, then RAM is at 50 %' --threshold 50
t_ok "another host" says sleep '^About 5[78],[0-9]{3} VMs, then RAM' --host cores=48,ram=30G
t_ok "a killed run" says killed '^About 7,1[0-9]{2} VMs, then RAM'
t_fail "too far beyond the data: no number" 4 'beyond 2 times' "$M" advise "$RUNS/short"
t_ok "and null in JSON" json short vms_at_threshold null
t_ok "and inconclusive" json short verdict '"inconclusive"'
t_fail "JSON has the same exit status" 4 '"reasons"' "$M" advise "$RUNS/short" --json
t_ok "a curve that bends is followed behind its knee" says swap '^About 13,[45][0-9]{2} VMs, then RAM'
t_ok "and the knee is named" also 'knee at 8,[0-9]{3} VMs'
t_fail "a cut table still tells what it can" 4 'was cut' "$M" advise "$RUNS/cut-intervals"

# What a planner reads, word for word.
golden() {
	name=$1
	shift
	want=$(dirname "$0")/../fixtures/advice/$name.txt
	(cd "$RUNS" && "$M" "$@") >"$T/got" 2>&1
	[ -z "${GOLDEN-}" ] || cp "$T/got" "$want"
	diff -u "$want" "$T/got"
}
t_ok "golden: RAM ended it" golden sleep advise sleep
t_ok "golden: CPU ended it" golden idle advise idle
t_ok "golden: a limit ended it" golden limit advise limit
t_ok "golden: not measured far enough" golden short advise short
t_ok "golden: another run says what a change gains" golden other advise limit sleep
t_ok "golden: shapes and classes" golden classify classify sleep idle limit swap short killed
t_ok "golden: a published table" golden table advise --table ../paper-table1.csv
t_ok "golden: a fleet" golden fleet advise --fleet ../advice/fleet.ini

two_classes() {
	[ "$("$M" classify "$RUNS/sleep" "$RUNS/idle" --json | grep -c '"class"')" = 2 ]
}
t_ok "more than one run is classified as JSON" two_classes
t_fail "classify without a run is a usage error" 2 'run folder' "$M" classify
t_fail "classify names a folder that is none" 2 'no run.json' "$M" classify "$RUNS/sleep" "$RUNS/no-json"
t_ok "a number beyond reach only by force" says short '^About 11,[0-9]{3} VMs, then RAM' --force
t_ok "and it says so" also 'forced'
t_ok "a reserve is kept" says sleep '^4[0-4],[0-9]{3} VMs, then RAM is at 90 %' --reserve 10
t_fail "a reserve that leaves nothing is refused" 2 'leaves nothing' "$M" advise "$RUNS/sleep" --reserve 95
t_ok "a target names its host" says sleep '^100,000 VMs on one host at 90 % take 5[01]\.[0-9] GiB' --target 100000
t_ok "NUMA nodes" says sleep 'VMs, then RAM' --host nodes=4,ram=40G
t_ok "overcommitted" says sleep '^About 6[0-9],[0-9]{3} VMs' --overcommit ram=1.5
t_fail "overcommit below 1 is refused" 2 'cpu=4' "$M" advise "$RUNS/sleep" --overcommit cpu=0.5
t_fail "a table without the columns is refused" 2 'cpu_pct' "$M" advise --table "$RUNS/../advice/fleet.ini"
t_fail "a table and a run exclude each other" 2 'instead' "$M" advise "$RUNS/sleep" --table x
t_fail "what a table would ignore is refused" 2 'threshold and --json only' "$M" advise --table x --reserve 5
t_fail "what a fleet would ignore is refused" 2 'need a run folder' "$M" advise --fleet x --target 5
t_fail "residuals need a plot" 2 'plot' "$M" advise "$RUNS/sleep" --residuals

fleet() {
	sed "s#\.\./runs#$(cd "$RUNS" && pwd)#; $1" "$RUNS/../advice/fleet.ini" >"$T/fleet.ini"
	"$M" advise --fleet "$T/fleet.ini"
}
t_fail "a fleet with a reserve takes more" 0 '^[34] x big' "$M" advise --fleet "$RUNS/../advice/fleet.ini" --reserve 30
t_fail "a fleet with too few hosts" 1 'found no place' fleet '/price = 9/a most = 1
/price = 2/a most = 1'
t_fail "an unknown key is named with its line" 2 'line [0-9]+: disk' fleet 's/^cores = 64/disk = 1/'
t_fail "a fleet without demand" 2 'at least one' fleet '/^.demand/,999d'
t_fail "a run that is not there" 2 'no folder' fleet 's/idle$/nowhere/'

# The VMs of this copy hold half of what the host lost.
others() {
	mkdir -p "$T/others"
	cp "$RUNS/../ramps/lean/run.json" "$T/others"
	awk -F, -v OFS=, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "guest_pss_kb_mean") at = i }
		NR > 1 && $at != "" { $at /= 2 } 1' "$RUNS/../ramps/lean/intervals.csv" >"$T/others/intervals.csv"
	"$M" advise "$T/others" --threshold 10
}
t_fail "memory of other processes is noticed" 0 'the VMs themselves hold [0-9]+ .*quiet host' others

# Every key that scripts rely on.
contract() {
	"$M" advise "$RUNS/sleep" --json >"$T/json" || return 1
	for key in binding_resource runner_up vms_at_threshold lower upper measured_to extrapolated per_vm \
		holdout_error_pct verdict reasons safe_vms safe_rule class class_probability cost assumptions gains falsify; do
		grep -q "^  \"$key\":" "$T/json" || {
			echo "no $key"
			return 1
		}
	done
}
t_ok "the JSON has all its members" contract

# Cut anywhere, a folder gives an answer, a refusal with a reason, or an error that names the file.
cut_anywhere() {
	for file in run.json intervals.csv; do
		size=$(wc -c <"$RUNS/sleep/$file")
		for part in 0 1 3 5 7 9; do
			rm -rf "$T/cut"
			cp -r "$RUNS/sleep" "$T/cut"
			head -c $((size * part / 10)) "$RUNS/sleep/$file" >"$T/cut/$file"
			status=0
			"$M" advise "$T/cut" >"$T/out" 2>&1 || status=$?
			case $status in
			0 | 4) [ -s "$T/out" ] ;;
			2) grep -q 'cut' "$T/out" ;;
			*) false ;;
			esac || {
				echo "$file cut at $part/10: status $status"
				cat "$T/out"
				return 1
			}
		done
	done
}
t_ok "a folder cut anywhere is answered or refused" cut_anywhere

null_run() {
	"$M" run --backend null --max 100000 --null-mem 1000 --null-cpu 0.001 --predict --intervals 20 "$@"
}
t_ok "a run forecasts its end" null_run -o "$T/null" --seed 3
predicted() {
	grep -q '"event":"forecast"' "$T/null/events.jsonl" && grep -q '"forecast"' "$T/null/run.json" &&
		grep -q '"counts": true' "$T/null/forecast.json" &&
		awk '/"error_pct"/ { sub(",", ""); exit !($2 < 10) }' "$T/null/forecast.json"
}
t_ok "and was right" predicted
t_ok "a second run too" null_run -o "$T/null2" --seed 4 --quiet
also_advised() {
	"$M" advise "$T/null" >"$T/out" && grep -q 'missed by .* 2 runs' "$T/out"
}
t_ok "advice quotes the ledger" also_advised
broken_ledger() {
	echo "no database" >"$T/broken"
	MVMSCALE_LEDGER=$T/broken "$M" advise "$T/null" >"$T/out" 2>&1
	grep -q 'VMs, then RAM' "$T/out" && grep -q "ledger $T/broken" "$T/out"
}
t_ok "a broken ledger costs no advice" broken_ledger
t_fail "a forecast is made of an end by a limit or --max, too" 0 'by max: 0.0 % off' null_run --max 500 -o "$T/null3"

if command -v gnuplot >/dev/null; then
	for ending in svg png pdf; do
		t_ok "drawn as $ending" "$M" advise "$RUNS/swap" --plot "$T/a.$ending"
	done
	drawn() {
		grep -q 'plan with' "$T/a.svg" && head -c 4 "$T/a.png" | grep -q PNG && head -c 4 "$T/a.pdf" | grep -q '%PDF'
	}
	t_ok "each is what its name says" drawn
	t_ok "residuals" "$M" advise "$RUNS/swap" --residuals --plot "$T/r.svg"
	t_fail "no number yet is drawn too" 4 'No answer' "$M" advise "$RUNS/short" --plot "$T/s.svg"
	t_fail "an unknown ending is refused" 2 'svg, .png or .pdf' "$M" advise "$RUNS/swap" --plot "$T/a.gif"
else
	t_skip "the figure of an advice" "no gnuplot"
fi
t_done
