#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# A VM counts only while it answers: stopped ones, wrong and foreign answers, consoles that are flooded.
. "$(dirname "$0")/lib.sh"

T=$(t_tmp)
M=$BUILD/mvmscale
shell=
stopped=

t_stop() {
	[ -z "$stopped" ] || kill -CONT "$stopped" 2>/dev/null
	[ -z "$shell" ] || kill -KILL "$shell" 2>/dev/null
	t_remove
}
trap t_stop EXIT

brief="--quiet --threshold 99 --stop-on ram --settle 0.1 --samples 2 --sample-time 0.1"
# asks OPTION... -o DIR: a brief run, all of whose VMs are asked
asks() {
	# shellcheck disable=SC2086 # words
	timeout 60 "$M" run --verify all $brief "$@"
}
# begin NAME OPTION...: the same in the background, known by its folder; $shell becomes its process
begin() {
	dir=$T/$1
	shift
	# shellcheck disable=SC2086 # words
	"$M" run --verify all $brief --settle 0.5 "$@" -o "$dir" >"$dir.out" 2>&1 &
	shell=$!
}
# within SECONDS COMMAND...
within() {
	tries=$(($1 * 20))
	shift
	until "$@" >/dev/null 2>&1; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || {
			echo "still not: $*"
			return 1
		}
		sleep 0.05
	done
}
has() { # has PATTERN: in the events of the run that was begun last
	grep -Eq "$1" "$dir/events.jsonl"
}
shows() { # shows DIR PATTERN: in run.json
	grep -Eq "$2" "$1/run.json"
}
# stop_one COMM: the newest such process of the run
stop_one() {
	within 20 has launched && stopped=$(pgrep -n -P "$shell" "$1") && kill -STOP "$stopped"
}
goes_on() {
	kill -CONT "$stopped" && stopped=
}
ends_with() { # ends_with STATUS
	status=0
	wait "$shell" || status=$?
	shell=
	tail -n 20 "$dir.out"
	echo "status $status"
	[ "$status" = "$1" ]
}
# The file of one VM's console takes the name of another's: its answers are another VM's.
swap_consoles() { # swap_consoles SUFFIX
	within 20 has '"ready":[2-9]' && (cd "$MVMSCALE_STATE/run-$shell/console" && mv "1$1" "0$1")
}
# What the run that was begun last must say of N VMs that did not answer
is_told() {
	ends_with 5 && has "\"ping_failed\",\"vm\":[0-9]*,\"asked\":\"ping\".*$1" && cat "$dir.out" &&
		grep -Eq 'VMs asked last answered' "$dir.out" && shows "$dir" 'VMs asked last answered'
}
row_holds() { # row_holds DIR ROW ASKED ANSWERED COUNTED
	t_cell_is "$1/intervals.csv" "$2" ping_asked "$3" && t_cell_is "$1/intervals.csv" "$2" proven_ping "$4" &&
		t_cell_is "$1/intervals.csv" "$2" vm_count "$5" &&
		t_cell_is "$1/intervals.csv" "$2" unproven "$(($3 - $5))"
}

# --- What the harness makes of silence
silent() {
	MVMSCALE_FAULT=no-answer:16 asks --backend process --max 12 --intervals 3 -o "$T/silent"
}
t_fail "the last step's VMs do not answer: status 5, and the headline says how many did" 5 \
	'^4 VMs; stopped by max: all 12 VMs asked for were started; 4 of 12 VMs asked last answered' silent
t_ok "they leave the count of that interval" row_holds "$T/silent" 4 12 4 4
t_ok "those before it stand" row_holds "$T/silent" 3 8 8 8
t_ok "proven by their ready line are those that count" t_cell_is "$T/silent/intervals.csv" 4 proven_ready 4
t_ok "the record has how many" shows "$T/silent" '"silent": 8,'
each_is_told() {
	[ "$(grep -c '"ping_failed".*"asked":"ping","answer":null,"reason":' "$T/silent/events.jsonl")" = 8 ]
}
t_ok "and each VM, what it was asked, and what came" each_is_told
t_fail "advise gives no clean answer" 4 'VMs did not answer in 1 of 4 intervals \(at worst 4 of 12 asked answered\)' \
	"$M" advise "$T/silent"
t_ok "one whose VMs all answer" asks --backend process --max 12 --intervals 3 -o "$T/fine"
t_ok "lacks none" row_holds "$T/fine" 4 12 12 12
t_fail "compare takes no side with silent VMs" 5 '8 VMs did not answer when asked' "$M" compare "$T/fine" "$T/silent"
in_table() { # in_table DIR VMS SILENT
	"$M" table "$1" --format csv | cut -d, -f7,8 | grep -q "^$2,$3\$"
}
t_ok "the table shows them" in_table "$T/silent" 4 8
mute() { # mute SHARE OPTION...
	share=$1
	shift
	# shellcheck disable=SC2086 # words
	MVMSCALE_FAULT=no-answer "$M" run --backend process --verify "$share" $brief "$@"
}
t_fail "nobody answers: nobody counts, and that is no crash" 5 '^0 VMs; .*; 0 of 6 VMs asked last answered' \
	mute all --max 6 --intervals 2 -o "$T/none"
