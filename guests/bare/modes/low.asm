; SPDX-License-Identifier: Apache-2.0
; From 64-bit mode down to real mode or to 32-bit protected mode with any kind of paging, and back. SDM vol. 3,
; 10.8.5 and 10.9. Everything in .low lies below 64 KiB, at the same linear address in every mode.
%include "selectors.inc"

MSR_EFER equ 0xc0000080
EFER_LME equ 0x100
CR0_PE equ 1
CR0_PG equ 0x80000000
REAL_STACK equ 0x7c00
PM_STACK equ 0x7800

global real_call, real_code, real_flat, pm_call, pm_cr0, pm_cr3, pm_cr4, pm_idtr, pm_code
extern boot_gdt

section .text
bits 64
; Saves what the way back needs and leaves for 32-bit code in compatibility mode at %1.
%macro LEAVE_LONG 1
	push rbx
	push rbp
	push r12
	push r13
	push r14
	push r15
	sidt [saved_idtr]
	mov rax, cr0
	mov [saved_cr0], eax
	mov rax, cr3
	mov [saved_cr3], eax
	mov rax, cr4
	mov [saved_cr4], eax
	mov [saved_rsp], rsp
	push SEL_CODE32
	push %1
	db 0x48
	retf
%endmacro

; void real_call(void): runs [real_code] in real mode, segment 0
real_call:
	LEAVE_LONG to_real
; void pm_call(void): runs [pm_code] in 32-bit protected mode with CR0, CR3, CR4 and IDT from pm_*
pm_call:
	LEAVE_LONG to_protected

arrived:
	mov rsp, [saved_rsp]
	lidt [saved_idtr]
	xor eax, eax
	mov fs, eax
	mov gs, eax
	pop r15
	pop r14
	pop r13
	pop r12
	pop rbp
	pop rbx
	ret

section .low
bits 32
; From compatibility mode to protected mode without paging, and out of IA-32e mode.
%macro PAGING_OFF 0
	mov eax, SEL_DATA
	mov ds, eax
	mov es, eax
	mov ss, eax
	mov esp, PM_STACK
	mov eax, cr0
	and eax, ~CR0_PG
	mov cr0, eax
	mov ecx, MSR_EFER
	rdmsr
	and eax, ~EFER_LME
	wrmsr
%endmacro

; From protected mode without paging to 64-bit mode.
back_to_long:
	mov eax, SEL_DATA
	mov ds, eax
	mov es, eax
	mov ss, eax
	mov eax, [saved_cr4]
	mov cr4, eax
	mov eax, [saved_cr3]
	mov cr3, eax
	mov ecx, MSR_EFER
	rdmsr
	or eax, EFER_LME
	wrmsr
	mov eax, [saved_cr0]
	mov cr0, eax
	jmp SEL_CODE64:.long
bits 64
.long:	mov rax, arrived
	jmp rax

bits 32
to_protected:
	PAGING_OFF
	mov eax, [pm_cr4]
	mov cr4, eax
	mov eax, [pm_cr3]
	mov cr3, eax
	lidt [pm_idtr]
	mov eax, [pm_cr0]
	mov cr0, eax
	jmp SEL_CODE32:.paging
.paging:
	call [pm_code]
	mov eax, cr0
	and eax, ~CR0_PG
	mov cr0, eax
	jmp SEL_CODE32:back_to_long

to_real:
	PAGING_OFF
	jmp SEL_CODE16:.sixteen
bits 16
.sixteen:
	mov ax, SEL_DATA16
	mov ds, ax
	mov es, ax
	mov fs, ax
	mov gs, ax
	mov ss, ax
	cmp byte [real_flat], 0
	je .limited
	mov ax, SEL_DATA ; 4 GiB limits stay in the descriptor caches
	mov ds, ax
	mov es, ax
.limited:
	lidt [real_idtr]
	mov eax, cr0
	and eax, ~CR0_PE
	mov cr0, eax
	jmp 0:.real
.real:
	cmp byte [cs:real_flat], 0
	jne .segments_stay
	xor ax, ax
	mov ds, ax
	mov es, ax
.segments_stay:
	xor ax, ax
	mov fs, ax
	mov gs, ax
	mov ss, ax
	mov esp, REAL_STACK
	call [cs:real_code]
	cli
	lidt [cs:real_idtr]
	mov eax, cr0
	or eax, CR0_PE
	mov cr0, eax
	jmp dword SEL_CODE32:back_to_long

align 8
real_idtr:
	dw 0x3ff
	dd 0
pm_idtr:
	dw 0
	dd 0
align 8
saved_idtr: times 10 db 0
align 8
saved_rsp: dq 0
saved_cr0: dd 0
saved_cr3: dd 0
saved_cr4: dd 0
pm_cr0: dd 0
pm_cr3: dd 0
pm_cr4: dd 0
pm_code: dd 0
real_code: dw 0
real_flat: db 0
