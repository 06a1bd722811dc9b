#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Backend libvirt: through the driver in our own process, through a private libvirtd, and through libvirt's mock
# driver; deaths, kills, leftovers, refusals.
. "$(dirname "$0")/lib.sh"

T=$(t_tmp)
# the QEMUs of this test are known by the state folder in their arguments
MVMSCALE_STATE=$t_base/s
export MVMSCALE_STATE
bin=$BUILD/mvmscale

# lv -o DIR OPTION...: a brief run
lv() {
	"$bin" run --quiet --backend libvirt --intervals 2 --settle 0.1 --samples 2 --sample-time 0.1 --threshold 99 \
		--stop-on ram "$@"
}
mock() {
	lv --connect test:///default "$@"
}
column() { # column FILE NAME: its values
	awk -F, -v c="$2" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == c) n = i; next } { print $n }' "$1"
}
last() {
	column "$1" "$2" | tail -n 1
}
# wait_for COMMAND...: up to 15 s
wait_for() {
	for _ in $(seq 600); do
		"$@" && return 0
		sleep 0.1
	done
	return 1
}

t_ok "the mock driver: 30 domains" mock --max 30 -o "$T/mock"
reached() {
	[ "$(last "$1/intervals.csv" vm_count)" = "$2" ] && [ "$(last "$1/intervals.csv" proven_ready)" = "$2" ]
}
t_ok "all of them are counted" reached "$T/mock" 30

odd="$T/q&<>'\" u" # all that means something in XML
mkdir "$odd"
ln -s "$(command -v qemu-system-x86_64)" "$odd/qemu"
odd_names() (
	# the folder in which sockets lie must be short
	MVMSCALE_STATE="$t_base/s&<>'\"%#?"
	lv --accel tcg --max 1 --intervals 1 --qemu "$odd/qemu" -o "$odd/run"
)
t_ok "names that mean something in XML and in URIs" odd_names
t_ok "its domain is counted" reached "$odd/run" 1

t_fail "an option that it would ignore is refused" 2 "no use for --preset" lv --max 1 --preset lean -o "$T/x"
t_fail "--launch is refused" 2 "no use for --preset, --tune and --launch" lv --max 1 --launch clone -o "$T/x"
t_fail "--connect without the backend is refused" 2 "need --backend libvirt" \
	"$bin" run --connect test:///default --max 1 -o "$T/x"
t_fail "--place without several hosts is refused" 2 "needs several hosts" mock --place fill --max 1 -o "$T/x"
t_fail "an unknown placement is refused" 2 "must be even, capacity or fill" mock --place best --max 1 -o "$T/x"
t_fail "what is no URI is refused" 2 "is no libvirt URI" lv --connect system --max 1 -o "$T/x"
t_fail "--accel that the template ignores is refused" 2 "has no \{type\}" mock --accel kvm --max 1 -o "$T/x"
t_fail "a host that is not there: status 3 and the reason" 3 "cannot connect to qemu\+tcp" \
	lv --connect qemu+tcp://127.0.0.1:1/system --max 1 -o "$T/x"
t_fail "a driver that is not there: status 3 and the reason" 3 "cannot connect to foo:///x" \
	lv --connect foo:///x --max 1 -o "$T/x"
t_fail "a missing hosts file is told" 2 "hosts file: .*none" lv --hosts "$T/none" --max 1 -o "$T/x"
printf '[a]\nuri = qemu:///system\ncolour = red\n' >"$T/hosts"
t_fail "an unknown key of a hosts file is told with its line" 2 "hosts:3: unknown key 'colour'" \
	lv --hosts "$T/hosts" --max 1 -o "$T/x"
printf "<domain type='test'><name>{name}</name><uuid>{uuid}</uuid>{memory}</domain>\n" >"$T/bad.domain"
t_fail "an unknown placeholder of a template is told" 2 "unknown placeholder \{memory\}" \
	mock --template "$T/bad.domain" --max 1 -o "$T/x"
echo "<domain type='test'><name>x</name></domain>" >"$T/nameless.domain"
t_fail "a template without its name is refused" 2 "must use \{name\} and \{uuid\}" \
	mock --template "$T/nameless.domain" --max 1 -o "$T/x"
