; SPDX-License-Identifier: Apache-2.0
; Entry stubs of the guest's 256 vectors, and the switch into code that may fault (trap_catch) or that
; runs in ring 3 (trap_user).
%include "selectors.inc"

NO_FAULT equ 0x100
VEC_USER_EXIT equ 0x81

extern trap_dispatch
global trap_stubs, trap_catch, trap_catch_return, trap_catch_top, trap_user_enter, trap_user_flags

section .text
bits 64
; Vectors 8, 10 to 14, 17 and 21 push an error code. SDM vol. 3, 6.13.
align 16
trap_stubs:
%assign v 0
%rep 256
	align 16
%if v == 8 || (v >= 10 && v <= 14) || v == 17 || v == 21
%else
	push 0
%endif
	push v
	jmp trap_common
%assign v v + 1
%endrep

trap_common:
	push r15
	push r14
	push r13
	push r12
	push r11
	push r10
	push r9
	push r8
	push rdi
	push rsi
	push rbp
	push rbx
	push rdx
	push rcx
	push rax
	mov rdi, rsp
	mov rbp, rsp
	and rsp, -16
	cld
	call trap_dispatch
	mov rsp, rbp
	pop rax
	pop rcx
	pop rdx
	pop rbx
	pop rbp
	pop rsi
	pop rdi
	pop r8
	pop r9
	pop r10
	pop r11
	pop r12
	pop r13
	pop r14
	pop r15
	add rsp, 16
	iretq

; What trap_catch and trap_user_enter leave on the stack; trap_dispatch returns to trap_catch_return.
%macro CATCH_BEGIN 0
	push rbx
	push rbp
	push r12
	push r13
	push r14
	push r15
	pushfq
	push qword [trap_catch_top]
	mov [trap_catch_top], rsp
	sub rsp, 8
%endmacro

; u32 trap_catch(void (*fn)(void *), void *arg)
trap_catch:
	CATCH_BEGIN
	mov rax, rdi
	mov rdi, rsi
	call rax
	mov eax, NO_FAULT
trap_catch_return:
	mov rsp, [trap_catch_top]
	pop qword [trap_catch_top]
	popfq
	pop r15
	pop r14
	pop r13
	pop r12
	pop rbp
	pop rbx
	ret

; u32 trap_user_enter(void (*fn)(void *), void *arg, void *stack_top): fn returns to user_exit
trap_user_enter:
	CATCH_BEGIN
	sub rdx, 8
	mov qword [rdx], user_exit
	mov rax, rdi
	mov rdi, rsi
	push SEL_USERDATA
	push rdx
	push qword [trap_user_flags]
	push SEL_USER64
	push rax
	iretq
user_exit:
	int VEC_USER_EXIT

section .data
align 8
trap_user_flags: dq 2

section .bss
alignb 8
trap_catch_top: resq 1
