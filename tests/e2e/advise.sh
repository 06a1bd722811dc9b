#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Advice on recorded runs: answers, refusals, damage.
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
t_fail "a row of the wrong length is named" 2 'line 3' "$M" advise "$RUNS/damaged-fields"
t_fail "a missing column is named" 2 'cpu_pct_sd' "$M" advise "$RUNS/damaged-column"
t_fail "a VM count that is no number is named" 2 'line 3' "$M" advise "$RUNS/damaged-count"

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
t_done
