; SPDX-License-Identifier: GPL-3.0-or-later
;
; wave: a vCPU that is busy and idle by turns, as the waveform in its parameters says
;
; Contract
;   Sends "MVM wave ready\n" once and starts its waveform. Answers every line on COM1: "ping" with
;   "pong", anything else with "?"; a control character ends a line, an empty line is ignored. The
;   waveform goes on meanwhile.
;   Parameters: seed, phase and the payload MVM_WAVE_* (contract.inc). The waveform starts at `phase`
;   milliseconds. The phase is cleared when it was used; whatever is written there later (into a copy
;   of the running guest) starts the waveform anew, at that place. Without a slice length (an image as
;   built, not yet patched), and after the last pass, the timer is stopped, as in `sleep`.
; How it keeps time
;   Time is cut into slices of 256 * odd number of PIT clocks. Channel 0 interrupts at the end of each;
;   with every slice the guest earns as many clocks of work as the load of the present phase asks for,
;   and it works until they are used up, else it is halted. So what was too much or came too late is
;   made up for in the next slice.
;   Interrupts get lost while a hypervisor does not run the guest. So channel 1 runs freely with period
;   65,536: slices that passed since are as many as explain the difference between both counters,
;   which tells up to 255 of them apart.
;   The two counts must be of one moment. A hypervisor that loses its CPU between them gives a difference
;   that would stand for up to 255 slices that never passed: so one that is not as expected is believed
;   only when a second reading has the same. After more than 255 slices without the CPU, work is lost;
;   none is ever done ahead.
; Registers
;   DI = `vars` for good, so that variables and payload are one byte away. Nothing else lasts.
; Memory map
;   0000:0020  vectors of IRQ 0-7
;   0000:7C00  this image; the stack grows down from here
;   0000:7E00  variables, cleared at the start

%define GUEST "wave"

%include "contract.inc"
%include "pit.inc"
%include "pic.inc"
%include "uart.inc"
%include "seal.inc"

PIT_CHANNEL1 equ 0x41
PIT_CH1_PERIODIC equ 0x74		; channel 1, low+high byte, mode 2: rate generator
PIT_LATCH_0_AND_1 equ 0xD6		; read-back: hold the counts of channels 0 and 1, no status
READINGS_DIFFER equ 8			; clocks: by no more, if nothing came in between
PIC_OPEN equ ~(1 << 0 | 1 << MVM_COM1_IRQ) & 0xFF

vars_start equ MVM_LOAD_ADDRESS + MVM_IMAGE_SIZE
vars equ vars_start + 18		; DI
credit equ vars_start - vars		; s32: clocks of work that are due
burst equ credit + 4			; u32: those that a slice of this phase adds
left equ burst + 4			; u16: slices left in this phase
index equ left + 2			; s8: phase, counted down; a byte of 0 follows
last_count equ index + 2		; u16: channel 1 when last read
boundary equ last_count + 2		; u16: when the present slice began, on channel 1
matched equ boundary + 2		; u8: characters of "ping" received, 0x80 and up: another request;
					; a byte of 0 follows

block equ MVM_LOAD_ADDRESS + MVM_PARAM_OFFSET - vars
seed equ block + MVM_PARAM_OFF_SEED
phase equ block + MVM_PARAM_OFF_PHASE
payload equ block + MVM_PARAM_OFF_PAYLOAD
%define PAYLOAD(field) di + payload + MVM_WAVE_OFF_ %+ field

	bits	16
	org	MVM_LOAD_ADDRESS
start:
	; As boot_entry, but for the jump to segment 0: all jumps below are relative, and the
	; vectors name segment 0 themselves.
	cli
	xor	eax, eax
	mov	ds, ax
	mov	es, ax
	mov	ss, ax
	mov	sp, MVM_LOAD_ADDRESS
	cld
	; All IRQs of the master to the timer's handler: it does no harm to a spurious one.
	mov	di, MVM_VECTOR_MASTER * 4
	; The upper half of ECX is 0 from here on.
	push	dword 8
	pop	ecx
	mov	ax, on_tick
	rep stosd
	mov	word [di - (8 - MVM_COM1_IRQ) * 4], on_com1
	mov	di, vars_start
	xor	ax, ax
	mov	cl, vars - vars_start
	rep stosb
	; Every device, by a table. COM1's ports are the only ones above 0x7F: the sign makes them 0x3Fx.
	mov	si, set_up
	mov	cl, (set_up_end - set_up) / 2
