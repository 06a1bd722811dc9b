#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# What a host does to a run: signals at every stage, helpers that die, limits, files and clocks that change while
# it runs. No VM lives on, no folder or cgroup is left, and what was measured can be read.
# docs/safety.md lists all faults with their tests.
. "$(dirname "$0")/lib.sh"

M=$BUILD/mvmscale
T=$(t_tmp)
cd "$T" || exit 1
chmod 711 "$t_base" "$T" # an ordinary user has a part in it
pid=
cgroups=
first_words=
! env --default-signal=QUIT true 2>/dev/null || first_words="env --default-signal=QUIT"

t_stop() {
	[ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null
	for c in $cgroups; do
		for p in $(cat "$c/cgroup.procs" 2>/dev/null); do
			kill -KILL "$p" 2>/dev/null
		done
		sleep 0.2
		rmdir "$c"
	done
	umount "$T/small" "$T/fixed" 2>/dev/null
	t_remove
}
trap t_stop EXIT

command -v qemu-system-x86_64 >/dev/null || {
	t_skip "faults of the host" "qemu-system-x86_64 is not on PATH"
	t_done
	exit
}

# run OUT OPTION...: a run with VMs in the background, in $pid
run() {
	out=$1
	shift
	# a shell's background commands ignore SIGQUIT
	$first_words "$M" run --quiet --accel tcg --preset lean --threshold 99 --stop-on ram --sample-time 0.1 --verify 0 \
		-o "$out" "$@" >said 2>&1 &
	pid=$!
}
null() {
	"$M" run --quiet --backend null --max 40 --settle 0.05 --samples 2 --sample-time 0.05 "$@"
}
# within SECONDS COMMAND...
within() {
	tries=$(($1 * 10))
	shift
	until "$@" >/dev/null 2>&1; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || {
			echo "still not: $*"
			cat said
			return 1
		}
		sleep 0.1
	done
}
# ended STATUS...
ended() {
	status=0
	wait "$pid" 2>/dev/null || status=$?
	echo "status $status"
	cat said
	for s in "$@"; do
		[ "$status" = "$s" ] && return
	done
	return 1
}
nothing_left() {
	! grep -alq -- "$MVMSCALE_STATE/run-" /proc/[0-9]*/cmdline 2>/dev/null &&
		[ -z "$(ls -d "$MVMSCALE_STATE"/run-* "$MVMSCALE_STATE"/restore-* 2>/dev/null)" ] &&
		[ -z "$(find /sys/fs/cgroup -maxdepth 7 -type d -name "mvmscale-$pid" 2>/dev/null)" ]
}
has() {
	grep -q -- "$2" "$1"
}
# reached FOLDER VMS PHASE: a sample with so many VMs at least; 0 launch, 1 settle, 2 measure
reached() {
	awk -F, -v vms="$2" -v phase="$3" 'NR > 1 && $2 >= vms && $NF == phase { found = 1 } END { exit !found }' "$1/samples.csv"
}
# whole FOLDER: no row is cut
whole() {
	awk -F, 'NR == 1 { n = NF } NF != n { bad = 1 } END { exit bad || !NR }' "$1/samples.csv"
}
# kept FOLDER: what there is can be read
kept() {
	[ ! -d "$1" ] && return
	whole "$1" || return
	status=0
	"$M" advise "$1" || status=$?
	[ "$status" = 0 ] || [ "$status" = 4 ] || [ "$status" = 2 ]
}

# --- signals, stage by stage ---------------------------------------------------------------------------

started() {
	[ "$(readlink "/proc/$pid/exe")" = "$(readlink -f "$M")" ]
}
# at STAGE FOLDER: a run that stays there
at() {
	case $1 in
	preflight)
		run "$2" --max 20
		within 5 started
		;;
	baseline)
		run "$2" --max 20 --settle 60
		within 20 test -s "$2/run.json"
		;;
	launch)
		run "$2" --max 50 --intervals 1 --rate 4 --settle 0.1 --samples 2
		within 20 reached "$2" 1 0
		;;
	settle)
		run "$2" --max 2 --intervals 1 --settle 2 --samples 2
		within 20 has "$2/events.jsonl" launched
		;;
	measure)
		run "$2" --max 2 --intervals 1 --settle 0.1 --samples 10
		within 20 reached "$2" 2 2
		;;
	teardown)
		run "$2" --max 20 --intervals 1 --settle 0.1 --samples 5
		within 30 has "$2/events.jsonl" launched
		kill -INT "$pid"
		;;
	esac
}
# hit STAGE SIGNAL STATUS...
hit() {
	stage=$1 signal=$2
	shift 2
	if ! at "$stage" "$stage-$signal"; then
		kill -KILL "$pid"
		return 1
	fi
	kill -"$signal" "$pid" 2>/dev/null
	ended "$@" && within 10 nothing_left && kept "$stage-$signal"
}
for stage in preflight baseline launch settle measure teardown; do
	first=130
	[ $stage != preflight ] || first="130 143" # before it listens for signals the kernel ends it
	# shellcheck disable=SC2086 # words
	t_ok "SIGTERM at $stage: status 130, nothing is left, the folder can be read" hit $stage TERM $first
	# at teardown it may be over already
	t_ok "SIGKILL at $stage: nothing is left, the folder can be read" hit $stage KILL 137 130
