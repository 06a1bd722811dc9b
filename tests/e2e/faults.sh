#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Wrong input and failing hosts: the message names the thing, the exit code is the documented one, and
# what was measured before stays.
. "$(dirname "$0")/lib.sh"

M=$BUILD/mvmscale
T=$(t_tmp)
img=$BUILD/guests/sleep.img

t_unmount() {
	umount "$T/full" 2>/dev/null
	t_remove
}
trap t_unmount EXIT

run() {
	"$M" run --quiet "$@"
}
null() {
	run --backend null "$@"
}
real() {
	t_real --preset lean "$@"
}
# in a subshell: some shells keep what is set for a function
fault() (
	export MVMSCALE_FAULT="$1"
	shift
	"$@"
)
# keeps FOLDER ROWS: so many samples at least, and all of them whole
keeps() {
	[ "$(awk -F, 'NR == 1 { n = NF } NF != n { print -1; exit } END { print NR - 1 }' "$1/samples.csv" | head -n 1)" -ge "$2" ]
}
# readable FOLDER: plot and advise take it, whatever they can say about it
readable() {
	"$M" plot "$1" -o "$T/readable.svg" && [ -s "$T/readable.svg" ] || return
	rm "$T/readable.svg"
	status=0
	"$M" advise "$1" || status=$?
	[ "$status" = 0 ] || [ "$status" = 4 ]
}
says() {
	grep -q "\"$2\": $3,\{0,1\}\$" "$1/run.json"
}
holds() {
	grep -Eq -- "$2" "$1"
}
fake() {
	printf '#!/bin/sh\n[ "$1" != --version ] || { echo "QEMU emulator version 7.2.0"; exit 0; }\n%s\n' "$2" >"$T/$1"
	chmod +x "$T/$1"
}
nothing_runs() {
	! grep -alq -- "$MVMSCALE_STATE/run-" /proc/[0-9]*/cmdline 2>/dev/null
}

# Wrong input
t_fail "--max 0" 2 "--max '0'" null --max 0
t_fail "--max -5" 2 '-5' null --max -5
t_fail "--max abc" 2 "--max 'abc': needs a whole number from 1 to 10000000" null --max abc
t_fail "--max 5x" 2 "--max '5x'" null --max 5x
t_fail "--max of more than fits" 2 "--max '99999999999999999999'" null --max 99999999999999999999
t_fail "--max without a number" 2 'requires an argument' null --max
t_fail "--threshold 0" 2 "--threshold '0'" null --threshold 0
t_fail "--threshold 100" 2 "--threshold '100'" null --threshold 100
t_fail "--threshold nan" 2 "--threshold 'nan'" null --threshold nan
t_fail "--intervals 0" 2 "--intervals '0'" null --intervals 0
t_fail "--repeat 0" 2 "--repeat '0'" null --repeat 0
t_fail "--settle soon" 2 "--settle 'soon'" null --settle soon
t_fail "--rate 0" 2 "--rate '0'" null --rate 0
t_fail "--jobs 0" 2 "--jobs '0'" null --jobs 0
t_fail "--verify 101" 2 "--verify '101'" run --verify 101
t_fail "--launch warp" 2 'auto, exec, fork or clone' run --launch warp
t_fail "--accel xen" 2 'auto, tcg or kvm' run --accel xen
t_fail "an unknown backend lists the known" 2 'vmware: unknown; known are .*qemu.*null' run --backend vmware
t_fail "an unknown preset lists the known" 2 "unknown preset 'none'.*lean" run --preset none -o "$T/none"
t_fail "a preset file that is not there" 2 "$T/x.preset" run --preset "$T/x.preset" -o "$T/none"
t_fail "an unknown profile lists the known" 2 "'none'.*sleep" null --profile none -o "$T/none"
t_fail "a profile file that is not there" 2 "$T/x.profile" null --profile "$T/x.profile" -o "$T/none"
head -c 511 "$img" >"$T/short.img"
head -c 510 "$img" | cat - /dev/zero | head -c 512 >"$T/unsigned.img"
t_fail "a name that run.json cannot hold" 2 'caf\?. is no UTF-8' null --name "$(printf 'caf\351')" -o "$T/none"
t_fail "an image of 511 bytes" 2 'short.img.* 511 bytes' real --image "$T/short.img" -o "$T/none"
t_fail "an image without signature" 2 'unsigned.img.*signature' real --image "$T/unsigned.img" -o "$T/none"
t_fail "a folder as image" 2 "$T" real --image "$T" -o "$T/none"
t_ok "none of them made a run folder" test ! -e "$T/none"

