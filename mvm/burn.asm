; SPDX-License-Identifier: GPL-3.0-or-later
;
; burn: computes as long as a request says: a service time that can be set
;
; Contract
;   Sends "MVM burn ready\n" once. Then it answers lines on COM1 (line.inc):
;     ping        pong, at once
;     burn N      "done N" after N iterations, 0 to 4294967295, decimal
;     burn        as the parameter says
;   "?" for anything else. An iteration is one multiplication and one addition, each waiting for the last.
;   While it computes, further requests wait in the UART and with the host. Between requests the CPU is
;   halted, with no timer running.
; Parameters
;   iterations
; Registers
;   Once asleep none holds anything; the handler saves what it uses. DS = ES = SS = 0 throughout.
; Memory map
;   0000:0030  vector of IRQ 4 (COM1), 0000:003C vector of IRQ 7 (spurious)
;   0000:7C00  this image; the stack grows down from here
;   0000:7E00  the request, its length, and the answer's digits

%define GUEST "burn"

%include "quiet.inc"
%include "number.inc"

FACTOR equ 1664525			; of a generator of random numbers (Knuth): any odd one would do

	quiet_start
	line_sleep

answer:
	lodsd
	cmp	eax, "burn"
	jne	answer_unknown
	mov	eax, [param_iterations]
	cmp	bl, 4
	je	.work
	cmp	byte [si], ' '
	jne	answer_unknown
	inc	si
	call	number_parse
	jc	answer_unknown
.work:
	push	eax
	mov	ecx, eax
	jecxz	.done
.step:
	imul	eax, eax, FACTOR
	inc	eax
	dec	ecx
	jnz	.step
.done:
	mov	si, done
	call	uart_print
	pop	eax
	call	number_text
	jmp	uart_print

	line_routines answer
	number_parse_routine
	number_text_routine

done:	db	"done ", 0

%macro guest_payload 0
	param_u32 iterations, 1000000, 0, 4294967295, "iterations", "Work of a request that names none"
	line_texts
%endmacro

	seal	GUEST