t_ok "the table has that run" in_table "$T/none" 0 6
t_fail "of a share, those that were asked and did not answer" 5 '^10 VMs; .*; 0 of 5 VMs asked last answered' \
	mute 1% --max 15 --intervals 1 -o "$T/share"
t_ok "guests whose flags say that they are silent are not asked" asks --backend process --profile idle --max 3 \
	--intervals 1 -o "$T/idle"
t_ok "and count" t_cell_is "$T/idle/intervals.csv" 2 vm_count 3

# --- A process that is stopped, and goes on
begin stopped --backend process --max 12 --intervals 6
t_ok "a VM is stopped" stop_one mvminit
t_ok "it is found out" within 20 has ping_failed
t_ok "it goes on" goes_on
t_ok "and is counted again" within 20 has '"vm_answers_again","vm":[0-9]+,"silent_s":[1-9]'
t_ok "the run is untrusted all the same" ends_with 5
t_ok "its headline tells of the silence" grep -Eq \
	'12 of 12 VMs asked last answered, but there were 1 that did not before, for up to [0-9.]+ s' "$dir.out"
t_ok "all count in the end" row_holds "$dir" 7 12 12 12
t_ok "the silence is in the record" shows "$dir" '"longest_silence_s": [1-9]'

begin swapped --backend process --max 8 --intervals 4
t_ok "a console takes the name of another's" swap_consoles ''
t_ok "its answers are not that VM's" is_told 'console of VM 0 is not the one that was made for it'

# --- Containers, of a runtime that makes what it is told to by number
cat >"$T/runtime" <<'RUNTIME'
#!/bin/sh
[ "$1" = --version ] && echo "test version 1" && exit
dir=$2
shift 2
verb=$1
exec 3<&0
case $verb in
create)
	id=$6
	(
		until [ -e "$dir/$id.go" ]; do sleep 0.02; done
		echo "MVM sleep ready"
		case $id in
		*-1) exec yes ;;
		*-2) exec cat /dev/zero ;;
		*-3) while read -r line; do echo gnop; done ;;
		*) while read -r line; do echo pong; done ;;
		esac
	) 0<&3 2>/dev/null &
	echo $! >"$5"
	mkdir -p "$dir/$id"
	;;
start) : >"$dir/$2.go" ;;
delete) rm -rf "$dir/$3" "$dir/$3.go" ;;
esac
RUNTIME
chmod +x "$T/runtime"
if [ "$(id -u)" = 0 ]; then
	t_fail "containers that flood their console neither stall the harness nor count" 5 \
		'^3 VMs; .*; 3 of 6 VMs asked last answered' \
		asks --backend oci --runtime "$T/runtime" --max 6 --intervals 2 -o "$T/oci"
	dir=$T/oci
	t_ok "the wrong answer is told" has "\"vm\":3,.*it answered 'gnop' to 'ping'"
	t_ok "so are endless lines" has "\"vm\":1,.*\"answer\":\"y"
	t_ok "and a line without end" has "\"vm\":2,.*more than 64 bytes and no end of line"
	foreign_fifo() {
		within 20 has launched && (cd "$MVMSCALE_STATE/run-$shell/console" && mkfifo x && mv x 0.out)
	}
	begin ociswap --backend oci --runtime "$T/runtime" --max 1 --intervals 1
	t_ok "a FIFO takes the place of a container's" foreign_fifo
	t_ok "what would be read there is nobody's answer" is_told 'console of VM 0 is not the one'
else
	t_skip "containers" "no root"
fi

