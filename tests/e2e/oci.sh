#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Containers as VMs: any runtime, one that is missing or broken, and what is left when everything is killed.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

tmp=$(t_tmp)
M="$BUILD/mvmscale"
brief="--backend oci --settle 0 --samples 3 --sample-time 0.1 --intervals 1 --stop-on ram --quiet"
# shellcheck disable=SC2086 # several words
run() { "$M" run $brief "$@"; }
# column FOLDER NAME: that column in the last row of intervals.csv
column() {
	awk -F, -v name="$2" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) c = i } END { print $c }' "$1/intervals.csv"
}

t_fail "a runtime that does not exist is named" 3 'nosuchruntime.*no such program' run --runtime nosuchruntime --max 1 -o "$tmp/no"
t_fail "a program that is no runtime is refused" 3 'is not a working OCI runtime|cannot be used here' \
	run --runtime /bin/false --max 1 -o "$tmp/no"
t_ok "and leaves no run folder" test ! -e "$tmp/no"
# Another program by the name of "missing": an empty PATH has none
t_fail "no runtime at all: what to install is said" 3 'apt-get install runc' \
	env PATH="$tmp" "$M" run --backend oci --max 1 -o "$tmp/no"

runtime=$(PATH=$PATH:/usr/sbin:/sbin command -v runc || command -v crun)
PATH=$PATH:/usr/sbin:/sbin
status=0
run --max 1 -o "$tmp/first" >"$tmp/log" 2>&1 </dev/null || status=$?
if [ $status = 3 ]; then
	t_skip "containers start, answer and end" "$(head -n 1 "$tmp/log")"
	t_done
fi
# any program that speaks a runtime's command line; this one counts what it is asked
cat >"$tmp/wrapper" <<WRAPPER
#!/bin/sh
echo "\$@" >>"$tmp/asked"
exec "$runtime" "\$@"
WRAPPER
chmod +x "$tmp/wrapper"
t_ok "a runtime given by its path starts 6 containers, and all answer" \
	run --runtime "$tmp/wrapper" --max 6 --jobs 3 --verify all -o "$tmp/six"
t_ok "every one was asked" test "$(column "$tmp/six" proven_ping)" = 6
t_ok "all were created, started and deleted" sh -c "[ \$(grep -c ' create ' $tmp/asked) = 7 ] &&
	[ \$(grep -c ' start ' $tmp/asked) = 7 ] && [ \$(grep -c ' delete --force mvmscale-' $tmp/asked) = 7 ]"
in_order() {
	awk -v up="$(column "$1" up_p50_ms)" -v start="$(column "$1" start_p50_ms)" 'BEGIN { exit !(up > 0 && up < start) }'
}
t_ok "created before started" in_order "$tmp/six"
t_ok "the record has the configuration of a container" grep -q '"readonly": true' "$tmp/six/run.json"
t_ok "a ticking guest runs in containers too" run --profile idle --max 2 -o "$tmp/idle"
# a runtime whose containers cannot be started
cat >"$tmp/broken" <<WRAPPER
#!/bin/sh
for word in "\$@"; do
	[ "\$word" != start ] || { echo "no starting today" >&2; exit 1; }
done
exec "$runtime" "\$@"
WRAPPER
chmod +x "$tmp/broken"
t_fail "what a runtime complains about is shown" 3 'start exited with status 1; it said: no starting today' \
	run --runtime "$tmp/broken" --max 2 -o "$tmp/broken.run"
# a runtime whose pid files lie: kill(2) takes -1 and 0 for many processes, and a number may be a stranger's
cat >"$tmp/liar" <<WRAPPER
#!/bin/sh
"$runtime" "\$@" || exit
for word in "\$@"; do
	[ "\$last" != --pid-file ] || case \$(cat "$tmp/lie") in
	harness) echo "\$PPID" >"\$word" ;;
	*) cp "$tmp/lie" "\$word" ;;
	esac
	last=\$word
done
WRAPPER
chmod +x "$tmp/liar"
sleep 100 >/dev/null 2>&1 &
stranger=$!
lie() {
	echo "$1" >"$tmp/lie"
	run --runtime "$tmp/liar" --max 1 -o "$tmp/liar.run"
}
for number in -1 0 1 4294967295 4294967297 99999999999999999999 '' x; do
	t_fail "a runtime that names process '$number' is told" 3 "names (process $number, which is no process's number|no process)" \
		lie "$number"
done
t_fail "one that names the harness" 3 'which is this program itself' lie harness
t_fail "one that names a stranger" 3 "names process $stranger, which is somebody else's process" lie "$stranger"
t_ok "the stranger lives" kill -0 "$stranger"
kill "$stranger"
# a runtime that never comes back from what it is asked once its containers run
cat >"$tmp/hangs" <<WRAPPER
#!/bin/sh
for word in "\$@"; do
	[ "\$word" != delete ] || exec sleep 100
done
exec "$runtime" "\$@"
WRAPPER
chmod +x "$tmp/hangs"
hung() { # a second for the probe, a second for all 6
	begin=$(date +%s)
	run --runtime "$tmp/hangs" --max 6 --jobs 2 --ready-timeout 1 -o "$tmp/hangs.run"
	status=$?
	[ $(($(date +%s) - begin)) -le 15 ] && return $status
	echo "it took $(($(date +%s) - begin)) s"
	return 99
}
t_fail "a runtime that hangs while it deletes is not asked for each container" 3 'delete gave no answer within 1 s' hung

# Harness and janitor killed: containers go on without them, until somebody cleans up.
# shellcheck disable=SC2086 # several words
"$M" run $brief --max 4 --repeat 100 -o "$tmp/killed" >"$tmp/log" 2>&1 </dev/null &
pid=$!
for _ in $(seq 100); do
	grep -qs launched "$tmp/killed/events.jsonl" && break
	sleep 0.1
done
janitor=$(awk -v p="$pid" '$4 == p && $2 == "(mvmscale-janitr)" { print $1 }' /proc/[0-9]*/stat 2>/dev/null)
kill -KILL "${janitor:-$pid}" "$pid"
wait "$pid" 2>/dev/null
containers() { ls "$MVMSCALE_STATE/run-$pid/oci" 2>/dev/null; }
t_ok "containers outlive harness and janitor" test -n "$(containers)"
t_fail "doctor names them" 0 'containers in .*left behind' "$M" doctor
t_fail "doctor --restore deletes them" 0 'deleted [0-9]* containers' "$M" doctor --restore
t_ok "none is left" test -z "$(containers)"
no_cgroups() { [ -z "$(find /sys/fs/cgroup -maxdepth 3 -name "mvmscale-$pid")" ]; }
t_ok "nor their cgroups" no_cgroups
t_done
