#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The backend kvm: real VMs without QEMU. What ends a VM, a runner or the harness, and what is left then.
. "$(dirname "$0")/lib.sh"

M=$BUILD/mvmscale
T=$(t_tmp)
pid=

t_stop() {
	[ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null
	t_remove
}
trap t_stop EXIT

# kvm FOLDER OPTION...: a brief run
kvm() {
	out=$1
	shift
	"$M" run --backend kvm --quiet --stop-on ram --settle 0.1 --samples 2 --sample-time 0.1 -o "$out" "$@"
}
# runners: processes of ours, by their working folder
runners() {
	for p in /proc/[0-9]*; do
		[ "$(cat "$p/comm" 2>/dev/null)" = mvm-kvm-runner ] || continue
		case $(readlink "$p/cwd" 2>/dev/null) in
		"$MVMSCALE_STATE"/run-*) echo "${p#/proc/}" ;;
		esac
	done
}
# within SECONDS COMMAND...
within() {
	tries=$(($1 * 10))
	shift
	until "$@" >/dev/null 2>&1; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || {
			echo "still not: $*"
			return 1
		}
		sleep 0.1
	done
}
nothing_left() {
	[ -z "$(runners)" ] && [ -z "$(ls -d "$MVMSCALE_STATE"/run-* 2>/dev/null)" ] &&
		[ -z "$(find /sys/fs/cgroup -maxdepth 7 -type d -name "mvmscale-$pid" 2>/dev/null)" ]
}
above_0() {
	awk -v x="$(t_cell "$1" "$2" "$3")" 'BEGIN { exit !(x > 0) }'
}
says() {
	grep -q "\"$2\": $3,\{0,1\}\$" "$1/run.json"
}
event() {
	grep -q "$2" "$1/events.jsonl"
}
# image NAME BEFORE AFTER: a guest that answers every line by "pong", with instructions of its own before it
# says that it is ready, and after
image() {
	cat >"$T/$1.asm" <<EOF
	bits 16
	org 0x7C00
	cli
	xor ax, ax
	mov ds, ax
	mov es, ax
	mov ss, ax
	mov sp, 0x7C00
	cld
	mov word [0x0C * 4], on_com1
	mov word [0x0C * 4 + 2], 0
	mov al, 0xEF		; all masked but IRQ 4
	out 0x21, al
	mov dx, 0x3FC		; OUT2
	mov al, 0x0B
	out dx, al
	mov dx, 0x3F9		; received bytes interrupt
	mov al, 1
	out dx, al
	$2
	mov si, ready
	call print
	$3
on_com1:
	pusha
.next:
	mov dx, 0x3FD
	in al, dx
	test al, 1
	jz .done
	mov dx, 0x3F8
	in al, dx
	cmp al, 10
	jne .next
	mov si, pong
	call print
	jmp .next
.done:
	mov al, 0x20
	out 0x20, al
	popa
	iret
print:
	lodsb
	test al, al
	jz .end
	mov dx, 0x3F8
	out dx, al
	jmp print
.end:
	ret
ready:	db "MVM test ready", 10, 0
pong:	db "pong", 10, 0
	times 510 - (\$ - \$\$) db 0
	dw 0xAA55
EOF
	nasm -f bin -o "$T/$1.img" "$T/$1.asm"
}
some_runners() {
	[ "$(runners | wc -l)" -ge 2 ]
}
# began in a function, the harness is that shell's child: its own number is that of the run folder
harness() {
	pid=$(ls -d "$MVMSCALE_STATE"/run-* | sed 's/.*run-//')
	[ -n "$pid" ]
}
ends_with() {
	status=0
	wait "$shell" 2>/dev/null || status=$?
	echo "status $status"
	[ "$status" = "$1" ]
}