# QEMU
fake silent 'exec sleep 1000'
fake broken 'echo "qemu: it is broken" >&2; exit 1'
printf 'no program' >"$T/data"
chmod +x "$T/data"
t_fail "a missing QEMU" 3 "'/nonexistent' \(--qemu\)" real --qemu /nonexistent -o "$T/none"
t_fail "a QEMU that is not executable" 3 'short.img' real --qemu "$T/short.img" -o "$T/none"
t_fail "a QEMU that is no program" 3 "$T/data" real --qemu "$T/data" -o "$T/none"
t_fail "a QEMU that is none" 3 '/bin/true (is not a working QEMU|exited)' real --qemu /bin/true -o "$T/none"
t_fail "a QEMU that ends at once, and its words" 3 'broken.*it is broken' real --qemu "$T/broken" -o "$T/none"
t_fail "a QEMU that never boots its guest" 3 'did not become ready within 1.0 s under .*silent' \
	real --qemu "$T/silent" --ready-timeout 1 -o "$T/none"
t_fail "a machine type that this QEMU lacks" 3 'no-such-machine|supported machines' \
	real --machine no-such-machine -o "$T/none"
# the probe guest boots, later ones do not, and what it says is no text
fake later 'echo x >>"$0.n"; [ "$(wc -l <"$0.n")" -gt 1 ] || exec qemu-system-x86_64 "$@"; printf "it \\033[1m\\377 broke\\n" >&2; exit 1'
t_fail "a QEMU that says what is no text" 3 'it \?\[1m\? broke' real --qemu "$T/later" --launch exec -o "$T/no-text"
t_ok "is an event all the same" holds "$T/no-text/events.jsonl" '"event":"vm_failed","vm":0,"reason":".*it \?.1m\? broke'
t_ok "and the reason of the stop" holds "$T/no-text/run.json" '"evidence": ".*it \?.1m\? broke'
once() {
	"$M" run --quiet --preset "$1" --machine no-such-machine --max 1 -o "$T/once" 2>"$T/once.err"
	[ $? = 3 ] && [ "$(grep -c 'it said: qemu-system-x86_64: unsupported machine type' "$T/once.err")" = 1 ] &&
		grep -q -- '--machine no-such-machine' "$T/once.err" && ! grep -q 'no accelerator\|said.*said' "$T/once.err"
}
for preset in lean dense; do
	t_ok "with any accelerator it is said once, in QEMU's words: $preset" once "$preset"
done
printf '[preset]\nsummary = mine\ntune = nix\n[tcg]\nbinary = qemu-system-x86_64\nargs = -bios {firmware}\nboot = firmware\n' \
	>"$T/mine.preset"
t_fail "a preset's technique that is none" 2 "^mvmscale: $T/mine.preset: preset's tune: unknown technique 'nix'; known are noaslr" \
	"$M" run --quiet --preset "$T/mine.preset" -o "$T/none"
t_fail "--tune with one that is none" 2 "^mvmscale run: --tune: unknown technique 'nix'; known are noaslr" \
	"$M" run --quiet --tune +nix -o "$T/none"
t_fail "--tune without a sign" 2 'write \+ksm to add it' "$M" run --quiet --tune ksm -o "$T/none"
t_fail "too few descriptors: the limit and the remedy are named" 3 \
	"RLIMIT_NOFILE is 24, which is its hard limit, too: raise that" \
	sh -c 'ulimit -n 24; exec "$@"' - "$M" run --quiet --preset lean --max 2 -o "$T/none"
t_fail "no QEMU on PATH" 3 'apt-get install' env PATH="$T" "$M" --quiet --preset lean -o "$T/none"
t_ok "none of them made a run folder" test ! -e "$T/none"
t_ok "nor left a process" nothing_runs

# Where the results go
t_fail "a file in the way of --out" 2 'short.img' null --max 5 -o "$T/short.img"
t_fail "a file on the way to --out" 2 'short.img' null --max 5 -o "$T/short.img/run"
t_fail "--out where nobody can write" 3 '/proc/' null --max 5 -o /proc/mvmscale-run
mkdir "$T/full"
if mount -t tmpfs -o size=96k tmpfs "$T/full" 2>/dev/null; then
	t_fail "a disk that fills up" 3 "cannot write .*(No space left|kept)" null --max 200 --samples 50 -o "$T/full/run"
	cp -r "$T/full/run" "$T/after-full"
	umount "$T/full"
	t_ok "what was written before is kept" keeps "$T/after-full" 20
	t_ok "and can be read" readable "$T/after-full"
else
	t_skip "a disk that fills up" "mounting a small tmpfs needs root"
