#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Another user of the same host gets nothing: what he puts in the way is neither followed nor written to, what he
# may change is refused, and the consoles of root's VMs stay shut, whatever the umask.
. "$(dirname "$0")/lib.sh"

M=$BUILD/mvmscale
T=$(t_tmp)
P=$T/public # as /tmp is: anyone may write
S=$T/s

nobody() {
	setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
}

if [ "$(id -u)" != 0 ] || ! command -v setpriv >/dev/null; then
	t_skip "what another user puts in the way" "playing another user needs root, and setpriv"
	t_done
fi
mkdir -m 1777 "$P"
chmod 1777 "$P"
chmod 711 "$t_base" "$T"
if ! nobody test -w "$P"; then
	t_skip "what another user puts in the way" "the folder of this test cannot be reached by others"
	t_done
fi
echo precious >"$T/victim"
chmod 600 "$T/victim"
mkdir -m 700 "$T/target"

null() {
	"$M" run --quiet --backend null --max 40 --intervals 2 --settle 0 --samples 2 "$@"
}
untouched() {
	[ "$(cat "$T/victim")" = precious ] && [ "$(stat -c %a:%u "$T/victim")" = 600:0 ] && [ -z "$(ls -A "$T/target")" ] &&
		[ "$(stat -c %a:%u "$T/target")" = 700:0 ]
}

# Run folders
nobody mkdir "$P/theirs"
nobody ln -s "$T/target" "$P/link"
t_fail "a run folder of another user" 2 "public/theirs belongs to user .*65534.*name a folder" null -o "$P/theirs"
t_fail "a run folder that anyone may write" 2 "others may write in .*public .mode 1777" null -o "$P"
t_fail "a link that another user put there" 2 "symbolic link of user .*65534" null -o "$P/link"
t_fail "and one on the way" 2 "symbolic link of user .*65534" null -o "$P/link/run"
t_fail "for a matrix" 2 "symbolic link of user .*65534" "$M" matrix --max 20 --out "$P/link/matrix" quick
t_fail "for ab" 2 "symbolic link of user .*65534" "$M" ab --a 'seed=1' --b 'seed=2' --out "$P/link/ab" -- --backend null --max 20
t_ok "led to nothing" untouched

# planted NAME: it is a link of another user in a folder that was open to all when he made it
planted() {
	mkdir "$P/$1"
	chmod 1777 "$P/$1"
	nobody ln -s "$T/victim" "$P/$1/$1"
	chmod 755 "$P/$1"
	null -o "$P/$1" >"$T/said" 2>&1
	echo "$1: $?, $(head -n 1 "$T/said")"
}
for name in run.json samples.csv events.jsonl intervals.csv teardown.csv nodes.csv hosts.csv; do
	t_ok "a planted $name" planted "$name"
	t_ok "is refused" grep -q 'already holds' "$T/said"
done
for name in run.json.tmp intervals.csv.tmp advice.txt plot.svg plot.png; do
	t_ok "a planted $name" planted "$name"
done
t_ok "none was followed" untouched

new_folder() (
	umask 0
	null -o "$P/new/run" || return
	open=$(find "$P/new" -perm /022)
	[ -z "$open" ] || {
		ls -ld $open
		return 1
	}
)
t_ok "a new run folder where anyone may write is ours alone, whatever the umask" new_folder
t_ok "and others may read it" nobody cat "$P/new/run/run.json"

# Files that a user names
nobody ln -s "$T/victim" "$P/out.svg"
t_fail "a link in the way of a plot" 2 "out.svg: it is there, and is a symbolic link" "$M" plot "$P/new/run" -o "$P/out.svg"
t_fail "of an image" 2 "is a symbolic link" "$BUILD/mvm" build sleep -o "$P/out.svg"
t_fail "of a padded one" 2 "is a symbolic link" "$BUILD/mvm" build sleep --pad 1M -o "$P/out.svg"
if mknod "$T/null" c 1 3 2>/dev/null; then
	t_fail "a device is not replaced" 2 "is a device" "$BUILD/mvm" build sleep -o "$T/null"
	t_ok "and stays one" test -c "$T/null"
else
	t_skip "a device is not replaced" "no device can be made here"
fi
t_ok "none was followed" untouched