.next:
	lodsb
	cbw
	and	ah, UART_DATA >> 8
	xchg	ax, dx
	outsb
	loop	.next
	; SI is at the ready line now.
	call	uart_print

; Starts the waveform at the place that the phase says, and the timer with it: copies of one guest, which
; come one after the other, then do not all work at the same moments.
restart:
	xor	eax, eax
	; And `index`, behind it.
	mov	[di + left], eax
	; Low byte, then (below) the high byte of a slice: the timer counts from now.
	out	PIT_CHANNEL0, al
	xchg	eax, [di + phase]
	mul	dword [PAYLOAD(SLICES_PER_MS)]
	mov	al, [PAYLOAD(SLICE) + 1]
	cmp	al, 0
	; A short way to `stop`.
	je	begin_slice.over
	; The high byte.
	out	PIT_CHANNEL0, al
	push	dx
	call	read_timer
	pop	cx
	; The slice that begins now counts, but its work and that of those before it is not done.
	inc	cx
.skip:
	call	begin_slice
	loop	.skip
	mov	[di + credit], ecx

; ECX: clocks of work done.
worked:
	sub	[di + credit], ecx
	jle	idle
	; Some 8,192 rounds without a look at the timer: reading it is work for the host, not for the
	; guest. No more, for a KVM that has to emulate real mode needs half a microsecond for each.
	mov	ch, 8192 >> 8
	sti
	loop	$
	cli
	; CX is 0: most likely the slice goes on.
	call	clock
	jmp	worked

; Interrupts come in only while the CPU is halted or burning: nothing in a register is at stake then,
; and a tick between a look at the clock and the halt is not slept over.
idle:
	sti
	hlt
	cli
	; A new phase?
	cmp	dword [di + phase], 0
	jne	restart
	; Most likely a slice is over.
	mov	cx, [PAYLOAD(SLICE)]
	call	clock
	xor	cx, cx
	jmp	worked

; Begins one slice, of the next phase if this one is over.
begin_slice:
	pusha
.again:
	sub	word [di + left], 1
	jnc	.earn
	dec	byte [di + index]
	jns	.take
	dec	dword [PAYLOAD(PASSES)]
.over:
	jz	stop
	mov	al, [PAYLOAD(LAST)]
	mov	[di + index], al
.take:
	; AL: bit 7: its duration counts in units of 256 slices; the rest: load. AH: duration.
	mov	bx, [di + index]
	add	bx, bx
	mov	ax, [PAYLOAD(PHASES) + bx]
	xor	cx, cx
	xchg	cl, ah
	add	al, al
	jnc	.fine
	xchg	cl, ch
.fine:
	mul	word [PAYLOAD(STEP)]
	mov	[di + burst], ax
	; A linear congruential generator of full period modulo 65,536; its high bits are the better.
	imul	ax, [di + seed], MVM_WAVE_LCG
	inc	ax
	mov	[di + seed], ax
	mul	word [PAYLOAD(JITTER)]
	add	dx, cx
	mov	[di + left], dx
	jmp	.again
.earn:
	mov	eax, [di + burst]
	add	[di + credit], eax
	popa
	ret

; Nothing more to do: no timer, as in `sleep`. One more tick is to come, after 0x3030 clocks.
stop:
	mov	al, PIT_CH0_ONE_SHOT
	out	PIT_CONTROL, al
	; Low byte and high byte; any will do.
	out	PIT_CHANNEL0, al
	out	PIT_CHANNEL0, al
	sti
.asleep:
	hlt
	jmp	.asleep

; Begins the slices that are due. Returns in CX the clocks since the timer was read last (modulo
; 65,536). CX as in `read_timer`. Clobbers AX, BX, DX.
clock:
	call	read_timer
	; Rounding and drift, as below.
	sub	dx, -128
.due:
	test	dh, dh
	jz	timer_read
	sub	dx, [PAYLOAD(SLICE)]
	call	begin_slice
	jmp	.due

