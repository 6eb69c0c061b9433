; SPDX-License-Identifier: Apache-2.0
; Ways to end that C cannot express.
bits 64
section .text
global ending_triple_fault, ending_stack_nowhere

empty_idtr:
	dw 0
	dq 0

ending_triple_fault:
	lidt [rel empty_idtr]
	int3
	hlt

; RDI: where RSP goes; an exception has to be delivered there
ending_stack_nowhere:
	mov rsp, rdi
	int3
	hlt