# What is no place for a run
t_fail "the root folder" 2 "no place for the files of a run" null -o /
t_fail "by another name" 2 "no place for the files of a run" null -o /usr/..
t_fail "a folder of the system" 2 "no place for the files of a run" null -o /etc
t_fail "a device" 2 "is no folder: a device" null -o /dev/zero

# State folders
state() (
	export MVMSCALE_STATE="$1"
	"$M" run --quiet --backend process --max 2 --intervals 1 --settle 0 --samples 2 -o "$T/run"
)
mkdir -m 755 "$S"
t_fail "a state folder that others may read" 3 "MVMSCALE_STATE.* .mode 0755, of user .* is open to others.*chmod 700" state "$S"
chmod 777 "$S"
t_fail "or write" 3 "mode 0777.* is open to others" state "$S"
chmod 700 "$S"
nobody mkdir -m 700 "$P/state"
t_fail "one of another user" 3 "public/state belongs to user .*65534" state "$P/state"
t_fail "one that another user may move away" 3 "state/ours is not safe: .*/public/state above it .mode 0700, of user .*65534" \
	state "$P/state/ours"
nobody ln -s "$S" "$P/state-link"
t_fail "a link to one" 3 "state-link is no folder: a symbolic link" state "$P/state-link"
t_ok "none of them made a run" test ! -e "$T/run"
t_ok "or left anything" test -z "$(ls -A "$P/state")"

# Consoles
connects() {
	perl -MSocket -e 'socket(my $s, PF_UNIX, SOCK_STREAM, 0) or die; connect($s, pack_sockaddr_un($ARGV[0])) or die "$!\n"' "$1"
}
# consoles OPTION...: of a run under umask 0, in the folder $S
consoles() {
	rm -rf "$T/run" "$T/modes"
	(
		umask 0
		MVMSCALE_STATE=$S exec "$M" run --quiet --max 3 --intervals 1 --settle 0.2 --samples 2 --sample-time 0.5 \
			-o "$T/run" "$@"
	) >"$T/said" 2>&1 &
	pid=$!
	n=0
	until [ -S "$S/run-$pid/console/2" ]; do
		n=$((n + 1))
		[ $n -lt 300 ] && kill -0 $pid 2>/dev/null || break
		sleep 0.1
	done
	socket=$S/run-$pid/console/2
	stat -c '%a %n' "$S" "$S/run-$pid" "$S/run-$pid"/console/[0-9]* >"$T/modes" 2>&1
	cat "$T/modes"
	nobody sh -c "ls '$S' '$S/run-$pid' '$S/run-$pid/console'" 2>/dev/null && shut=1 || shut=0
	# where nothing is above it that keeps him out
	chmod 711 "$S" "$S/run-$pid" "$S/run-$pid/console"
	connects "$socket" || shut=2
	said=$(nobody perl -MSocket -e 'socket(my $s, PF_UNIX, SOCK_STREAM, 0); connect($s, pack_sockaddr_un($ARGV[0])) and print "in\n"; print "$!\n"' "$socket" 2>&1)
	chmod 700 "$S"
	echo "another user: $said"
	kill -INT $pid
	wait $pid
	status=$?
	[ $status = 130 ] || {
		echo "the run ended with $status"
		cat "$T/said"
		return 1
	}
	[ $shut = 0 ] && [ "$said" = "Permission denied" ] && [ "$(grep -c '^600 .*/console/[0-2]$' "$T/modes")" = 3 ] &&
		[ "$(grep -c '^700 ' "$T/modes")" = 2 ]
}
if command -v perl >/dev/null && command -v qemu-system-x86_64 >/dev/null; then
	t_ok "consoles of VMs that were started" consoles --accel tcg --preset lean --launch exec
	t_ok "and of copies" consoles --accel tcg --preset dense --launch clone
	t_ok "consoles of processes" consoles --backend process
else
	t_skip "consoles of VMs" "needs perl and qemu-system-x86_64"
fi
# Databases
nobody ln -s "$T/target/db" "$P/history.db"
t_fail "a link in the way of the history" 3 'history.db: .*symbolic link' "$M" history add --db "$P/history.db" "$P/new/run"
t_ok "and it was not followed" untouched
t_done