# --- Guests: by their seed they answer properly, wrongly, or flood the line, after the second question
command -v nasm >/dev/null || {
	t_skip "guests" "no nasm"
	t_done
}
# guest NAME SAID GOOD FIRST: one whose ready line has the name SAID, which answers GOOD times properly, and sends
# FIRST without end before it is ready, if that is not empty
guest() {
	cat >"$T/$1.asm" <<ASM
%define GUEST "$2"
%include "quiet.inc"
	quiet_start
	mov	si, first
	cmp	byte [si], 0
	je	ready
flood:	mov	si, first
	call	uart_print
	jmp	flood
ready:	uart_listen
	mov	si, line_ready
	call	uart_print
	sti
asleep:	hlt
	jmp	asleep
on_com1:
	pushad
.next:	mov	dx, UART_IIR
	in	al, dx
	test	al, UART_IIR_NONE
	jnz	.drained
	mov	dl, UART_DATA & 0xFF
	in	al, dx
	cmp	al, 10
	jne	.next
	mov	si, line_pong
	dec	byte [good]
	jns	.say
	mov	byte [good], 0
	mov	bx, [param_seed]
	and	bx, 0x30
	jz	.say
	mov	si, gnop
	cmp	bl, 0x10
	je	.say
	mov	si, lines
	cmp	bl, 0x20
	je	.flood
	mov	si, endless
.flood:	push	si
	call	uart_print
	pop	si
	jmp	.flood
.say:	call	uart_print
	jmp	.next
.drained:
	pic_eoi
	popad
on_spurious:
	iret
	uart_print_routine
	line_texts
gnop:	db "VM 7: pong", 10, 0
lines:	db "flood", 10, 0
endless: db "x", 0
first:	db "$4", 0
good:	db $3
	seal	"sleep", MVM_PARAM_FLAG_SEED
ASM
	nasm -I "$(dirname "$0")/../../mvm/" -f bin -o "$T/$1.img" "$T/$1.asm"
}
t_ok "a guest that goes wrong" guest wrong sleep 2 ''
t_ok "one that says another's name" guest named other 0 ''
t_ok "one that floods the line before it is ready" guest early sleep 0 MVM

small() { # harness memory in the last sample, against the first
	awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "harness_rss_kb") at = i }
		NR == 2 { first = $at } { last = $at }
		END { print first, last; exit !(last - first < 16384) }' "$1/samples.csv"
}
# go_wrong NAME STEP WRONG OPTION...: three steps; by the third, WRONG of the first STEP VMs have gone wrong
go_wrong() {
	name=$1 max=$((3 * $2)) good=$((3 * $2 - $3)) step=$2
	shift 3
	t_fail "$name: guests that go wrong do not count" 5 "^$good VMs; .*; $good of $max VMs asked last answered" \
		asks --image "$T/wrong.img" --seed 6 --max "$max" --intervals 3 -o "$T/$name" "$@"
	dir=$T/$name
	t_ok "$name: the answer of another is told" has \
		"\"vm\":1,\"asked\":\"ping\",\"answer\":\"VM 7: pong\",\"reason\":\"it answered 'VM 7: pong' to 'ping'"
	t_ok "$name: so are lines without end" has '"ping_failed","vm":0,.*flood'
	[ "$step" -lt 3 ] || t_ok "$name: and a line without end" has '"ping_failed","vm":2,.*xxxxxxxx'
	t_ok "$name: the harness does not grow" small "$dir"
}
misnamed() { # misnamed NAME OPTION...
	name=$1
	shift
	t_fail "$name: the ready line of another guest is none" 3 'ready within|ready in time' \
		asks --image "$T/named.img" --ready-timeout 1 --max 1 --intervals 1 -o "$T/x" "$@"
}
early() { # early NAME OPTION...
	name=$1
	shift
	t_fail "$name: a flood before the ready line ends when the time is over" 3 'ready within|ready in time' \
		asks --image "$T/early.img" --ready-timeout 1 --max 1 --intervals 1 -o "$T/x" "$@"
}

misnamed qemu --preset lean --accel tcg
early qemu --preset lean --accel tcg
if "$M" run --backend libvirt --accel tcg --quiet --max 1 --intervals 1 --settle 0 -o "$T/lv" >"$T/lv.out" 2>&1; then
	misnamed libvirt --backend libvirt --accel tcg
else
	t_skip "the ready line of another guest through libvirt" "$(tail -n 1 "$T/lv.out")"
fi
for mode in exec fork clone; do
	go_wrong "tcg-$mode" 4 4 --preset lean --accel tcg --launch "$mode"
done
begin clone --preset dense --accel tcg --launch clone --max 6 --intervals 3 --no-raise
t_ok "a clone is stopped" stop_one qemu
t_ok "it is told" is_told 'gave no answer in time'
t_ok "and not counted" row_holds "$dir" 4 6 5 5
begin cloneswap --preset dense --accel tcg --launch clone --max 8 --intervals 4 --no-raise
t_ok "a clone's console takes the name of another's" swap_consoles ''
t_ok "it is told whose it is" is_told 'console of VM 0 belongs to process [0-9]+, the VM is process [0-9]+'

status=0
asks --backend kvm --max 1 --intervals 1 -o "$T/try" >"$T/try.out" 2>&1 || status=$?
if [ "$status" = 3 ]; then
	t_skip "KVM" "$(tail -n 1 "$T/try.out")"
else
	go_wrong kvm 4 4 --backend kvm
	misnamed kvm --backend kvm
	early kvm --backend kvm
	for mode in exec fork clone; do
		go_wrong "kvm-$mode" 2 2 --preset lean --accel kvm --launch "$mode"
	done
	begin runner --backend kvm --shard 2 --max 4 --intervals 2
	t_ok "a runner of two VMs is stopped" stop_one mvm-kvm-runner
	t_ok "its VMs do not count" is_told 'gave no answer in time'
fi
t_done