; Returns in CX the clocks since the last call, in DX how much later the present slice began than the
; one before (both modulo 65,536). CX: what DX is expected to be; any guess will do. Clobbers AX, BX.
read_timer:
	mov	bx, cx
	add	bx, [di + boundary]
.again:
	mov	dx, bx
	; Both counters at one moment. A hypervisor takes two, and may lose its CPU in between.
	mov	al, PIT_LATCH_0_AND_1
	out	PIT_CONTROL, al
	; Low byte, then high byte, of each. They count down.
	in	al, PIT_CHANNEL0
	mov	bl, al
	in	al, PIT_CHANNEL0
	mov	bh, al
	in	al, PIT_CHANNEL1
	mov	cl, al
	in	al, PIT_CHANNEL1
	mov	ch, al
	; The difference is when the slice began (plus a constant): it grows by a slice with each.
	sub	bx, cx
	; So it is believed if it is as expected, else if the next reading confirms it.
	sub	dx, bx
	add	dx, READINGS_DIFFER
	cmp	dx, 2 * READINGS_DIFFER
	ja	.again
	mov	dx, bx
	xchg	bx, [di + boundary]
	sub	dx, bx
	xchg	cx, [di + last_count]
	sub	cx, [di + last_count]
timer_read:
	ret

; IRQ 4: one byte; without a FIFO every further one raises the line anew.
on_com1:
	; Reading lowers the line and lets the next one in.
	mov	dx, UART_DATA
	in	al, dx
	call	take_byte
; IRQ 0, and spurious IRQs: the interrupt itself is the point.
on_tick:
	pic_eoi
	iret

; Follows the request with AL; at its end answers it. Clobbers AX, BX, DX, SI.
take_byte:
	mov	bx, [di + matched]
	cmp	al, ' '
	jb	.end
	cmp	al, [ping + bx]
	je	.same
	mov	bl, 0x7F
.same:
	inc	bx
	mov	[di + matched], bl
.done:
	ret
.end:
	mov	[di + matched], bh
	test	bl, bl
	jz	.done
	mov	si, pong
	cmp	bl, 4
	je	uart_print
	mov	si, unknown
	; and on into uart_print, which returns to the handler

; Sends the text at SI up to its line feed. Clobbers AL, DX, SI.
uart_print:
	mov	dx, UART_LSR
.busy:
	; A byte written before the last one left would overwrite it.
	in	al, dx
	test	al, UART_LSR_CAN_SEND
	jz	.busy
	; The byte itself.
	mov	dl, UART_DATA & 0xFF
	outsb
	cmp	byte [si - 1], 10
	jne	uart_print
	ret

%macro port 2
	db	%1 & 0xFF, %2
%endmacro

set_up:
	; 115,200 baud, 8N1: the divisor is behind the data and IER ports while DLAB is set.
	port	UART_LCR, UART_LCR_DLAB
	port	UART_DATA, 1
	port	UART_IER, 0
	port	UART_LCR, UART_LCR_8N1
	; No FIFO, so that each byte is an interrupt of its own.
	port	UART_FCR, UART_FCR_OFF
	; The interrupt reaches the PIC only through OUT2.
	port	UART_MCR, UART_MCR_ON
	; The timer and COM1. The slave's way in, IRQ 2, is shut.
	port	PIC_MASTER_MASK, PIC_OPEN
	; Received bytes interrupt; switched on after all else, so that an early one makes its edge.
	port	UART_IER, UART_IER_RECEIVED
	; Channel 1 counts freely: a count of 0 means 65,536.
	port	PIT_CONTROL, PIT_CH1_PERIODIC
	port	PIT_CHANNEL1, 0
	port	PIT_CHANNEL1, 0
	; Channel 0 starts with its count.
	port	PIT_CONTROL, PIT_CH0_PERIODIC
set_up_end:
ready:	db	"MVM ", GUEST, " ready", 10
ping:	db	"ping"
pong:	db	"pong", 10
unknown: db	"?", 10

	seal	GUEST, MVM_PARAM_FLAG_SEED | MVM_PARAM_FLAG_PHASE | MVM_PARAM_FLAG_TICKS
