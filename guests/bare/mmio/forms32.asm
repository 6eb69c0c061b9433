; SPDX-License-Identifier: Apache-2.0
; The forms in 32-bit code of compatibility mode.
%include "selectors.inc"
bits 32
%define M edi
%define FORMTEXT .text
%include "forms.inc"

extern form_state, form_code
global forms32, forms32_end, form_call32

section .data
align 8
forms32:
	COMMON_FORMS
	FORM ALL, mov eax, [ebp + 4]
	FORM ALL, mov eax, [edi + esi * 1 - 0x11223344]
	FORM ALL, mov al, [gs:0x40]
	FORM ALL, mov [gs:0x44], eax
	
	FORM ALL, inc dword [es:edi]
	[section .data]
forms32_end:

; From 64-bit code by way of a far call. Only the low halves of the registers are used. The second pointer
; is in EBP's place for [ebp + 4]; GS is based 0x40 below the operand.
section .text
bits 32
harness32:
	pushad
	push dword [form_state + 15 * 8]
	popfd
	mov eax, [form_state]
	mov ecx, [form_state + 8]
	mov edx, [form_state + 2 * 8]
	mov ebx, [form_state + 3 * 8]
	mov ebp, [form_state + 4 * 8]
	mov esi, [form_state + 5 * 8]
	mov edi, [form_state + 6 * 8]
	call [form_code]
	mov [form_state], eax
	mov [form_state + 8], ecx
	mov [form_state + 2 * 8], edx
	mov [form_state + 3 * 8], ebx
	mov [form_state + 4 * 8], ebp
	mov [form_state + 5 * 8], esi
	mov [form_state + 6 * 8], edi
	pushfd
	pop dword [form_state + 15 * 8]
	push 2
	popfd
	popad
	retf

bits 64
form_call32:
	push rbx
	push rbp
	push r12
	push r13
	push r14
	push r15
	call dword far [harness32_pointer]
	pop r15
	pop r14
	pop r13
	pop r12
	pop rbp
	pop rbx
	ret

section .data
harness32_pointer:
	dd harness32
	dw SEL_CODE32