done
t_ok "SIGHUP: as SIGTERM" hit measure HUP 130
if [ -n "$first_words" ]; then
	t_ok "SIGQUIT: nothing is left" hit measure QUIT 131
else
	t_skip "SIGQUIT: nothing is left" "env has no --default-signal"
fi
segfault() (
	export ASAN_OPTIONS=handle_segv=0 # the signal itself is what is tested
	hit measure SEGV 139
)
t_ok "SIGSEGV: nothing is left" segfault

# --- helpers that die ----------------------------------------------------------------------------------

children() {
	for p in /proc/[0-9]*; do
		[ "$(sed 's/.*) . \([0-9]*\) .*/\1/' "$p/stat" 2>/dev/null)" != "$1" ] || echo "${p#/proc/}"
	done
}
# The janitor is the child that still is mvmscale.
janitor_dies() {
	run janitor --max 2 --intervals 1 --settle 0.1 --samples 10
	within 20 reached janitor 2 2 || return
	for p in $(children "$pid"); do
		[ "$(readlink "/proc/$p/exe")" != "$(readlink "/proc/$pid/exe")" ] || kill -KILL "$p"
	done
	ended 0 && within 10 nothing_left && kept janitor
}
t_ok "the janitor dies: the run goes on, ends as usual and leaves nothing" janitor_dies

vm_dies() {
	run vm --max 3 --intervals 1 --settle 0.1 --samples 15
	within 20 has vm/events.jsonl launched || return
	for p in $(children "$pid"); do
		case $(readlink "/proc/$p/exe") in
		*qemu*)
			kill -KILL "$p"
			break
			;;
		esac
	done
	ended 5 && has vm/events.jsonl vm_died && within 10 nothing_left
}
t_ok "a VM is killed from outside: told, status 5" vm_dies

# --- limits that come while it runs ------------------------------------------------------------------------

# in_cgroup CONTROLLER: a cgroup of v1 of its own, in $cgroup
in_cgroup() {
	cgroup=/sys/fs/cgroup/$1/mvmscale-test-$$
	[ -f "/sys/fs/cgroup/$1/cgroup.procs" ] && mkdir "$cgroup" 2>/dev/null && cgroups="$cgroups $cgroup"
}
stop_is() {
	sed -n '/"stop": {/,/}/p' "$1/run.json" | tee stop
	grep -q "\"limit\": \"$2\"" stop
}

# It depends on the moment who is refused: the harness, which forks, or a QEMU, which wants a thread and ends.
too_few_pids() {
	printf '#!/bin/sh\necho $$ >%s/cgroup.procs\nexec "$@"\n' "$cgroup" >./join
	chmod +x join
	echo 1000 >"$cgroup/pids.max"
	before=$first_words first_words="$T/join"
	run pids --max 60 --intervals 1 --rate 10 --settle 0.1 --samples 2 --cgroup=none
	first_words=$before
	within 20 reached pids 2 0 || return
	echo $(($(cat "$cgroup/pids.current") + 4)) >"$cgroup/pids.max"
	ended 0 && stop_is pids cgroup-pids && grep -Eq 'cgroup-pids: [0-9]+ of|pids.max is' stop && within 10 nothing_left && kept pids
}
if in_cgroup pids; then
	t_ok "a pids cgroup that fills up is named, not fork" too_few_pids
