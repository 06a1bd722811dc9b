; SPDX-License-Identifier: GPL-3.0-or-later
;
; sleep: costs its host nothing until somebody asks it something
;
; Contract
;   Sends "MVM sleep ready\n" once, when it can be asked. Then it answers every line on COM1:
;   "ping" with "pong", anything else with "?" (line.inc says what a line is). Lines may come back to
;   back. No timer runs and no IRQ but COM1's is open: between requests the CPU is halted.
;   Parameters: none but the guest's name is used.
; Registers
;   Once asleep none holds anything; the handler saves what it uses. DS = ES = SS = 0 throughout.
; Memory map
;   0000:0030  vector of IRQ 4 (COM1), 0000:003C vector of IRQ 7 (spurious)
;   0000:7C00  this image; the stack grows down from here
;   0000:7E00  the request being received, then its length

%define GUEST "sleep"

%include "quiet.inc"

	quiet_start
	line_sleep

	line_routines answer_unknown
	line_texts

	seal	GUEST
