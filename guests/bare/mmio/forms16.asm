; SPDX-License-Identifier: Apache-2.0
; The forms in 16-bit code of compatibility mode, with 16-bit addresses in a segment that is based at the window
; (ES; DS for what strings read).
%include "selectors.inc"
bits 16
%define M es:di
%define FORMTEXT .text.forms16
%include "forms.inc"

SEL_FORMS16 equ 0x58 ; 16-bit code, based at forms16_code; forms.c fills it

extern form_state, form_code
global forms16, forms16_end, form_call16, forms16_code

[section .text.forms16 progbits alloc exec nowrite align=16]
forms16_code:

section .data
align 8
forms16:
	COMMON_FORMS
	FORM ALL, mov ax, [es:bx + si]
	FORM ALL, mov [es:bx + di - 0x7000], eax
	FORM ALL, mov al, [es:bp + 1]
	FORM ALL, mov [es:0x1040], dl
	FORM ALL, mov eax, [dword es:edi]
	FORM ALL, a32 mov ax, [es:edi + 4]
	[section .data]
forms16_end:

; Data of the harness lies in the flat segment, which is FS here.
[section .text.forms16]
bits 16
harness16:
	pushad
	push dword [dword fs:form_state + 15 * 8]
	popfd
	mov eax, [dword fs:form_state]
	mov ecx, [dword fs:form_state + 8]
	mov edx, [dword fs:form_state + 2 * 8]
	mov ebx, [dword fs:form_state + 3 * 8]
	mov ebp, [dword fs:form_state + 4 * 8]
	mov esi, [dword fs:form_state + 5 * 8]
	mov edi, [dword fs:form_state + 6 * 8]
	call word [dword fs:form_code]
	mov [dword fs:form_state], eax
	mov [dword fs:form_state + 8], ecx
	mov [dword fs:form_state + 2 * 8], edx
	mov [dword fs:form_state + 3 * 8], ebx
	mov [dword fs:form_state + 4 * 8], ebp
	mov [dword fs:form_state + 5 * 8], esi
	mov [dword fs:form_state + 6 * 8], edi
	pushfd
	pop dword [dword fs:form_state + 15 * 8]
	push dword 2
	popfd
	popad
	o32 retf

bits 64
section .text
form_call16:
	push rbx
	push rbp
	push r12
	push r13
	push r14
	push r15
	mov eax, harness16
	sub eax, forms16_code
	mov [harness16_pointer], eax
	call dword far [harness16_pointer]
	pop r15
	pop r14
	pop r13
	pop r12
	pop rbp
	pop rbx
	ret

section .data
harness16_pointer:
	dd 0
	dw SEL_FORMS16
