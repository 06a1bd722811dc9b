; SPDX-License-Identifier: GPL-3.0-or-later
;
; net: sends Ethernet frames, some at every tick
;
; Contract
;   Looks for an NE2000 card at port 0x300, and says "no card\n" if there is none; then
;   "MVM net ready\n". 18.2 times a second it then sends frames. It answers "ping" on COM1 with "pong",
;   anything else with "?" (line.inc). Between ticks and requests the CPU is halted. It receives nothing.
; Frames
;   To all stations, from 52:54 and the four bytes of the seed, of type 0x88B5 (for experiments), filled
;   with what the card's memory holds: zeros.
; Parameters
;   per_tick, length; the seed is the sender's address.
; Registers
;   BP = frames that are due: for good. DS = ES = SS = 0 throughout.
; Memory map
;   0000:0020  vectors of IRQ 0 (PIT), IRQ 4 (COM1), IRQ 7 (spurious)
;   0000:7C00  this image; the stack grows down from here
;   0000:7E00  the request, its length, and the frame's header
;@ needs net

%define GUEST "net"
%define GUEST_TICKS

%include "quiet.inc"

PIT_IRQ equ 0
NE_COMMAND equ 0x300
NE_SEND_PAGE equ NE_COMMAND + 4
NE_SEND_SIZE equ NE_COMMAND + 5		; low byte, then high byte
NE_STATE equ NE_COMMAND + 7
NE_PLACE equ NE_COMMAND + 8		; in the card's memory, low byte, high byte; then the count
NE_RECEIVE equ NE_COMMAND + 12
NE_LOOP equ NE_COMMAND + 13
NE_DATA_SIZE equ NE_COMMAND + 14
NE_INTERRUPTS equ NE_COMMAND + 15
NE_DATA equ NE_COMMAND + 16
NE_STOP equ 0x21			; register page 0, no transfer
NE_WRITE equ 0x12			; go, and take bytes for the card's memory
NE_SEND equ 0x26			; go, and send; reads as bit 2 set until that is done
NE_SENDING equ 0x04
NE_BYTES equ 0x48			; bytes one by one, not words
NE_MONITOR equ 0x20			; keep nothing that comes
NE_PAGE equ 0x40			; where the card's memory begins, in 256 bytes
ETHER_TYPE equ 0xB588			; 0x88B5, low byte last
HEADER_SIZE equ 14

header equ line_end

	quiet_start PIT_IRQ
	pic_vector PIT_IRQ, on_tick
	; A port where nothing is reads as 0xFF.
	mov	dx, NE_COMMAND
	mov	al, NE_STOP
	out	dx, al
	in	al, dx
	inc	al
	jnz	.found
	mov	si, no_card
	call	uart_print
	pit_stop
	jmp	.ready
.found:
	; What the card needs before it is started, register and value.
	mov	si, settings
	mov	cx, SETTINGS
	mov	dx, NE_COMMAND
.set:
	lodsw
	mov	dl, al
	mov	al, ah
	out	dx, al
	loop	.set
	pit_tick_18hz
.ready:
	xor	bp, bp
	line_begin
.next:
	test	bp, bp
	jz	.wait
	dec	bp
	call	send
	jmp	.next
.wait:
	; A tick between the test and this is made up for at the next one: BP adds up.
	hlt
	jmp	.next

; Sends one frame. The header is written each time: a copied guest gets its seed later. Clobbers EAX, CX,
; DX, SI, DI.
send:
	mov	di, header
	mov	si, di
	mov	ax, 0xFFFF
	stosw
	stosw
	stosw
	mov	ax, 0x5452
	stosw
	mov	eax, [param_seed]
	stosd
	mov	ax, ETHER_TYPE
	stosw
	mov	dx, NE_PLACE
	xor	al, al
	out	dx, al
	inc	dx
	mov	al, NE_PAGE
	out	dx, al
	inc	dx
	mov	al, HEADER_SIZE
	out	dx, al
	inc	dx
	xor	al, al
	out	dx, al
	mov	dl, NE_COMMAND & 0xFF
	mov	al, NE_WRITE
	out	dx, al
	mov	dl, NE_DATA & 0xFF
	mov	cx, HEADER_SIZE
	rep	outsb
	mov	dl, NE_SEND_SIZE & 0xFF
	mov	ax, [param_length]
	out	dx, al
	inc	dx
	mov	al, ah
	out	dx, al
	mov	dl, NE_COMMAND & 0xFF
	mov	al, NE_SEND
	out	dx, al
.sending:
	in	al, dx
	test	al, NE_SENDING
	jnz	.sending
	ret

	line_routines answer_unknown

settings:
	db	NE_DATA_SIZE & 0xFF, NE_BYTES
	db	NE_RECEIVE & 0xFF, NE_MONITOR
	db	NE_LOOP & 0xFF, 0		; no loop: frames go out
	db	NE_INTERRUPTS & 0xFF, 0		; none
	db	NE_STATE & 0xFF, 0xFF		; forget all that was
	db	NE_SEND_PAGE & 0xFF, NE_PAGE
SETTINGS equ ($ - settings) / 2
no_card: db	"no card", 10, 0

%macro guest_payload 0
	param_u16 per_tick, 1, 1, 10000, "frames", "Frames at each of 18.2 ticks a second"
	param_u16 length, 60, 60, 1514, "bytes", "Length of a frame, without its checksum"
	line_texts
; IRQ 0: more work for the loop above.
on_tick:
	push	ax
	add	bp, [param_per_tick]
	pic_eoi
	pop	ax
	iret
%endmacro

	seal	GUEST, MVM_PARAM_FLAG_SEED | MVM_PARAM_FLAG_TICKS
