#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# doctor: shows the host, changes nothing unasked, and undoes what it or a killed run changed.
# alone: changes pid_max and looks at it
set -eu

mvmscale=${BUILD:-build}/mvmscale
dir=$(mktemp -d)
MVMSCALE_STATE=$dir/state
export MVMSCALE_STATE
pid_max=/proc/sys/kernel/pid_max
before=$(cat $pid_max)

cleanup() {
	"$mvmscale" doctor --restore >/dev/null 2>&1 || true
	rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

fail() {
	echo "doctor.sh: $*" >&2
	exit 1
}

# expect STATUS command...: the output is in $dir/out
expect() {
	want=$1
	shift
	got=0
	"$@" >"$dir/out" 2>&1 || got=$?
	[ "$got" -eq "$want" ] || {
		cat "$dir/out" >&2
		fail "'$*' ended with $got instead of $want"
	}
}

says() {
	grep -q -- "$1" "$dir/out" || {
		cat "$dir/out" >&2
		fail "the output lacks '$1'"
	}
}

expect 0 "$mvmscale" doctor
says '^Verdict: '
says 'pid_max'
says '/dev/kvm'
[ ! -e "$MVMSCALE_STATE" ] || fail "plain doctor made a state folder"
[ "$(cat $pid_max)" = "$before" ] || fail "plain doctor changed pid_max"

# a backend that cannot run here says what to do
expect 0 env PATH="$dir" "$mvmscale" doctor
says '^  backend oci .*apt-get install runc'
expect 0 env PATH="$dir" "$mvmscale" list backends
says '^qemu .*; not here: QEMU is missing'

expect 0 "$mvmscale" doctor --json --max 1000 --vm-mem 500 --vm-tasks 2
says '"verdict_now"'
says '"ram_kb"'
if command -v python3 >/dev/null; then
	python3 -m json.tool "$dir/out" >/dev/null || fail "--json printed no JSON"
fi

# What a VM costs is what a run by default takes; no number of its own.
declares() {
	file=$(dirname "$0")/../../profiles/presets/$1.preset
	awk -v in_section="[$2]" '$0 ~ /^\[/ { on = $0 == in_section } on && $1 == "mem_kb" { print $3 }' "$file"
}
expect 0 "$mvmscale" doctor
says "Limits for VMs of $(declares dense tcg) kB, 3 tasks .*: as preset dense declares for tcg"
[ ! -w $pid_max ] || says 'a run does while it lasts'
expect 0 "$mvmscale" doctor --preset stock --json
grep -Eq "\"vm_mem_kb\": ($(declares stock tcg)|$(declares stock kvm)).0" "$dir/out" || fail "--preset stock: not its memory"
says '"source": "as preset stock declares for '
expect 0 "$mvmscale" doctor --backend process
says 'Limits for VMs of 90 kB.*as backend process declares'
expect 0 "$mvmscale" doctor --backend kvm --vm-mem 555
says 'Limits for VMs of 555 kB.*as backend kvm declares, but what is given'
expect 2 "$mvmscale" doctor --backend libvirt
says 'in its template'
expect 0 "$mvmscale" doctor --backend libvirt --vm-mem 20000 --vm-tasks 4
expect 2 "$mvmscale" doctor --preset nix
says "unknown preset 'nix'"
expect 2 "$mvmscale" doctor --backend oci --preset lean
says 'no use for --preset'

expect 2 "$mvmscale" doctor --max 0
expect 2 "$mvmscale" doctor --vm-mem none
expect 2 "$mvmscale" doctor --apply --restore
expect 2 "$mvmscale" doctor surplus

expect 0 "$mvmscale" doctor --restore
says 'nothing to restore'

# What a killed process left: its journal names a file, and no such process lives.
mkdir -m 700 "$MVMSCALE_STATE"
echo 20000 >"$dir/pages_to_scan"
cat >"$MVMSCALE_STATE/restore-4194305.json" <<END
{"format": 1, "owner": "process", "pid": 4194305, "start": 1,
 "boot_id": "$(cat /proc/sys/kernel/random/boot_id)", "pid_ns": "$(readlink /proc/self/ns/pid)",
 "entries": [{"kind": "file", "path": "$dir/pages_to_scan", "old": "100", "new": "20000", "at": 1}]}
END
expect 0 "$mvmscale" doctor
says 'left behind by dead process'
[ "$(cat "$dir/pages_to_scan")" = 20000 ] || fail "plain doctor restored something"
expect 0 "$mvmscale" doctor --restore
[ "$(cat "$dir/pages_to_scan")" = 100 ] || fail "--restore did not undo what a killed process left"

# More tasks than pid_max allows, and memory for them does not matter to --apply.
vms=$((before / 2))
if [ "$before" -ge 2000000 ]; then
	echo "doctor.sh: skipped --apply: pid_max is $before already"
elif [ -w $pid_max ]; then
	# other limits (a cgroup's, say) may refuse: 3, but pid_max must be raised
	"$mvmscale" doctor --apply --max "$vms" >"$dir/out" 2>&1 || [ $? -eq 3 ] || fail "--apply failed"
	says 'pid_max *from'
	after=$(cat $pid_max)
	[ "$after" -gt $((3 * vms)) ] || fail "--apply left pid_max at $after"
	expect 0 "$mvmscale" doctor
	says 'applied for good'
	expect 0 "$mvmscale" doctor --restore
	# a run of somebody else may need it just now
	[ "$(cat $pid_max)" = "$before" ] || says 'still needs it'
else
	expect 3 "$mvmscale" doctor --apply --max "$vms"
	says 'pid_max.*not writable'
	[ "$(cat $pid_max)" = "$before" ] || fail "pid_max changed"
fi
echo "doctor.sh: ok"