t_fail "no --preset" 2 'no use for' "$M" run --backend kvm --preset lean
t_fail "no --launch" 2 'no use for' "$M" run --backend kvm --launch exec
t_fail "no --qemu" 2 'no use for' "$M" run --backend kvm --qemu /bin/true
t_fail "no --tune" 2 'no use for' "$M" run --backend kvm --tune -ksm
t_fail "no --accel tcg" 2 'always under KVM' "$M" run --backend kvm --accel tcg
t_fail "--shard is for this backend alone" 2 'no use for --shard' "$M" run --backend null --shard 10
t_fail "--no-kvm-debugfs is too" 2 'no use for --shard and --no-kvm-debugfs' "$M" run --no-kvm-debugfs
t_fail "--shard 0" 2 'whole number' "$M" run --backend kvm --shard 0

status=0
kvm "$T/probe" --max 1 --intervals 1 >"$T/probe.out" 2>&1 || status=$?
if [ "$status" = 3 ]; then
	t_skip "everything else" "$(tail -n 1 "$T/probe.out")"
	t_done
fi

t_fail "a guest that never becomes ready under KVM" 3 'kvm backend cannot run here.*injected' \
	env MVMSCALE_FAULT=no-kvm "$M" run --backend kvm --quiet -o "$T/fault"
t_fail "a shard of more than the descriptors allow" 3 'RLIMIT_NOFILE' \
	"$M" run --backend kvm --quiet --shard 1000000 -o "$T/shards"

t_ok "50 VMs, each of them asked" kvm "$T/fifty" --max 50 --intervals 2 --verify all --accel kvm
t_ok "all answered" t_cell_is "$T/fifty/intervals.csv" 3 proven_ping 50
for stage in create_vm create_vcpu setup first_run; do
	t_ok "the time of stage $stage is known" above_0 "$T/fifty/intervals.csv" 3 "kvm_${stage}_p50_us"
done
t_ok "and stands among the events" event "$T/fifty" '"event":"kvm_stages","vms":50,.*kvm_first_run_p99_us'
t_ok "the baseline has none" t_cell_is "$T/fifty/intervals.csv" 1 kvm_create_vm_p50_us ''
t_ok "sleeping guests use no CPU" t_cell_is "$T/fifty/intervals.csv" 3 cpu_guests_pct_mean 0
t_ok "the record names backend and shard" says "$T/fifty" shard 250
t_ok "one VM in a process, without files in debugfs" kvm "$T/single" --max 6 --intervals 1 --shard 1 \
	--no-kvm-debugfs --verify all
t_ok "all answered" t_cell_is "$T/single/intervals.csv" 2 proven_ping 6
t_ok "guests with a timer" kvm "$T/idle" --max 10 --intervals 1 --profile idle
t_ok "they use CPU" above_0 "$T/idle/intervals.csv" 2 cpu_guests_pct_mean
t_ok "two ramps" kvm "$T/twice" --max 10 --intervals 2 --repeat 2

# What profiles ask for.
for profile in hello serve burn touch; do
	t_ok "profile $profile" kvm "$T/$profile" --max 4 --intervals 1 --profile $profile --verify all
	t_ok "$profile answers" t_cell_is "$T/$profile/intervals.csv" 2 proven_ping 4
done
t_fail "a guest that needs a disk" 3 'needs a device besides its serial port, and backend kvm gives none' \
	kvm "$T/disk" --max 2 --profile disk
sed 's/^memory_mb.*/memory_mb = 3/; s/^per_tick.*/pages = 600/' "$t_root/profiles/cpu/touch.profile" >"$T/large.profile"
t_ok "more memory than a PC has below its hole" kvm "$T/large" --max 4 --intervals 1 --profile "$T/large.profile"
t_ok "the record has its size" says "$T/large" memory_mb 3

