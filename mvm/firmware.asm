; SPDX-License-Identifier: GPL-3.0-or-later
;
; The toolkit's own firmware: a 64 KiB ROM that starts one boot sector and is gone. A BIOS takes
; seconds of emulated instructions and leaves timers running; this takes some hundred instructions
; and leaves nothing but interrupt controllers that deliver.
;
; Contract
;   The host puts the boot sector into the ROM at MVM_FIRMWARE_SLOT; no assembler is needed for it.
;   The sector is entered as by a BIOS: at 0000:7C00 in real mode, DL = 0x80, with both PICs at their
;   usual vectors, every IRQ masked, and interrupts off. There are no BIOS services: an exception or
;   an int instruction halts the machine, a spurious IRQ is ignored.
;   A ROM whose slot holds no boot sector says so on COM1 and halts.
; Machines
;   QEMU isapc, pc and microvm, TCG and KVM, from 1 MiB of memory. Needs a 386 or later.
; Registers
;   DS = F000 (the ROM) and ES = 0 from `start` to the jump, but for the trip through protected mode.
; Memory map
;   0000:0000  vectors, all 256
;   0000:7C00  the boot sector; a stack below it while the firmware runs
;   F000:0000  this ROM. At reset it is also just below 4 GiB, where the CPU starts.

%include "contract.inc"
%include "pic.inc"
%include "uart.inc"

ROM_SEGMENT equ 0xF000
ROM_ADDRESS equ 0xF0000

PIC_ICW1 equ 0x11			; edge triggered, cascaded, ICW4 follows
PIC_ICW3_MASTER equ 0x04		; a slave at IRQ 2
PIC_ICW3_SLAVE equ 0x02			; its number at the master
PIC_ICW4 equ 0x01			; 8086 mode, end of interrupt by command

EFLAGS_ID equ 1 << 21			; can be changed where there is a CPUID instruction
CPUID_EDX_APIC equ 1 << 9
CR0_PE equ 1
APIC_SVR equ 0xFEE000F0			; spurious vector register
APIC_SVR_ON equ 0x1FF			; bit 8: enabled; spurious interrupts at vector 0xFF
APIC_LINT0 equ 0xFEE00350
APIC_LINT0_EXTINT equ 0x700		; unmasked, delivery mode 7: the PIC supplies the vector

BOOT_DRIVE equ 0x80			; what a BIOS calls its first hard disk

	bits	16
	org	0
	times MVM_FIRMWARE_SLOT - ($ - $$) db 0
slot:
	times MVM_IMAGE_SIZE db 0

start:
	cli
	cld
	mov	ax, ROM_SEGMENT
	mov	ds, ax
	xor	ax, ax
	mov	es, ax
	mov	ss, ax
	mov	sp, MVM_LOAD_ADDRESS
	cmp	word [slot + MVM_SIGNATURE_OFFSET], MVM_SIGNATURE
	jne	no_sector
	call	set_vectors
	call	set_pics
	call	set_apic
	; The boot sector to where every BIOS puts it.
	mov	si, slot
	mov	di, MVM_LOAD_ADDRESS
	mov	cx, MVM_IMAGE_SIZE / 2
	rep movsw
	mov	ds, cx
	mov	dl, BOOT_DRIVE
	jmp	0:MVM_LOAD_ADDRESS

no_sector:
	mov	si, no_sector_text
	call	uart_print
halt:
	; With interrupts off nothing ends this but a reset: an accident costs no CPU time.
	cli
	hlt
	jmp	halt

ignore:
	iret

; All vectors halt, save those of spurious IRQs. Clobbers AX, CX, DI.
set_vectors:
	xor	di, di
	mov	cx, 256
.next:
	mov	ax, halt
	stosw
	mov	ax, ROM_SEGMENT
	stosw
	loop	.next
	mov	word [es:(MVM_VECTOR_MASTER + PIC_SPURIOUS_IRQ) * 4], ignore
	mov	word [es:(MVM_VECTOR_SLAVE + PIC_SPURIOUS_IRQ) * 4], ignore
	mov	word [es:(APIC_SVR_ON & 0xFF) * 4], ignore
	ret

