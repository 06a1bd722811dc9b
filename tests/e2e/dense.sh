#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Preset dense: clones that live, weigh little, and fall back where they are refused.
# alone: weighs VMs
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

tmp=$(t_tmp)
run() { "$BUILD/mvmscale" run --stop-on ram --settle 0 --samples 2 --sample-time 0.1 --intervals 1 --quiet "$@"; }
# column FOLDER NAME: that column in the last row of intervals.csv
column() {
	awk -F, -v name="$2" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) c = i } END { print $c }' "$1/intervals.csv"
}
mode() { grep -A1 '"launch": {' "$1/run.json" | grep -o '"mode": "[a-z]*"' | head -n 1; }
in_force() { grep -A3 "\"$2\": {" "$1/run.json" | grep -q '"in_force": true'; }

t_ok "1,000 clones start, and every one answers a ping" \
	run --accel tcg --max 1000 --verify all --out "$tmp/all"
t_ok "they are clones" test "$(mode "$tmp/all")" = '"mode": "clone"'
t_ok "each is counted as a clone, and as answering" \
	test "$(column "$tmp/all" proven_clone) $(column "$tmp/all" proven_ping)" = "1000 1000"
for technique in noaslr one-arena no-tcache small-stacks late-threads lazy-libs; do
	t_ok "technique $technique is seen in force" in_force "$tmp/all" "$technique"
done

t_ok "the same clones sleep" run --accel tcg --max 600 --verify 0 --samples 6 --out "$tmp/dense"
t_ok "lean for comparison" run --accel tcg --preset lean --max 40 --verify 0 --samples 6 --out "$tmp/lean"
# Private memory of a process and its page tables and stacks: what so few VMs take of MemAvailable drowns in what
# the rest of the host does meanwhile.
per_vm() {
	awk -v uss="$(column "$1" guest_uss_kb_mean)" -v tables="$(column "$1" ledger_page_tables_kb)" \
		-v stacks="$(column "$1" ledger_kernel_stack_kb)" -v n="$2" 'BEGIN { print uss + (tables + stacks) / n }'
}
lighter() { awk -v d="$(per_vm "$tmp/dense" 600)" -v l="$(per_vm "$tmp/lean" 40)" 'BEGIN { exit !(d * 8 < l) }'; }
t_ok "a dense VM takes less than an eighth of a lean one" lighter

t_ok "without late-threads and lazy-libs clones live as well" \
	run --accel tcg --max 50 --tune=-late-threads,-lazy-libs --verify all --out "$tmp/eager"
t_ok "and all of them answer" test "$(column "$tmp/eager" proven_ping)" = 50

t_ok "guests that boot on their own: early fork" run --accel tcg --max 12 --launch fork --verify all --out "$tmp/fork"
t_ok "each proved itself by its ready line" test "$(column "$tmp/fork" proven_ready)" = 12

MVMSCALE_FAULT=no-preload t_ok "a QEMU that refuses the library falls back to exec" \
	run --accel tcg --max 3 --out "$tmp/fallback"
t_ok "and the record says so" grep -q 'refused: launch clone' "$tmp/fallback/run.json"
MVMSCALE_FAULT=no-preload t_fail "unless the user asked for clones" 3 'launch clone' \
	run --accel tcg --max 3 --launch clone --out "$tmp/none"
MVMSCALE_FAULT=no-aslr-off t_ok "fixed addresses refused: the run goes on" run --accel tcg --max 5 --out "$tmp/aslr"
refused() { ! in_force "$@"; }
t_ok "and the technique is recorded as not in force" refused "$tmp/aslr" noaslr
MVMSCALE_FAULT=no-ksm t_ok "KSM refused: the run goes on" run --accel tcg --max 5 --tune +ksm --out "$tmp/ksm"
t_fail "an unknown technique is refused with the known ones" 2 'late-threads' run --max 5 --tune +magic --out "$tmp/no"

if ! run --accel kvm --preset lean --max 1 --verify all --out "$tmp/kvm-try" >/dev/null 2>&1; then
	t_skip "KVM VMs are cloned" "KVM boots no guest here"
else
	t_ok "KVM VMs are cloned, and every one answers" \
		run --accel kvm --launch clone --max 150 --verify all --out "$tmp/kvm"
	t_ok "each is counted as a clone, and as answering" \
		test "$(column "$tmp/kvm" proven_clone) $(column "$tmp/kvm" proven_ping)" = "150 150"
	t_ok "a sleeping one has one thread" in_force "$tmp/kvm" late-threads
	t_ok "with a timer that ticks they have all" run --accel kvm --launch clone --profile idle --max 20 --out "$tmp/ticks"
	t_ok "and it ticks in each" awk -v c="$(column "$tmp/ticks" cpu_guests_pct_mean)" 'BEGIN { exit !(c > 0) }'
	t_ok "early fork under KVM" run --accel kvm --launch fork --max 12 --verify all --out "$tmp/kvm-fork"
	t_ok "each proved itself by its ready line" test "$(column "$tmp/kvm-fork" proven_ready)" = 12
fi

t_done
