; SPDX-License-Identifier: Apache-2.0
; Where the IDT (interrupt descriptor table) points: one stub for each vector, which makes the frame
; uniform (struct trap_frame) and calls trap_dispatch().
bits 64
default abs
extern trap_dispatch
global trap_stubs

; Vectors that push an error code (SDM vol. 3, table 6-1): 8, 10 to 14, 17, 21.
%define ERROR_CODES ((1 << 8) | (1 << 10) | (1 << 11) | (1 << 12) | (1 << 13) | (1 << 14) | (1 << 17) | (1 << 21))

section .text
align 16
trap_stubs:
%assign vector 0
%rep 256
align 16
%if vector >= 32 || !((ERROR_CODES >> vector) & 1)
	push	0
%endif
	push	strict dword vector
	jmp	near trap_common
%assign vector vector + 1
%endrep

align 16
trap_common:
	push	rax
	push	rcx
	push	rdx
	push	rbx
	push	rbp
	push	rsi
	push	rdi
	push	r8
	push	r9
	push	r10
	push	r11
	push	r12
	push	r13
	push	r14
	push	r15
	cld
	mov	rdi, rsp
	call	trap_dispatch		; RSP is a multiple of 16: the CPU aligned it before 22 words
	pop	r15
	pop	r14
	pop	r13
	pop	r12
	pop	r11
	pop	r10
	pop	r9
	pop	r8
	pop	rdi
	pop	rsi
	pop	rbp
	pop	rbx
	pop	rdx
	pop	rcx
	pop	rax
	add	rsp, 16
	iretq
