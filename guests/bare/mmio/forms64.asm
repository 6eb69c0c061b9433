; SPDX-License-Identifier: Apache-2.0
; The forms in 64-bit code, and the harness that gives them their registers (struct state in mmio.h).
bits 64
[warning -prefix-seg] ; ES: is meant, also where it is ignored
%define M rdi
%define SIZE64
%define FORMTEXT .text
%include "forms.inc"

extern form_state, form_code
global forms64, forms64_end, form_call64

section .data
align 8
forms64:
	COMMON_FORMS
	; ---- 64-bit operands and the new registers ----
	FORM ALL, mov [rdi], rax
	FORM ALL, mov rbx, [rdi]
	FORM ALL, mov [rdi], r15w
	FORM ALL, mov [rdi], sil
	FORM ALL, mov r14b, [rdi]
	FORM ALL, mov qword [rdi], -0x7654321
	FORM ALL, movzx r15, byte [rdi]
	FORM ALL, movzx rax, word [rdi]
	FORM ALL, movsx rdx, byte [rdi]
	FORM ALL, movsx r14, word [rdi]
	FORM ALL, movsxd rbx, dword [rdi]
	FORM ALL | MOVBE_, movbe rax, [rdi]
	FORM ALL | MOVBE_, movbe [rdi], r15
	FORM ALL | OPTIONAL, movnti [rdi], rdx
	FORM LOGIC, test [rdi], rdx
	FORM LOGIC, test qword [rdi], -0x70000000
	FORM ALL, xchg [rdi], rdx
	FORM ALL, xchg [rdi], r15
	FORM ALL | EQUAL, cmpxchg [rdi], rdx
	FORM ALL | EQUAL, lock cmpxchg [rdi], r14
	FORM ALL | OPTIONAL, lock xadd [rdi], rdx
	; ---- addressing ----
	FORM ALL, mov eax, [rbp]
	FORM ALL, mov eax, [rbp + 4]
	FORM ALL, mov eax, [r12]
	FORM ALL, mov eax, [r13 - 8]
	FORM ALL, mov [r12 + r8 * 4], edx
	FORM ALL, mov rax, [rdi + r8 * 8]
	FORM ALL, mov [rdi + r8 * 2 - 16], dx
	FORM ALL, mov al, [r8 + rdi + 0x20]
	FORM ALL, mov eax, [r10 + 0x12345678]
	FORM ALL, mov [r10 + 0x12345678], rdx
	FORM ALL, mov eax, [nosplit r11 * 1 + 0x10]
	FORM ALL, mov eax, [edi]
	FORM ALL, mov [edi + r8d * 4], edx
	FORM ALL, add dword [edi + 8], 0x11223344
	FORM ALL, mov eax, [fs:0x40]
	FORM ALL, mov [fs:r8 + 0x40], edx
	FORM ALL, or byte [gs:r8 * 4 + 0x40], 0x18
	FORM ALL, mov eax, [es:rdi]
	; ---- prefixes that change nothing, and that change all ----
	FORM2 ALL, {db 0x66, 0x66, 0x66}, {mov [rdi], edx}
	FORM2 ALL, {db 0x48, 0x66, 0x8b}, {db 0x07} ; REX not last: ignored
	FORM2 ALL, {db 0xf2, 0x89}, {db 0x17}
	FORM2 ALL, {db 0x66, 0x48, 0x89}, {db 0x17}
	FORM2 ALL, {db 0x4d, 0x8b}, {db 0x04, 0x24} ; SIB without index, base R12
	FORM2 ALL | STRING, {db 0x67, 0xf3}, {movsd}
	FORM2 ALL | STRING, {db 0x67}, {stosb}
	FORM2 ALL | STRING, {db 0xf3, 0x66, 0x48}, {db 0xab}
	FORM2 ALL | STRING, {db 0x64}, {lodsd}
	FORM2 ALL | OPTIONAL, {movups [rdi], xmm1}, nop
	FORM2 ALL | OPTIONAL | CX16, {nop}, {cmpxchg16b [r9]}
	[section .data]
forms64_end:

section .text
; Registers from form_state, call [form_code], registers back.
form_call64:
	push rbx
	push rbp
	push r12
	push r13
	push r14
	push r15
	push qword [form_state + 15 * 8]
	popfq
	mov rax, [form_state]
	mov rcx, [form_state + 8]
	mov rdx, [form_state + 2 * 8]
	mov rbx, [form_state + 3 * 8]
	mov rbp, [form_state + 4 * 8]
	mov rsi, [form_state + 5 * 8]
	mov rdi, [form_state + 6 * 8]
	mov r8, [form_state + 7 * 8]
	mov r9, [form_state + 8 * 8]
	mov r10, [form_state + 9 * 8]
	mov r11, [form_state + 10 * 8]
	mov r12, [form_state + 11 * 8]
	mov r13, [form_state + 12 * 8]
	mov r14, [form_state + 13 * 8]
	mov r15, [form_state + 14 * 8]
	call [form_code]
	mov [form_state], rax
	mov [form_state + 8], rcx
	mov [form_state + 2 * 8], rdx
	mov [form_state + 3 * 8], rbx
	mov [form_state + 4 * 8], rbp
	mov [form_state + 5 * 8], rsi
	mov [form_state + 6 * 8], rdi
	mov [form_state + 7 * 8], r8
	mov [form_state + 8 * 8], r9
	mov [form_state + 9 * 8], r10
	mov [form_state + 10 * 8], r11
	mov [form_state + 11 * 8], r12
	mov [form_state + 12 * 8], r13
	mov [form_state + 13 * 8], r14
	mov [form_state + 14 * 8], r15
	pushfq
	pop qword [form_state + 15 * 8]
	push 2
	popfq
	pop r15
	pop r14
	pop r13
	pop r12
	pop rbp
	pop rbx
	ret