printf "[template]\nready = running\n<domain type='test'><name>{name}</name><uuid>{uuid}</uuid></domain>\n" >"$T/poor.domain"
t_fail "what libvirt says of a bad domain is passed on" 3 "VM .* on test: " \
	mock --template "$T/poor.domain" --max 1 -o "$T/x"

# Leftovers: the mock driver takes its domains from a file. One is ours and its harness is gone, one has our
# name but not our UUID, one is from another machine, one is someone's.
uuid5() { # uuid5 NAME: RFC 4122, version 5, in our namespace
	{
		printf '\135\177\074\032\016\013\137\016\234\122\155\166\155\163\143\141'
		printf %s "$1"
	} | sha1sum | awk '{
		v = substr("89ab", index("0123456789abcdef", substr($1, 17, 1)) % 4 == 0 ? 4 : index("0123456789abcdef", substr($1, 17, 1)) % 4, 1)
		print substr($1, 1, 8) "-" substr($1, 9, 4) "-5" substr($1, 14, 3) "-" v substr($1, 18, 3) "-" substr($1, 21, 12)
	}'
}
leftovers_file() {
	prefix=$(sed -n 's/.*"domain_prefix": "\(.*\)".*/\1/p' "$T/mock/run.json")
	far=$(echo "$prefix" | sed 's/mvmscale-....../mvmscale-000000/')
	echo '<node>'
	for n in "$prefix-7" "$far-7" ubuntu; do
		u=$(uuid5 "$n")
		echo "<domain type='test'><name>$n</name><uuid>$u</uuid><memory>1024</memory><os><type>hvm</type></os></domain>"
	done
	echo "<domain type='test'><name>$prefix-8</name><memory>1024</memory><os><type>hvm</type></os></domain></node>"
}
leftovers_file >"$T/left.xml"
only_ours() { # only_ours WORD OPTION...
	word=$1
	shift
	"$bin" doctor --connect "test://$T/left.xml" "$@" >"$T/said" || return 1
	grep -q "$word $prefix-7 on" "$T/said" && [ "$(grep -c 'domain .* on test' "$T/said")" = 1 ] || {
		cat "$T/said"
		return 1
	}
}
t_ok "doctor lists what a killed run left, and nothing else" only_ours domain
t_ok "doctor --restore destroys that, and nothing else" only_ours "destroyed domain" --restore
told() {
	"$bin" run --backend libvirt --connect "test://$T/left.xml" --max 1 --intervals 1 --settle 0 --samples 2 \
		--sample-time 0.1 --threshold 99 --stop-on ram -o "$T/told" 2>&1 | grep '1 domains and storage pools of runs that are gone'
}
t_ok "a run tells of leftovers" told

# The QEMU driver in our own process
lv --accel tcg --max 1 -o "$T/probe" >"$T/why" 2>&1
status=$?
if [ $status = 3 ]; then
	t_skip "domains of qemu:///embed" "$(head -n 1 "$T/why")"
	t_done
fi
qemus() { # of this test
	pgrep -f "guest=mvmscale-.*$(basename "$t_base")" | wc -l
}
none_left() {
	[ "$(qemus)" = 0 ] && [ -z "$(ls -d "$MVMSCALE_STATE"/run-* 2>/dev/null)" ] || {
		pgrep -af "guest=mvmscale-" | cut -c 1-300
		ls "$MVMSCALE_STATE"
		return 1
	}
}
t_ok "qemu:///embed: a run that boots its guests" lv --accel tcg --max 4 --verify all -o "$T/embed"
t_ok "all are proven by their ready line" reached "$T/embed" 4
all_answered() {
	[ "$(last "$T/embed/intervals.csv" proven_ping)" = 4 ]
}
t_ok "all answer" all_answered
stages() { # the call returns before the guest is ready, and both take time
	up=$(last "$T/embed/intervals.csv" up_p50_ms) boot=$(last "$T/embed/intervals.csv" boot_p50_ms)
	awk -v u="$up" -v b="$boot" 'BEGIN { exit !(u > 0 && b >= u) }' || {
		echo "up $up, boot $boot"
		return 1
	}
}
t_ok "the stages of a start are told apart" stages
t_ok "nothing is left" none_left
lose_one() {
	"$bin" run --quiet --backend libvirt --accel tcg --max 2 --intervals 1 --settle 0 --samples 2 --sample-time 1 \
		--verify 0 --threshold 99 --stop-on ram -o "$T/dies" &
	run=$!
	wait_for grep -qs '"event":"launched"' "$T/dies/events.jsonl" || return 1
	kill -9 "$(pgrep -f "guest=mvmscale-.*$(basename "$t_base")" | head -n 1)"
	wait $run
}
t_fail "a domain that dies is noticed and makes the run untrustworthy" 5 "" lose_one
died() {
	grep -q '"event":"vm_died".*libvirt on qemu says' "$T/dies/events.jsonl" || {
		cat "$T/dies/events.jsonl"
		return 1
	}
}
t_ok "its death is told as libvirt tells it" died
t_fail "a guest that is not ready in time" 3 "not ready in time" lv --accel tcg --max 1 --ready-timeout 0.05 -o "$T/late"