fi
# A full disk at each file in turn: so many files fit, or so many bytes.
# survives FOLDER: no half row; a record that is there can be read
survives() {
	for csv in "$1"/*.csv; do
		[ ! -s "$csv" ] || awk -F, 'NR == 1 { n = NF } NF != n { exit 1 }' "$csv" || return
		[ ! -s "$csv" ] || [ -z "$(tail -c 1 "$csv")" ] || return
	done
	[ ! -e "$1/run.json" ] || tail -n 1 "$1/run.json" | grep -q '}$' || return
	[ -z "$(find "$1" -name '*.tmp')" ]
}
files_full() {
	for n in 3 4 5 6 7; do
		mount -t tmpfs -o nr_inodes=$n tmpfs "$T/full" || return
		null --max 20 --intervals 2 --samples 2 -o "$T/full/run" >"$T/said" 2>&1
		status=$?
		echo "$n: $status"
		cat "$T/said"
		{ [ $n -gt 5 ] || [ $status = 3 ]; } && grep -q 'cannot .*/full/run.*: No space left' "$T/said" &&
			{ [ ! -d "$T/full/run" ] || survives "$T/full/run"; } || return
		umount "$T/full"
	done
}
bytes_full() (
	for n in 1 2 4 8; do # blocks of 512 bytes
		rm -rf "$T/limited"
		(
			ulimit -f $n
			null --max 20 --intervals 2 --samples 9 -o "$T/limited"
		) 2>&1 | cat >"$T/said"
		grep -q "cannot write $T/limited/.*: a file may have $((n * 512)) bytes here (RLIMIT_FSIZE" "$T/said" &&
			{ [ ! -d "$T/limited" ] || survives "$T/limited"; } || {
			cat "$T/said"
			return 1
		}
	done
)
limited() (
	ulimit -f "$1"
	shift
	"$@"
)
if mount -t tmpfs tmpfs "$T/full" 2>/dev/null; then
	umount "$T/full"
	t_ok "a disk without room for each of the files in turn" files_full
	umount "$T/full" 2>/dev/null
else
	t_skip "a disk without room for each of the files in turn" "mounting a small tmpfs needs root"
fi
if [ "$(sh -c 'ulimit -f 2; ulimit -f')" = 2 ]; then
	t_ok "a limit for files names file and limit, and is a full disk" bytes_full
	t_fail "ends with status 3" 3 'RLIMIT_FSIZE' limited 4 null --max 40 --samples 9 -o "$T/limited3"
	list_limited() (
		ulimit -f 1
		exec "$M" list metrics >"$T/list"
	)
	t_fail "also for a table" 3 "cannot write .*RLIMIT_FSIZE" list_limited
	t_fail "and an image" 3 "cannot write .*x.img: a file may have 512 bytes" limited 1 "$BUILD/mvm" build sleep --pad 1M -o "$T/x.img"
else
	t_skip "a limit for files" "this shell cannot set it"
fi
t_fail "a disk that is full at the 61st line" 3 "cannot write .*samples.csv .*kept" \
	fault enospc:60 null --max 200 -o "$T/enospc"
t_ok "59 samples are kept" keeps "$T/enospc" 59
t_ok "the run says that it failed" says "$T/enospc" state '"failed"'
t_ok "and why" holds "$T/enospc/run.json" '"evidence": ".*No space left'
t_ok "and can be read" readable "$T/enospc"
t_fail "the same with real VMs" 3 "samples.csv .*kept" fault enospc:12 real --max 4 --intervals 2 -o "$T/enospc-real"
t_ok "11 samples are kept" keeps "$T/enospc-real" 11
t_ok "no VM is" nothing_runs

# Hosts that fail
t_ok "no more pids at the 51st VM" fault fork-eagain:50 null --max 200 -o "$T/eagain"
t_ok "is a limit, not a failure" says "$T/eagain" kind '"limit"'
t_ok "with its errno" says "$T/eagain" errno 11
t_ok "as an event" holds "$T/eagain/events.jsonl" '"event":"limit_hit"'
t_ok "the samples are kept" keeps "$T/eagain" 40
t_ok "and can be read" readable "$T/eagain"
t_ok "the same with real VMs" fault fork-eagain:6 real --max 10 --intervals 5 -o "$T/eagain-real"
t_ok "is a limit as well" says "$T/eagain-real" kind '"limit"'
t_fail "VMs that die" 5 'VMs died' fault vm-dies:3 null --max 100 -o "$T/dies"
t_ok "are events" holds "$T/dies/events.jsonl" '"event":"vm_died"'
t_ok "and can be read" readable "$T/dies"
t_fail "real VMs that die" 5 'VMs died' fault vm-dies:3 real --max 6 --intervals 3 -o "$T/dies-real"
t_ok "are events" holds "$T/dies-real/events.jsonl" '"event":"vm_died".*killed|"event":"vm_died".*signal'
t_fail "a kernel without MemAvailable" 3 '/proc/meminfo' fault proc-fields null --max 5 -o "$T/none"
t_ok "makes no run folder" test ! -e "$T/none"
t_ok "processes that vanish while they are read" fault pid-vanished real --max 4 --intervals 2 -o "$T/vanished"
t_ok "leave a whole run" says "$T/vanished" state '"complete"'
t_ok "KVM that does not work, --accel auto" fault no-kvm run --preset lean --stop-on ram --settle 0.2 --samples 2 \
	--max 2 --intervals 1 -o "$T/no-kvm"
t_ok "runs under TCG" says "$T/no-kvm" accel '"tcg"'
t_ok "and says why" holds "$T/no-kvm/run.json" '"accel_note": "KVM cannot be used'
t_fail "KVM that does not work, --accel kvm" 3 'KVM cannot be used' fault no-kvm run --preset lean \
	--accel kvm --max 2 -o "$T/none"
t_ok "no VM is left" nothing_runs
t_done