; Both PICs: vectors, cascade, everything masked. Clobbers AL.
set_pics:
	; ICW1 starts the sequence, and forgets requests from before.
	mov	al, PIC_ICW1
	out	PIC_MASTER, al
	out	PIC_SLAVE, al
	; ICW2: the first vector of each.
	mov	al, MVM_VECTOR_MASTER
	out	PIC_MASTER_MASK, al
	mov	al, MVM_VECTOR_SLAVE
	out	PIC_SLAVE_MASK, al
	; ICW3: how the two are wired, the same in every PC.
	mov	al, PIC_ICW3_MASTER
	out	PIC_MASTER_MASK, al
	mov	al, PIC_ICW3_SLAVE
	out	PIC_SLAVE_MASK, al
	; ICW4.
	mov	al, PIC_ICW4
	out	PIC_MASTER_MASK, al
	out	PIC_SLAVE_MASK, al
	; The sequence is over: these ports are the masks now. The guest opens what it wants.
	mov	al, 0xFF
	out	PIC_MASTER_MASK, al
	out	PIC_SLAVE_MASK, al
	ret

; Lets the PIC's interrupts through the local APIC, which masks them after reset, where the CPU has
; one (isapc has none). Clobbers EAX, EBX, ECX, EDX.
set_apic:
	; CPUID itself may be missing: then the ID flag cannot be changed.
	pushfd
	pop	eax
	mov	ecx, eax
	xor	eax, EFLAGS_ID
	push	eax
	popfd
	pushfd
	pop	eax
	push	ecx
	popfd
	xor	eax, ecx
	test	eax, EFLAGS_ID
	jz	.done
	; Leaf 1 may be missing too, as in QEMU's 486. Then leaf 0, the vendor's name, would be
	; returned, in which bit 9 happens to be set.
	xor	eax, eax
	cpuid
	test	eax, eax
	jz	.done
	mov	eax, 1
	cpuid
	test	edx, CPUID_EDX_APIC
	jz	.done
	; The APIC is far above what real mode reaches, so this part runs in protected mode.
	lgdt	[gdt_pointer]
	mov	eax, cr0
	or	al, CR0_PE
	mov	cr0, eax
	jmp	GDT_CODE:.protected
.protected:
	mov	ax, GDT_FLAT
	mov	ds, ax
	; Disabled, the APIC keeps LINT0 masked: enable it first.
	mov	dword [dword APIC_SVR], APIC_SVR_ON
	mov	dword [dword APIC_LINT0], APIC_LINT0_EXTINT
	; Real mode keeps the limits loaded last: they have to be its own 64 KiB again.
	mov	ax, GDT_DATA
	mov	ds, ax
	mov	eax, cr0
	and	al, ~CR0_PE & 0xFF
	mov	cr0, eax
	jmp	ROM_SEGMENT:.real
.real:
	mov	ax, ROM_SEGMENT
	mov	ds, ax
.done:
	ret

	uart_print_routine

no_sector_text:
	db	"MVM firmware: there is no boot sector in its slot", 10, 0

; Limit 15-0, base 15-0, base 23-16, access, flags and limit 19-16, base 31-24. "Accessed" is set
; beforehand, for the CPU would otherwise write it into the ROM.
	align	8
gdt:
	dq	0
GDT_CODE equ 0x08			; this ROM as 16-bit code
	dw	0xFFFF, ROM_ADDRESS & 0xFFFF
	db	ROM_ADDRESS >> 16, 0x9B, 0x00, 0x00
GDT_DATA equ 0x10			; 64 KiB from 0, as a real-mode segment
	dw	0xFFFF, 0x0000
	db	0x00, 0x93, 0x00, 0x00
GDT_FLAT equ 0x18			; 4 GiB from 0
	dw	0xFFFF, 0x0000
	db	0x00, 0x93, 0xCF, 0x00
gdt_size equ $ - gdt
gdt_pointer:
	dw	gdt_size - 1
	dd	ROM_ADDRESS + (gdt - $$)

	times MVM_FIRMWARE_RESET - ($ - $$) db 0
	; The first jump: it also loads CS, which after reset points just below 4 GiB.
	jmp	ROM_SEGMENT:start
	times MVM_FIRMWARE_SIZE - ($ - $$) db 0
