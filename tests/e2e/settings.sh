#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Settings of the host that runs raise: whichever way they end, in whichever order, and whatever their state folders
# are, the last one out puts the original value back; what somebody else wrote meanwhile is left.
# alone: raises pid_max, and looks whether it is put back
. "$(dirname "$0")/lib.sh"

M=$BUILD/mvmscale
T=$(t_tmp)
pid_max=/proc/sys/kernel/pid_max
before=$(cat $pid_max)
host=/run/mvmscale/host
if [ -n "${MVMSCALE_HOST_STATE-}" ]; then host=$MVMSCALE_HOST_STATE; fi
a=0 b=0

t_stop() {
	for p in $a $b; do
		[ "$p" = 0 ] || kill -KILL "$p" 2>/dev/null
	done
	t_remove
}
trap t_stop EXIT

# within SECONDS COMMAND...: it is true by then
within() {
	tries=$(($1 * 10))
	shift
	while ! "$@" >/dev/null 2>&1; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || {
			echo "still not: $*; pid_max is $(cat $pid_max), was $before"
			return 1
		}
		sleep 0.1
	done
}
is() { [ "$(cat $pid_max)" = "$1" ]; }
above() { [ "$(cat $pid_max)" -gt "$1" ]; }
# run STATE MAX: processes that stand for VMs, a few a second, until it is told to end
run() {
	rm -rf "$T/run-$1-$2"
	MVMSCALE_STATE=$T/$1 exec "$M" run --quiet --backend process --threshold 99 --stop-on ram --settle 0 --samples 2 \
		--sample-time 0.1 --rate 5 --max "$2" --intervals 5000 -o "$T/run-$1-$2"
}
# two: run $a raises pid_max, then run $b with another state folder raises it further
two() {
	run a 100000 >"$T/a.out" 2>&1 &
	a=$!
	within 20 above "$before" || return
	by_a=$(cat $pid_max)
	run b 200000 >"$T/b.out" 2>&1 &
	b=$!
	within 20 above "$by_a" || return
	by_b=$(cat $pid_max)
}
# ends PID SIGNAL
ends() {
	kill "-$2" "$1"
	wait "$1" 2>/dev/null
	true
}
janitor_of() {
	for p in /proc/[0-9]*; do
		[ "$(cat "$p/comm" 2>/dev/null)" = mvmscale-janitr ] &&
			grep -q "^PPid:[[:space:]]*$1\$" "$p/status" && echo "${p#/proc/}"
	done
}
# nothing_of PID...: no journal, folder or process of those runs is left
nothing_of() {
	for p; do
		[ -z "$(ls -d "$host/restore-$p"* "$T"/[a-z]/run-"$p" "$T"/[a-z]/restore-"$p"* 2>/dev/null)" ] || return
	done
	! grep -alq -- "$T/[a-z]/run-" /proc/[0-9]*/cmdline 2>/dev/null
}

# The lock of a state folder: who holds it is said, and it is not waited for without end.
mkdir -m 700 "$T/locked"
if command -v flock >/dev/null; then
	flock "$T/locked/lock" sleep 60 &
	a=$!
	within 5 sh -c "! flock -n '$T/locked/lock' true"
	null() { MVMSCALE_STATE=$T/locked "$M" run --quiet --backend null --max 2 --intervals 1 --settle 0 --samples 2 "$@"; }
	t_fail "a held lock is given up, with its holder named" 3 'locked by process [0-9]* .*: gave up' \
		env MVMSCALE_LOCK_WAIT=0.3 MVMSCALE_STATE="$T/locked" "$M" run --quiet --backend null --max 2 -o "$T/none"
	(sleep 2 && for p in $(cat /proc/$a/task/$a/children 2>/dev/null) $a; do kill "$p"; done) &
	t_fail "it is waited for, which is said; and gone on when the holder is dead" 0 'waiting for .*lock, locked by process' \
		null -o "$T/locked-run"
	wait $a 2>/dev/null
	a=0
else
	t_skip "a held lock is given up" "there is no flock(1) here"
fi

if [ ! -w $pid_max ] || [ "$before" -ge 100000 ]; then
	t_skip "settings that are raised" "writing $pid_max needs root, and a value below 100000"
	t_done
fi

t_ok "two runs with different state folders raise pid_max" two
ends "$a" INT
t_ok "the first ends first: the second still needs it" is "${by_b-}"
ends "$b" INT
t_ok "the last one out puts back what was before both" is "$before"

t_ok "two runs again" two
ends "$b" INT
t_ok "the second ends first: what the first had set" is "${by_a-}"
ends "$a" TERM
t_ok "then what was before both" is "$before"
t_ok "nothing of them is left" within 10 nothing_of "$a" "$b"

t_ok "two runs again" two
kill -KILL "$(janitor_of "$b")"
ends "$b" KILL
t_ok "the second is killed with its janitor: its value stays" is "${by_b-}"
ends "$a" INT
t_ok "the dead one holds nothing: the first puts the original back" is "$before"

t_ok "two runs again" two
echo 123456 >$pid_max
ends "$a" INT
ends "$b" INT
t_ok "an administrator's value is left" is 123456
t_ok "and said" grep -q '"left".*someone else changed it' "$T/run-b-200000/events.jsonl"
echo "$before" >$pid_max

# The janitor
run a 100000 >"$T/a.out" 2>&1 &
a=$!
t_ok "a run that raises pid_max" within 20 above "$before"
kill -KILL "$(janitor_of "$a")"
ends "$a" INT
t_ok "its janitor is killed: the run itself puts all back" is "$before"
t_ok "nothing is left" within 10 nothing_of "$a"
run a 100000 >"$T/a.out" 2>&1 &
a=$!
within 20 above "$before"
kill -KILL "$(janitor_of "$a")"
ends "$a" KILL
t_ok "both are killed: pid_max stays raised" above "$before"
t_fail "the next run of any state folder puts it back, and says so" 0 'restored .*pid_max' env MVMSCALE_STATE="$T/c" \
	"$M" run --quiet --backend null --max 2 --intervals 1 --settle 0 --samples 2 -o "$T/null"
t_ok "it is as before" is "$before"
MVMSCALE_STATE=$T/a "$M" doctor --restore >/dev/null
t_ok "nothing is left" within 10 nothing_of "$a"

# whatever the moment
for after in 0.01 0.03 0.06 0.1 0.15 0.2 0.3 0.5; do
	run a 100000 >"$T/a.out" 2>&1 &
	a=$!
	sleep $after
	ends "$a" KILL
	t_ok "SIGKILL after $after s: pid_max is as before" within 15 is "$before"
	t_ok "and nothing is left" within 15 nothing_of "$a"
done
a=0 b=0
t_done
