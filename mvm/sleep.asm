; SPDX-License-Identifier: GPL-3.0-or-later
;
; sleep: a guest that costs its host nothing until somebody asks it something.
;
; Contract
;   Sends "MVM sleep ready\n" once, when it can be asked. Then it answers every line on COM1:
;   "ping" with "pong", anything else with "?". A line ends at a line feed, or at a carriage return,
;   which is what the Enter key of a terminal sends. Empty lines are ignored, so both together are
;   one end. A line of MVM_LINE_MAX bytes or more is answered by one "?". Lines may come back to
;   back. No timer runs and no IRQ but COM1's is open: between requests the CPU is halted.
;   Parameters: none but the guest's name is used.
; Registers
;   Once asleep none holds anything; the handler saves what it uses. DS = ES = SS = 0 throughout.
; Memory map
;   0000:0030  vector of IRQ 4 (COM1), 0000:003C vector of IRQ 7 (spurious)
;   0000:7C00  this image; the stack grows down from here
;   0000:7E00  the request being received, then its length

%define GUEST "sleep"

%include "contract.inc"
%include "boot.inc"
%include "pit.inc"
%include "pic.inc"
%include "rtc.inc"
%include "uart.inc"
%include "seal.inc"

line equ MVM_LOAD_ADDRESS + MVM_IMAGE_SIZE
line_length equ line + MVM_LINE_MAX	; one byte, 0..MVM_LINE_MAX

	bits	16
	org	MVM_LOAD_ADDRESS
start:
	boot_entry
	pic_only MVM_COM1_IRQ
	pit_stop
	rtc_quiet
	uart_init
	mov	byte [line_length], 0
	pic_vector MVM_COM1_IRQ, on_com1
	pic_vector PIC_SPURIOUS_IRQ, on_spurious
	uart_listen
	; From here on a request waits in the UART and its IRQ in the PIC, until sti: one that is
	; sent the moment the ready line is seen is answered.
	mov	si, ready
	call	uart_print
	sti
asleep:
	hlt
	jmp	asleep

; IRQ 4. The PIC sees edges only: leaving with the UART's line still up would be the last interrupt
; ever. So it reads until the UART itself says that nothing is pending; what comes later is an edge.
on_com1:
	pusha
.next:
	; Is there a byte?
	mov	dx, UART_LSR
	in	al, dx
	test	al, UART_LSR_RECEIVED
	jz	.drained
	; Reading it also lets the next one in.
	mov	dx, UART_DATA
	in	al, dx
	call	take_byte
	jmp	.next
.drained:
	; Did one arrive since?
	mov	dx, UART_IIR
	in	al, dx
	test	al, UART_IIR_NONE
	jz	.next
	pic_eoi
	popa
on_spurious:
	; IRQ 7 with nothing in service wants no end-of-interrupt.
	iret

; Adds AL to the request; at its end answers it. Clobbers AX, BX, DX, SI.
take_byte:
	xor	bx, bx
	mov	bl, [line_length]
	cmp	al, 10
	je	.end
	cmp	al, 13
	je	.end
	; A line that is too long stays at MVM_LINE_MAX, where it matches no request.
	cmp	bl, MVM_LINE_MAX
	jae	.done
	mov	[line + bx], al
	inc	byte [line_length]
.done:
	ret
.end:
	mov	byte [line_length], 0
	test	bl, bl
	jz	.done
	mov	si, unknown
	cmp	bl, 4
	jne	uart_print
	cmp	dword [line], "ping"
	jne	uart_print
	mov	si, pong
	; and on into uart_print, which returns to the handler

	uart_print_routine

ready:	db	"MVM ", GUEST, " ready", 10, 0
pong:	db	"pong", 10, 0
unknown: db	"?", 10, 0

	seal	GUEST