else
	t_skip "a pids cgroup that fills up is named, not fork" "no pids cgroup of v1 can be made here"
fi

# Whom the kernel kills is its choice: a VM (told, status 5), or the harness.
out_of_memory() {
	run oom --max 60 --intervals 1 --rate 10 --settle 0.1 --samples 2 --cgroup=none
	echo "$pid" >"$cgroup/cgroup.procs"
	within 20 reached oom 2 0 || return
	echo $(($(cat "$cgroup/memory.usage_in_bytes") + 20000000)) >"$cgroup/memory.limit_in_bytes"
	ended 0 3 5 137 && within 10 nothing_left && kept oom && grep -q 'oom_kill [1-9]' "$cgroup/memory.oom_control"
}
if in_cgroup memory; then
	t_ok "the OOM killer of a memory cgroup: nothing is left, the folder can be read" out_of_memory
else
	t_skip "the OOM killer of a memory cgroup: nothing is left, the folder can be read" \
		"no memory cgroup of v1 can be made here"
fi

# As a user whom nobody else is.
too_few_processes() {
	mkdir user
	chown 54321 user
	"$M" run --help >/dev/null
	setpriv --reuid 54321 --clear-groups env MVMSCALE_STATE="$T/user/state" HOME="$T/user" TMPDIR="$T/user" \
		MVMSCALE_LEDGER="$T/user/ledger.db" "$M" run --quiet --accel tcg --preset lean --threshold 99 --stop-on ram \
		--sample-time 0.1 --verify 0 --max 60 --intervals 1 --rate 10 --settle 0.1 --samples 2 --cgroup=none \
		-o user/run >said 2>&1 &
	pid=$!
	within 20 reached user/run 2 0 || return
	setpriv --reuid 54321 --clear-groups prlimit --pid "$pid" --nproc=12:12 || return
	ended 0 && stop_is user/run RLIMIT_NPROC
}
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null && setpriv --reuid 54321 --clear-groups test -x "$BUILD/mvmscale" \
	-a -x "$T" 2>/dev/null; then
	t_ok "RLIMIT_NPROC of an ordinary user is named" too_few_processes
else
	t_skip "RLIMIT_NPROC of an ordinary user is named" "needs root, setpriv, and folders that others may enter"
fi
printf '#!/bin/sh\nulimit -v 60000\nexec qemu-system-x86_64 "$@"\n' >cramped
chmod +x cramped
t_fail "an address space too small for QEMU: told in its words" 3 'allocate|memory|mmap|map segment' \
	"$M" run --quiet --accel tcg --preset lean --qemu "$T/cramped" --max 1 -o as

# --- files that change while it runs -----------------------------------------------------------------------

upgraded() {
	printf '#!/bin/sh\nexec qemu-system-x86_64 "$@"\n' >qemu
	chmod +x qemu
	run upgrade --qemu "$T/qemu" --max 4 --intervals 4 --settle 0.3 --samples 3
	within 20 has upgrade/events.jsonl launched || return
	sed 's/exec/exec  /' qemu >qemu.new
	chmod +x qemu.new
	mv qemu.new qemu
	ended 5 && has said 'replaced by another' && has upgrade/events.jsonl program_replaced &&
		has upgrade/run.json sha256_later && kept upgrade
}
t_ok "QEMU is replaced in mid-run: told, recorded, status 5" upgraded
rewritten() {
	run same --qemu "$T/qemu" --max 2 --intervals 2 --settle 0.3 --samples 3
	within 20 has same/events.jsonl launched || return
	cp qemu qemu.new
	mv qemu.new qemu
	ended 0
}
t_ok "the same bytes written anew are no other program" rewritten

