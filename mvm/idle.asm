; SPDX-License-Identifier: GPL-3.0-or-later
;
; idle: does nothing but take the timer's interrupt, 18.2 times a second
;
; That is what an operating system's idle loop on a PIT costs. Measured beside `sleep` it is the timer's price.
;
; Contract
;   Sends "MVM idle ready\n" once, when the timer ticks. Ignores all input. Between ticks the CPU is
;   halted. Parameters: none but the guest's name is used.
; Registers
;   Once idle none holds anything; the handler saves AX. DS = ES = SS = 0 throughout.
; Memory map
;   0000:0020  vector of IRQ 0 (PIT), 0000:003C vector of IRQ 7 (spurious)
;   0000:7C00  this image; the stack grows down from here

%define GUEST "idle"

%include "contract.inc"
%include "boot.inc"
%include "pit.inc"
%include "pic.inc"
%include "rtc.inc"
%include "uart.inc"
%include "seal.inc"

PIT_IRQ equ 0

	bits	16
	org	MVM_LOAD_ADDRESS
start:
	boot_entry
	pic_only PIT_IRQ
	rtc_quiet
	uart_init
	pic_vector PIT_IRQ, on_tick
	pic_vector PIC_SPURIOUS_IRQ, on_spurious
	pit_tick_18hz
	mov	si, ready
	call	uart_print
	sti
idle:
	hlt
	jmp	idle

; IRQ 0: nothing to count, the interrupt is the point.
on_tick:
	push	ax
	pic_eoi
	pop	ax
on_spurious:
	; IRQ 7 with nothing in service wants no end-of-interrupt.
	iret

	uart_print_routine

ready:	db	"MVM ", GUEST, " ready", 10, 0

	seal	GUEST, MVM_PARAM_FLAG_SILENT | MVM_PARAM_FLAG_TICKS