# What a guest does to itself.
if command -v nasm >/dev/null; then
	t_ok "a guest that computes instead of sleeping" image spin nop 'sti
	jmp $'
	t_ok "ten of them on a few cores" kvm "$T/spin" --max 10 --intervals 1 --image "$T/spin.img" --verify all
	t_ok "none starves another" t_cell_is "$T/spin/intervals.csv" 2 proven_ping 10
	t_ok "a guest that sleeps for ever" image deaf hlt hlt
	t_fail "is told from one that can be woken" 3 'halted with interrupts off' \
		kvm "$T/deaf" --max 3 --image "$T/deaf.img"
	t_ok "a guest without interrupt vectors" image fault 'lidt [0x6000]
	mov eax, cr0
	or al, 1
	mov cr0, eax
	ud2' hlt
	t_fail "its triple fault is told" 3 'triple fault' kvm "$T/fault" --max 3 --image "$T/fault.img"
	t_ok "a guest that jumps into nothing" image lost 'jmp 0xF000:0' hlt
	t_fail "is given up by KVM, and that is told" 3 'internal error of KVM' \
		kvm "$T/lost" --max 3 --image "$T/lost.img"
	t_ok "a guest that says nothing" image mute 'jmp $' hlt
	t_fail "has failed after the time given" 3 'did not become ready within 0.5 s' \
		kvm "$T/mute" --max 3 --ready-timeout 0.5 --image "$T/mute.img"
	t_ok "a guest that resets the machine" image reset 'mov al, 0xFE
	out 0x64, al' hlt
	t_fail "is stopped" 3 'reset the machine' kvm "$T/reset" --max 3 --image "$T/reset.img"
else
	t_skip "what guests do to themselves" "no nasm"
fi
head -c 512 /dev/zero >"$T/empty.img"
t_fail "an image without a signature" 2 'signature' kvm "$T/empty" --image "$T/empty.img"

# VMs that die are replaced, and said.
t_fail "VMs that die make the run untrusted" 5 'VMs died' env MVMSCALE_FAULT=vm-dies:5 \
	"$M" run --backend kvm --max 20 --intervals 1 --settle 0 --samples 2 --sample-time 0.01 --verify 0 \
	--stop-on ram --quiet -o "$T/dies"
t_ok "each is an event" event "$T/dies" '"vm_died".*told to die'

# A runner that is killed takes its own VMs along, and no others.
kvm "$T/killed" --max 12 --intervals 6 --shard 4 --rate 8 >"$T/run.out" 2>&1 &
shell=$!
t_ok "a run with two runners" within 20 some_runners
t_ok "its harness" harness
t_ok "has VMs" within 20 event "$T/killed" '"ready":4,'
kill -KILL "$(runners | head -n 1)"
t_ok "a runner is killed: the run goes on, and is untrusted" ends_with 5
t_ok "its VMs are told" event "$T/killed" '"vm_died".*its runner (process [0-9]*) was killed by signal 9 (KILL), not for want of memory'
t_ok "they were replaced" t_cell_is "$T/killed/intervals.csv" 7 vm_count 12
t_ok "nothing is left" within 10 nothing_left

# One that stops working and does not end is killed, and named.
t_fail "a runner that hangs: the run goes on without it, and is untrusted" 5 'VMs died|VMs were lost|failed' \
	env MVMSCALE_FAULT=runner-hangs:3 "$M" run --backend kvm --max 12 --intervals 3 --shard 4 --ready-timeout 0.5 \
	--settle 0 --samples 2 --sample-time 0.01 --verify 0 --stop-on ram,swap --quiet -o "$T/hangs"
t_ok "its VMs are told" event "$T/hangs" '"vm_died".*gave no sign of life for 2.5 s\|"vm_failed".*gave no sign of life for 2.5 s'
t_ok "they were replaced" t_cell_is "$T/hangs/intervals.csv" 4 vm_count 12
t_ok "nothing is left of it" within 10 nothing_left

kvm "$T/int" --max 100 --intervals 50 --shard 10 --rate 10 >"$T/run.out" 2>&1 &
shell=$!
t_ok "a run" within 20 event "$T/int" '"ready":4,'
t_ok "its harness" harness
kill -INT "$pid"
t_ok "SIGINT: exit status 130" ends_with 130
t_ok "no runner is alive, nothing is left" within 5 nothing_left
t_ok "the state is interrupted" says "$T/int" state '"interrupted"'

kvm "$T/kill" --max 100 --intervals 50 --shard 10 --rate 10 >"$T/run.out" 2>&1 &
shell=$!
t_ok "a run" within 20 event "$T/kill" '"ready":4,'
t_ok "its harness" harness
kill -KILL "$pid"
t_ok "SIGKILL: no runner is alive, nothing is left" within 10 nothing_left
wait "$shell" 2>/dev/null
pid=
t_done
