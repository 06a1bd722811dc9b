; SPDX-License-Identifier: GPL-3.0-or-later
;
; touch: makes pages of its memory dirty, all at its start and then some at every tick
;
; Contract
;   Writes to each of its pages once, then sends "MVM touch ready\n". Then, 18.2 times a second, it
;   writes to the next ones, round and round. It answers lines on COM1 (line.inc): "ping" with "pong",
;   "pages" with the number of its pages: those asked for, or as many as there are; anything else with
;   "?". Between ticks and requests the CPU is halted.
; Parameters
;   pages, per_tick: with 0 per tick the timer ends after its first one. The seed goes into what is
;   written, so that pages of different VMs differ and cannot be merged.
; Pages
;   4 KiB each: the 143 from 64 KiB to 636 KiB, then those from 1 MiB up. What does not keep what was
;   written to it is not memory, and the page before it was the last. Video memory and ROMs below 1 MiB,
;   and what a BIOS keeps for itself at 636 KiB, are left alone. They are reached with 32-bit offsets:
;   FS keeps a limit of 4 GiB that was loaded in protected mode.
; Registers
;   FS = 0 with that limit, SI = page written last, in units of 4 KiB; BP = how many there are, DI = how
;   many are left in this round, CX = how many are due: for good. DS = ES = SS = 0 throughout.
; Memory map
;   0000:0020  vectors of IRQ 0 (PIT), IRQ 4 (COM1), IRQ 7 (spurious)
;   0000:7C00  this image; the stack grows down from here
;   0000:7E00  the request, its length, and the answer's digits

%define GUEST "touch"
%define GUEST_TICKS

%include "quiet.inc"
%include "number.inc"

PIT_IRQ equ 0
A20_PORT equ 0x92
A20_ON equ 2
PAGE_SHIFT equ 12
FIRST_PAGE equ 0x10
HOLE equ 0x9F				; here the low pages end
HIGH_PAGE equ 0x100			; and here they go on

	quiet_start PIT_IRQ
	; The 21st address line, which a BIOS may hold down: without it 1 MiB would be address 0.
	in	al, A20_PORT
	or	al, A20_ON
	out	A20_PORT, al
	; FS gets the limit in protected mode, and its base in real mode.
	lgdt	[gdt_pointer]
	mov	eax, cr0
	inc	ax			; bit 0, protection
	mov	cr0, eax
	mov	bx, GDT_FLAT
	mov	fs, bx
	dec	ax
	mov	cr0, eax
	xor	bp, bp
	mov	fs, bp
	mov	si, FIRST_PAGE - 1
.fill:
	call	write_page
	jne	.filled
	inc	bp
	cmp	bp, [param_pages]
	jb	.fill
.filled:
	pic_vector PIT_IRQ, on_tick
	; Mode 0 counts down once, mode 2 for good. A count of 0 means 65,536: 55 ms.
	mov	al, PIT_CH0_PERIODIC
	cmp	word [param_per_tick], 0
	jne	.mode
	mov	al, PIT_CH0_ONE_SHOT
.mode:
	out	PIT_CONTROL, al
	xor	al, al
	out	PIT_CHANNEL0, al
	out	PIT_CHANNEL0, al
	line_begin
	xor	cx, cx
.round:
	mov	si, FIRST_PAGE - 1
	mov	di, bp
.next:
	jcxz	.wait
	dec	cx
	call	write_page
	dec	di
	jnz	.next
	jmp	.round
.wait:
	; A tick between the test and this is made up for at the next one: CX adds up.
	hlt
	jmp	.next

; IRQ 0: more work for the loop above.
on_tick:
	push	ax
	add	cx, [param_per_tick]
	pic_eoi
	pop	ax
	iret

answer:
	cmp	bl, 5
	jne	answer_unknown
	cmp	dword [si], "page"
	jne	answer_unknown
	cmp	byte [si + 4], 's'
	jne	answer_unknown
	movzx	eax, bp
	call	number_text
	jmp	uart_print

	line_routines answer
	number_text_routine

; The null descriptor is never read: its bytes hold the pointer to the table.
gdt:
gdt_pointer: dw	GDT_SIZE - 1
	dd	gdt
	dw	0
GDT_FLAT equ $ - gdt
	; base 0, limit 4 GiB, data, writable
	dw	0xFFFF, 0, 0x9200, 0x00CF
GDT_SIZE equ $ - gdt

%macro guest_payload 0
	param_u16 pages, 64, 1, 65000, "pages", "Pages of 4 KiB that it writes to, if the VM has so many"
	param_u16 per_tick, 0, 0, 65535, "pages", "Pages written to at each of 18.2 ticks a second"
	line_texts
; The next page; Z when it kept what was written. Clobbers EAX, EDX.
write_page:
	inc	si
	cmp	si, HOLE
	jne	.at
	mov	si, HIGH_PAGE
.at:
	movzx	edx, si
	shl	edx, PAGE_SHIFT
	mov	eax, [param_seed]
	add	eax, edx
	mov	[fs:edx], eax
	cmp	[fs:edx], eax
	ret
%endmacro

	seal	GUEST, MVM_PARAM_FLAG_SEED | MVM_PARAM_FLAG_TICKS
