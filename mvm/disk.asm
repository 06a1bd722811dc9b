; SPDX-License-Identifier: GPL-3.0-or-later
;
; disk: reads or writes sectors of an ATA disk, some at every tick
;
; Contract
;   Looks for a disk at the primary ATA channel, the slave first (a BIOS boots from the master), and
;   says "no disk\n" if there is none; then "MVM disk ready\n". 18.2 times a second it then reads or
;   writes sectors, each by a command of its own, at places by chance, but never the first sector. It
;   answers "ping" on COM1 with "pong", anything else with "?" (line.inc). Between ticks and requests,
;   and while the disk works, the CPU is halted. What the disk refuses counts as done.
; Parameters
;   per_tick, write, sectors; the seed chooses the places, and moves on in the parameter block.
; Registers
;   BP = sectors that are due: for good. DS = ES = SS = 0 throughout.
; Memory map
;   0000:0020  vectors of IRQ 0 (PIT), IRQ 4 (COM1), IRQ 7 (spurious); 0000:01D8 IRQ 14 (ATA)
;   0000:7C00  this image; the stack grows down from here
;   0000:7E00  the request, its length, and which disk it is
;   0000:8000  a sector
;@ needs disk

%define GUEST "disk"
%define GUEST_TICKS

%include "quiet.inc"

PIT_IRQ equ 0
SLAVE_IRQ equ 2
ATA_IRQ equ 14
ATA_DATA equ 0x1F0
ATA_COUNT equ 0x1F2			; then: the place, 3 bytes; drive; command
ATA_DRIVE equ 0x1F6			; bits 0-3: highest bits of the place; 4: slave; 6: counts sectors
ATA_COMMAND equ 0x1F7			; read: status
ATA_MASTER equ 0xE0
ATA_SLAVE equ 0xF0
ATA_STATE equ 0xC0			; status: 7 busy, 6 ready; 0xFF where there is no controller
ATA_READY equ 0x40
ATA_ERROR equ 0x01
ATA_READ equ 0x20
ATA_WRITE_BIT equ 4			; the command to write is 0x30
SECTOR_WORDS equ 256
FACTOR equ 1664525			; random numbers: X * FACTOR + INCREMENT (Knuth)
INCREMENT equ 1013904223

buffer equ 0x8000
drive equ line_flag

	quiet_start PIT_IRQ, SLAVE_IRQ
	; Behind the slave controller only the disk.
	mov	al, ~(1 << (ATA_IRQ - 8)) & 0xFF
	out	PIC_SLAVE_MASK, al
	pic_vector PIT_IRQ, on_tick
	mov	dword [(MVM_VECTOR_SLAVE + ATA_IRQ - 8) * 4], on_ata
	mov	al, ATA_SLAVE
.look:
	mov	[drive], al
	mov	dx, ATA_DRIVE
	out	dx, al
	inc	dx
	in	al, dx
	and	al, ATA_STATE
	cmp	al, ATA_READY
	je	.found
	mov	al, ATA_MASTER
	cmp	[drive], al
	jne	.look
	mov	si, no_disk
	call	uart_print
.found:
	xor	bp, bp
	pit_tick_18hz
	line_begin
.next:
	test	bp, bp
	jz	.wait
	dec	bp
	call	transfer
	jmp	.next
.wait:
	; A tick between the test and this is made up for at the next one: BP adds up.
	hlt
	jmp	.next

; Reads or writes a sector. Clobbers EAX, EBX, CX, EDX, SI, DI.
transfer:
	imul	eax, [param_seed], FACTOR
	add	eax, INCREMENT
	mov	[param_seed], eax
	mul	dword [param_sectors]
	inc	edx
	mov	ebx, edx
	mov	dx, ATA_COUNT
	mov	al, 1
	out	dx, al
	; The place, low byte first.
	mov	cx, 3
.place:
	inc	dx
	mov	al, bl
	out	dx, al
	shr	ebx, 8
	loop	.place
	inc	dx			; ATA_DRIVE
	mov	al, [drive]
	or	al, bl
	out	dx, al
	inc	dx			; ATA_COMMAND
	mov	al, [param_write]
	shl	al, ATA_WRITE_BIT
	add	al, ATA_READ
	out	dx, al
	call	await
	test	al, ATA_ERROR
	jz	.data
	ret
.data:
	mov	dx, ATA_DATA
	mov	ch, SECTOR_WORDS >> 8	; CL is 0 after the loop
	mov	di, buffer
	mov	si, di
	cmp	byte [param_write], cl
	je	.read
	rep	outsw
	jmp	await
.read:
	rep	insw
	ret

; IRQ 14: it woke whom it had to. Reading the status took the request back.
on_ata:
	push	ax
	mov	al, PIC_EOI
	out	PIC_SLAVE, al
	out	PIC_MASTER, al
	pop	ax
	iret

	line_routines answer_unknown

no_disk: db	"no disk", 10, 0

%macro guest_payload 0
	param_u32 sectors, 2000, 1, 268000000, "sectors", "Places to choose from, beginning with sector 1"
	param_u16 per_tick, 1, 1, 10000, "sectors", "Sectors at each of 18.2 ticks a second"
	param_u8 write, 1, 0, 1, "", "1: write, 0: read"
	line_texts
; Sleeps until the disk is not busy any more: its status -> AL. Clobbers DX.
await:
	mov	dx, ATA_COMMAND
.again:
	; Nothing may come between the look and the sleep.
	cli
	in	al, dx
	test	al, al
	jns	.done
	sti
	hlt
	jmp	.again
.done:
	sti
	ret

; IRQ 0: more work for the loop above.
on_tick:
	push	ax
	add	bp, [param_per_tick]
	pic_eoi
	pop	ax
	iret
%endmacro

	seal	GUEST, MVM_PARAM_FLAG_SEED | MVM_PARAM_FLAG_TICKS
