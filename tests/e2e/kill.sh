#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# However a run is ended: no VM lives on, the host is as it was, the folder can be read.
# alone: looks at pid_max, which other runs raise
. "$(dirname "$0")/lib.sh"

M=$BUILD/mvmscale
T=$(t_tmp)
pid_max=/proc/sys/kernel/pid_max
before=$(cat $pid_max)
presets=lean
[ ! -f "$t_root/profiles/presets/dense.preset" ] || presets="lean dense"

t_stop() {
	[ -z "${pid-}" ] || kill -KILL "$pid" 2>/dev/null
	t_remove
}
trap t_stop EXIT

# vms: processes that work on a run folder of ours, the harness left out
vms() {
	for p in /proc/[0-9]*; do
		n=${p#/proc/}
		[ "$n" != "${pid:-0}" ] && [ "$n" != $$ ] || continue
		if grep -aq -- "$MVMSCALE_STATE/run-" "$p/cmdline" 2>/dev/null; then
			echo "$n"
		else
			case $(readlink "$p/cwd" 2>/dev/null) in
			"$MVMSCALE_STATE"/run-*) echo "$n" ;;
			esac
		fi
	done
}
# within SECONDS COMMAND...: it is true by then
within() {
	tries=$(($1 * 5))
	shift
	while ! "$@" >/dev/null 2>&1; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || {
			echo "still not: $*"
			return 1
		}
		sleep 0.2
	done
}
no_vms() {
	[ -z "$(vms)" ]
}
restored() {
	[ "$(cat $pid_max)" = "$before" ]
}
no_places() {
	[ -z "$(ls -d "$MVMSCALE_STATE"/run-* "$MVMSCALE_STATE"/restore-* "/run/mvmscale/host/restore-$pid.json" 2>/dev/null)" ] &&
		[ -z "$(find /sys/fs/cgroup -maxdepth 7 -type d -name "mvmscale-$pid" 2>/dev/null)" ]
}
# measured FOLDER ROWS: intervals.csv has so many, the baseline and its header counted
measured() {
	[ -f "$1/intervals.csv" ] && [ "$(wc -l <"$1/intervals.csv")" -ge "$2" ]
}
# under_way: the run has intervals, or is over
under_way() {
	measured "$out" 4 || [ ! -d "/proc/$pid" ]
}
# begin FOLDER OPTION...: a run in the background, in $pid, that would take minutes
begin() {
	out=$1
	shift
	"$M" run --quiet --accel tcg --threshold 99 --stop-on ram --settle 0.3 --samples 3 --sample-time 0.1 --rate 20 \
		-o "$out" "$@" >"$T/run.out" 2>&1 &
	pid=$!
	within 60 under_way && kill -0 "$pid" 2>/dev/null && [ -n "$(vms)" ] || {
		cat "$T/run.out"
		return 1
	}
}
ends_with() {
	status=0
	wait "$pid" 2>/dev/null || status=$?
	echo "status $status"
	[ "$status" = "$1" ]
}
readable() {
	"$M" plot "$1" -o "$T/readable.svg" && [ -s "$T/readable.svg" ] || return
	status=0
	"$M" advise "$1" || status=$?
	[ "$status" = 0 ] || [ "$status" = 4 ]
}
says() {
	grep -q "\"$2\": $3,\{0,1\}\$" "$1/run.json"
}
raised() {
	[ "$(cat $pid_max)" -gt "$before" ]
}

for preset in $presets; do
	t_ok "$preset: a run with VMs" begin "$T/kill-$preset" --preset "$preset" --max 20000 --intervals 5000
	if [ "$before" -ge 100000 ]; then
		t_skip "$preset: pid_max is raised" "it is $before already"
	elif [ ! -w $pid_max ]; then
		t_skip "$preset: pid_max is raised" "writing it needs root"
	else
		t_ok "$preset: pid_max is raised" raised
	fi
	kill -KILL "$pid"
	t_ok "$preset: SIGKILL: no VM is alive 10 s later" within 10 no_vms
	t_ok "$preset: pid_max is as before" within 10 restored
	t_ok "$preset: no runtime folder, journal or cgroup is left" within 10 no_places
	t_ok "$preset: the folder can be read" readable "$T/kill-$preset"
	t_ok "$preset: its intervals are kept" measured "$T/kill-$preset" 4
	wait "$pid" 2>/dev/null

	for signal in INT TERM; do
		t_ok "$preset: a run with VMs" begin "$T/$signal-$preset" --preset "$preset" --max 100 --intervals 50
		kill -$signal "$pid"
		t_ok "$preset: SIG$signal: exit status 130" ends_with 130
		t_ok "$preset: no VM is alive" within 5 no_vms
		t_ok "$preset: the state is interrupted" says "$T/$signal-$preset" state '"interrupted"'
		t_ok "$preset: the intervals are kept" measured "$T/$signal-$preset" 4
		t_ok "$preset: the folder can be read" readable "$T/$signal-$preset"
		t_ok "$preset: nothing else is left" within 10 no_places
	done

	t_ok "$preset: a run with VMs" begin "$T/twice-$preset" --preset "$preset" --max 100 --intervals 50
	kill -INT "$pid"
	kill -INT "$pid" 2>/dev/null
	t_ok "$preset: SIGINT twice: exit status 130" ends_with 130
	t_ok "$preset: no VM is alive 10 s later" within 10 no_vms
	t_ok "$preset: nothing else is left" within 10 no_places
	t_ok "$preset: the folder can be read" readable "$T/twice-$preset"
done

# The harness may be gone before its first measurement.
"$M" run --quiet --preset lean --accel tcg --max 5 --settle 60 -o "$T/early" >"$T/run.out" 2>&1 &
pid=$!
within 10 test -s "$T/early/run.json"
kill -KILL "$pid"
wait "$pid" 2>/dev/null
t_fail "killed before it measured: the folder says so" 4 'past its first measurement' "$M" plot "$T/early"
t_ok "nothing is left of it" within 10 no_places
pid=
t_done
