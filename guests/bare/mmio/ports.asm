; SPDX-License-Identifier: Apache-2.0
; String I/O in three code sizes, with address sizes and segments of all kinds. The class says what the C side
; must expect: bits 7:0 operand size, bits 15:8 direction, REP, and which segment.
SIZE1 equ 1
SIZE2 equ 2
SIZE4 equ 4
INPUT equ 0x100
REPEAT equ 0x200
STRING equ 1 << 19

%macro FORM 2+
%defstr FORMNAME %2
	[section .rodata]
%%name:	db FORMNAME, 0
	[section .data]
	dq %%name, %%code
	dd (%1) | STRING, 0
	[section FORMTEXT]
%%code:	%2
	ret
%endmacro

%macro PLAIN_FORMS 0
	FORM SIZE1, outsb
	FORM SIZE2, outsw
	FORM SIZE4, outsd
	FORM SIZE1 | REPEAT, rep outsb
	FORM SIZE2 | REPEAT, rep outsw
	FORM SIZE4 | REPEAT, rep outsd
	FORM SIZE1 | INPUT, insb
	FORM SIZE2 | INPUT, insw
	FORM SIZE4 | INPUT, insd
	FORM SIZE1 | INPUT | REPEAT, rep insb
	FORM SIZE2 | INPUT | REPEAT, rep insw
	FORM SIZE4 | INPUT | REPEAT, rep insd
	FORM SIZE2 | REPEAT, repne outsw
%endmacro

global ports64, ports64_end, ports32, ports32_end, ports16, ports16_end

section .data
align 8
bits 64
%define FORMTEXT .text
ports64:
	PLAIN_FORMS
	FORM SIZE1 | REPEAT, a32 rep outsb
	FORM SIZE4 | INPUT | REPEAT, a32 rep insd
	FORM SIZE4 | REPEAT, db 0x26, 0xf3, 0x6f ; ES is ignored
	FORM SIZE4, db 0x48, 0x6f ; REX.W changes nothing
	[section .data]
ports64_end:
	[section .text]
bits 32
	[section .data]
ports32:
	PLAIN_FORMS
	FORM SIZE2 | REPEAT, es rep outsw
	[section .data]
ports32_end:
%define FORMTEXT .text.forms16
	[section .text.forms16]
bits 16
	[section .data]
ports16:
	PLAIN_FORMS
	[section .data]
ports16_end:
