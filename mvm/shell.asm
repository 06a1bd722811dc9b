; SPDX-License-Identifier: GPL-3.0-or-later
;
; shell: a few commands to look around in a guest, and to try a host's tools on
;
; Contract
;   Sends "MVM shell ready\n" once. Then it answers lines on COM1 (line.inc):
;     ping        pong
;     help        the commands there are
;     seed        its seed, decimal
;     phase       its phase in ms, decimal
;     peek A      the byte at address A of segment 0, decimal; A in hexadecimal, up to FFFF
;     poke A B    writes the low byte of B (hexadecimal) there, and answers it
;   "?" for anything else, also for an address that is none. Between requests the CPU is
;   halted, with no timer running. poke spares nobody: the guest can be made to fail.
; Parameters
;   seed and phase are only told.
; Registers
;   Once asleep none holds anything; the handler saves what it uses. DS = ES = SS = 0 throughout.
; Memory map
;   0000:0030  vector of IRQ 4 (COM1), 0000:003C vector of IRQ 7 (spurious)
;   0000:7C00  this image; the stack grows down from here
;   0000:7E00  the request, its length, and the answer's digits

%define GUEST "shell"

%include "quiet.inc"
%include "number.inc"

	quiet_start
	line_sleep

; The request at SI, BX bytes.
answer:
	lodsd
	mov	di, param_phase
	cmp	eax, "phas"
	je	.phase
	mov	di, param_seed
	cmp	eax, "seed"
	je	.whole
	mov	di, help
	cmp	eax, "help"
	je	.whole
	cmp	eax, "peek"
	je	.address
	cmp	eax, "poke"
	jne	hex.unknown
.address:
	lodsb
	call	hex
	mov	di, cx
	cmp	byte [line + 1], 'o'	; of "poke"
	jne	.read
	call	hex
	mov	[di], cl
.read:
	movzx	eax, byte [di]
	jmp	.end
.phase:
	lodsb				; the 'e'
.whole:
	mov	eax, [di]
.end:
	; What is right so far may go on and be something else.
	cmp	byte [si], 0
	jne	hex.unknown
	mov	si, di
	cmp	si, help
	je	.text
	call	number_text
.text:
	jmp	uart_print

; Hexadecimal digits at SI -> CX, up to FFFF; SI is left at the NUL behind them, or behind a blank. What
; is none does not return but answers "?". Clobbers AX.
hex:
	xor	cx, cx
	cmp	byte [si], ' '
	jbe	.bad
.next:
	lodsb
	cmp	al, ' '
	je	.end
	jb	.nul
	sub	al, '0'
	cmp	al, 9
	jbe	.digit
	; 'a' - '0' is 49 and 'A' - '0' is 17: bit 5 tells them apart.
	or	al, 0x20
	sub	al, 'a' - '0'
	cmp	al, 5
	ja	.bad
	add	al, 10
.digit:
	test	ch, 0xF0
	jnz	.bad
	shl	cx, 4
	or	cl, al
	jmp	.next
.bad:
	pop	ax
.unknown:
	jmp	answer_unknown
.nul:
	dec	si
.end:
	ret

	line_routines answer
	number_text_routine

%macro guest_payload 0
help:	db	"ping help seed phase peek poke", 10, 0
	line_texts
%endmacro

	seal	GUEST, MVM_PARAM_FLAG_SEED | MVM_PARAM_FLAG_PHASE
