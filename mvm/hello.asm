; SPDX-License-Identifier: GPL-3.0-or-later
;
; hello: says a text of yours, then sleeps
;
; Contract
;   Sends its text as a line, then "MVM hello ready\n". Then it answers lines on COM1 (line.inc):
;   "ping" with "pong", "hello" with the text, anything else with "?". Between requests the CPU is
;   halted, with no timer running.
; Parameters
;   text
; Registers
;   Once asleep none holds anything; the handler saves what it uses. DS = ES = SS = 0 throughout.
; Memory map
;   0000:0030  vector of IRQ 4 (COM1), 0000:003C vector of IRQ 7 (spurious)
;   0000:7C00  this image; the stack grows down from here
;   0000:7E00  the request being received, then its length

%define GUEST "hello"

%include "quiet.inc"

	quiet_start
	call	say
	line_sleep

answer:
	cmp	bl, 5
	jne	answer_unknown
	cmp	dword [si], "hell"
	jne	answer_unknown
	cmp	byte [si + 4], "o"
	jne	answer_unknown
say:
	mov	si, param_text
	call	uart_print
	mov	si, line_feed
	jmp	uart_print

	line_routines answer
	line_texts
line_feed: db	10, 0

%macro guest_payload 0
	param_text text, "Hello, world!", 69, "What it says"
%endmacro

	seal	GUEST