killed() {
	"$bin" run --quiet --backend libvirt --accel tcg --max 2 --intervals 1 --settle 0 --samples 2 --sample-time 1.5 --threshold 99 \
		--stop-on ram -o "$T/killed" >/dev/null 2>&1 &
	run=$!
	wait_for grep -qs '"event":"launched"' "$T/killed/events.jsonl" || return 1
	[ "$(qemus)" -ge 2 ] || return 1
	kill -9 $run
	wait_for none_left
}
had_run=$(ls -d /run/libvirt 2>/dev/null)
t_ok "kill -9 of the harness takes the VMs down" killed
run_folder() {
	[ "$(ls -d /run/libvirt 2>/dev/null)" = "$had_run" ]
}
t_ok "and leaves no folder of libvirt's" wait_for run_folder

# Through a daemon
if [ "$(id -u)" != 0 ] || ! command -v libvirtd >/dev/null || ! unshare --mount --pid --fork true 2>/dev/null; then
	t_skip "through a daemon" "needs root, namespaces and libvirtd"
	t_done
fi
"$t_root/tests/e2e/private-libvirtd" "$T/daemon" user >"$T/daemon.log" 2>&1 &
daemon=$!
wait_for test -S "$T/daemon/sock/libvirt-sock" || cat "$T/daemon.log"
inside=$(pgrep -P $daemon)
socket="qemu+unix:///system?socket=$T/daemon/sock/libvirt-sock"
brief() { # brief OPTION...: two domains, all of them asked
	lv --accel tcg --max 2 --intervals 1 --verify all "$@"
}
pools() { # folders that we made on that host
	nsenter -t "$inside" -m ls /var/tmp | grep -c '^mvmscale-'
}
t_ok "through a daemon: image sent, domains booted" brief --connect "$socket" -o "$T/d"
t_ok "proven by their ready lines, read through libvirt" reached "$T/d" 2
t_ok "and they answer" test "$(last "$T/d/intervals.csv" proven_ping)" = 2
t_ok "an image that QEMU writes to" brief --connect "$socket" --max 1 --template qemu-disk -o "$T/disk"
t_ok "nothing of it is left there" test "$(pools)" = 0
system() { # beside that daemon the machine's own cannot be reached
	nsenter -t "$inside" --mount --pid "$@"
}
t_ok "qemu:///system" system env MVMSCALE_STATE="$T/s2" "$bin" run --quiet --backend libvirt --connect qemu:///system \
	--accel tcg --max 1 --intervals 1 --settle 0 --samples 2 --sample-time 0.1 --verify all --threshold 99 \
	--stop-on ram -o "$T/system"
t_ok "its domain answers" test "$(last "$T/system/intervals.csv" proven_ping)" = 1