folder_goes() {
	run gone --max 4 --intervals 4 --settle 0.1 --samples 5
	within 20 has gone/events.jsonl launched || return
	rm -rf gone
	ended 3 && has said gone && within 10 nothing_left
}
t_ok "the run folder is deleted in mid-run: told, status 3, no VM is left" folder_goes

mkdir small fixed
if mount -t tmpfs -o size=48k tmpfs small 2>/dev/null; then
	t_fail "a state folder without room: told, status 3" 3 'No space left' \
		env MVMSCALE_STATE="$T/small/state" "$M" run --quiet --accel tcg --preset lean --max 1 -o small-state
	t_ok "and it made no run folder" test ! -e small-state
	umount small
	mount -t tmpfs -o nr_inodes=4 tmpfs small
	t_fail "a disk without inodes: told, status 3" 3 'No space left' null -o small/run
	umount small
	mount -t tmpfs -o ro tmpfs fixed
	t_fail "a read-only file system: told, status 3" 3 'Read-only file system' null -o fixed/run
	t_fail "a read-only state folder: told, status 3" 3 'Read-only file system' \
		env MVMSCALE_STATE="$T/fixed/state" "$M" run --quiet --accel tcg --preset lean --max 1 -o fixed-state
	umount fixed
else
	t_skip "disks without room, read-only file systems" "mounting needs root"
fi

# --- descriptors and clocks --------------------------------------------------------------------------------

# What is opened next gets the number of a closed one: nothing printed may end up in a file.
closed() {
	null -o closed <&- >&- 2>&-
	whole closed && ! grep -q 'VMs;' closed/*.csv closed/*.json* && null -o closed-in <&- && whole closed-in
}
t_ok "standard input, output and error closed: the files are whole" closed

reader_goes() {
	mkfifo pipe
	head -n 1 pipe >/dev/null &
	"$M" run --backend null --max 400 --intervals 40 --settle 0.02 --samples 2 --sample-time 0.02 -o reader >pipe 2>&1
	status=$?
	echo "status $status"
	wait $!
	whole reader && within 10 nothing_left
}
t_ok "a reader of its output that goes away: the folder is whole" reader_goes

# The wall clock jumps by a day, forth and back, at every look.
clock_steps() {
	cat >step.c <<-'END'
		#include <sys/syscall.h>
		#include <time.h>
		#include <unistd.h>
		static int calls;
		int clock_gettime(clockid_t id, struct timespec *t)
		{
			int ret = (int)syscall(SYS_clock_gettime, id, t);
			if (id == CLOCK_REALTIME)
				t->tv_sec += ++calls % 2 ? 86400 : -86400;
			return ret;
		}
		time_t time(time_t *ret)
		{
			struct timespec t;
			clock_gettime(CLOCK_REALTIME, &t);
			if (ret)
				*ret = t.tv_sec;
			return t.tv_sec;
		}
	END
	"${CC:-cc}" -shared -fPIC -o step.so step.c || return 1
	LD_PRELOAD=$T/step.so timeout 60 "$M" run --quiet --backend null --max 40 --settle 0.05 --samples 2 \
		--sample-time 0.05 -o step || return
	awk -F, 'NR > 2 && $1 < last { exit 1 } NR > 1 { last = $1 } END { exit !(last > 0 && last < 60) }' step/samples.csv &&
		grep -Eq '"elapsed_s": [0-9]{1,2}\.' step/run.json
}
if command -v "${CC:-cc}" >/dev/null; then
	t_ok "the wall clock jumps: times go on, nothing waits for it" clock_steps
else
	t_skip "the wall clock jumps: times go on, nothing waits for it" "no C compiler"
fi

# --- two at once -------------------------------------------------------------------------------------------

two_at_once() {
	run one --max 4 --intervals 2 --settle 0.2 --samples 3
	first=$pid
	run two --max 4 --intervals 2 --settle 0.2 --samples 3
	wait "$first" && ended 0 && kept one && kept two && within 10 nothing_left
}
t_ok "two runs at once: both end as usual, and nothing is left" two_at_once
t_done
