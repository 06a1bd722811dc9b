; SPDX-License-Identifier: GPL-3.0-or-later
;
; serve: answers requests, each by a text of its own, and GET / by HTTP/1.0
;
; Contract
;   Sends "MVM serve ready\n" once. Then it answers lines on COM1 (line.inc):
;     ping        pong
;     GET /       an HTTP/1.0 response with Content-Length; so does "GET / HTTP/1.x"
;     hello, name, help   a line each
;   "?" for anything else, also for other paths. The lines after "GET / HTTP/1.x" are its headers: until
;   an empty line, those that are no request are passed over. The response does not wait for them.
;   Between requests the CPU is halted, with no timer running.
; Parameters
;   None but the guest's name is used.
; Registers
;   Once asleep none holds anything; the handler saves what it uses. DS = ES = SS = 0 throughout.
; Memory map
;   0000:0030  vector of IRQ 4 (COM1), 0000:003C vector of IRQ 7 (spurious)
;   0000:7C00  this image; the stack grows down from here
;   0000:7E00  the request being received, its length; whether headers are passed over

%define GUEST "serve"
%define LINE_EMPTY headers_end
%define LINE_TOO_LONG answer.unknown

%include "quiet.inc"

headers equ line_flag			; one byte: 0, or what ended the line before them

	quiet_start
	line_sleep

; The request at SI, BX bytes and a NUL: looked up among pairs of texts, request and answer.
answer:
	mov	dl, al			; how the line ended
	mov	di, texts
.next:
	lea	cx, [bx + 1]
	mov	si, line
	repe	cmpsb
	mov	si, di
	je	uart_print
	; On behind the two NULs to come; the byte that differed may have been the first.
	dec	di
	xor	ax, ax
	mov	cl, 0xFF		; CH is 0: more than the longest pair
	repne	scasb
	repne	scasb
	cmp	[di], al
	jne	.next
	mov	si, line
	cmp	dword [si], "GET "
	jne	.unknown
	; "GET /", alone or with a version behind a blank
	cmp	byte [si + 4], '/'
	jne	.unknown
	mov	al, [si + 5]
	mov	si, response
	test	al, al
	jz	uart_print
	cmp	al, ' '
	jne	.unknown
	mov	[headers], dl
	jmp	uart_print
.unknown:
	cmp	byte [headers], 0
	je	answer_unknown
	ret

; An empty line, ended by AL. Where lines end by both, only the second of the same makes one.
headers_end:
	cmp	[headers], al
	jne	.done
	mov	[headers], bl		; 0, the line's length
.done:
	ret

	line_routines answer

texts:	db	"hello", 0, "Hello!", 10, 0
	db	"name", 0, "MVM", 10, 0
	db	"help", 0, "ping GET / hello name help", 10, 0
	db	0
	line_texts

%macro guest_payload 0
response: db	"HTTP/1.0 200 OK", 13, 10, "Content-Length: 6", 13, 10, 13, 10, "serve", 10, 0
%endmacro

	seal	GUEST