killed_remote() {
	"$bin" run --quiet --backend libvirt --connect "$socket" --accel tcg --max 2 --intervals 1 --settle 0 --samples 2 \
		--sample-time 1 --threshold 99 --stop-on ram -o "$T/killed2" >/dev/null 2>&1 &
	run=$!
	wait_for grep -qs '"event":"launched"' "$T/killed2/events.jsonl" || return 1
	kill -9 $run
	wait $run 2>/dev/null
	wait_for none_runs
}
none_runs() {
	[ "$(nsenter -t "$inside" --mount --pid pgrep -fc guest=mvmscale-)" = 0 ]
}
t_ok "kill -9 of the harness takes domains of a daemon down too" killed_remote
pool_is() { # pool_is WORD OPTION...
	word=$1
	shift
	"$bin" doctor --connect "$socket" "$@" >"$T/said" && grep -q "$word mvmscale-.* on qemu+unix" "$T/said" || {
		cat "$T/said"
		return 1
	}
}
shut() { # what is below that folder is QEMU's user's alone
	found=$(nsenter -t "$inside" -m find /var/tmp -path '*/mvmscale-*-*' -printf '%m %U %f\n' | sort)
	echo "$found"
	[ "$(echo "$found" | grep -c ' 64055 ')" = 3 ] && ! echo "$found" | grep -v '^[4-7]00 64055 '
}
t_ok "what it sent there can be read by QEMU's user alone" shut
t_ok "doctor finds the folder that it left there" pool_is "storage pool"
t_ok "doctor --restore removes it" pool_is "removed storage pool" --restore
t_ok "it is gone" test "$(pools)" = 0
kill -9 $daemon
wait $daemon 2>/dev/null

# Containers; the daemon is ended by now, so that their cgroups can be looked at
machines() { # libvirt keeps these for its containers, once made
	ls -d /sys/fs/cgroup/machine /sys/fs/cgroup/*/machine 2>/dev/null
}
if [ ! -x /usr/lib/libvirt/libvirt_lxc ] && [ ! -x /usr/libexec/libvirt_lxc ]; then
	t_skip "lxc:///system" "needs libvirt's LXC driver (Debian: libvirt-daemon-driver-lxc)"
elif [ -f /sys/fs/cgroup/cgroup.controllers ]; then
	t_skip "lxc:///system" "the test is made for cgroups of version 1"
else
	had=$(machines)
	"$t_root/tests/e2e/private-libvirtd" "$T/lxc" lxc >"$T/lxc.log" 2>&1 &
	daemon=$!
	wait_for test -S "$T/lxc/sock/libvirt-sock" || cat "$T/lxc.log"
	inside=$(pgrep -P $daemon)
	t_ok "lxc:///system: containers whose only process is mvminit" system env MVMSCALE_STATE="$T/s3" "$bin" run --quiet \
		--backend libvirt --connect lxc:///system --max 3 --intervals 1 --settle 0 --samples 2 --sample-time 0.1 \
		--verify all --threshold 99 --stop-on ram -o "$T/containers"
	t_ok "they are proven by their ready lines" reached "$T/containers" 3
	t_ok "and answer" test "$(last "$T/containers/intervals.csv" proven_ping)" = 3
	t_ok "nothing of them is left" test "$(pools)" = 0
	kill -9 $daemon
	wait $daemon 2>/dev/null
	# shellcheck disable=SC2046 # words
	[ -n "$had" ] || rmdir $(machines) 2>/dev/null
fi

# qemu:///session: libvirt starts a daemon for an ordinary user; here it ends with the namespace.
session() {
	mkdir -p "$T/home" "$T/user" "$T/user/run"
	chmod 711 "$t_base" "$T"
	chown -R 65534:65534 "$T/home" "$T/user"
	chmod 700 "$T/user/run"
	# libvirt puts sockets deep below HOME, and their paths have 107 characters at most
	unshare --mount --pid --fork --kill-child --mount-proc sh -c 'mount --bind "$0" /mnt && { "$@" & wait $!; }' \
		"$T/home" setpriv --reuid 65534 --regid 65534 --clear-groups \
		env HOME=/mnt XDG_RUNTIME_DIR="$T/user/run" MVMSCALE_STATE="$T/user/s" MVMSCALE_LEDGER= \
		"$bin" run --quiet --backend libvirt --connect qemu:///session --accel tcg --max 1 --intervals 1 --settle 0 \
		--samples 2 --sample-time 0.1 --verify all --threshold 99 --stop-on ram -o "$T/user/session"
}
if command -v setpriv >/dev/null && setpriv --reuid 65534 --regid 65534 --clear-groups test -x "$bin"; then
	t_ok "qemu:///session, as an ordinary user" session
	t_ok "its domain answers" test "$(last "$T/user/session/intervals.csv" proven_ping)" = 1
else
	t_skip "qemu:///session, as an ordinary user" "needs setpriv, and a build folder that others may read"
fi
t_done
