; SPDX-License-Identifier: Apache-2.0
; Out of long mode into 32-bit protected mode without paging, through every kind of hardware task switch
; (SDM volume 3, 8.3), and back. What the tasks see they write to tasks_log.
%include "selectors.inc"

SEL_MAIN equ 0x60
SEL_OTHER equ 0x68
SEL_FAULT equ 0x70
BAD_SELECTOR equ 0x1f0
VECTOR_SOFT equ 0x40
MSR_EFER equ 0xc0000080
EFER_LME equ 0x100

extern boot_gdt, tasks_idt_pointer, tasks_main_tss, tasks_log
global tasks_run, tasks_other, tasks_fault

section .text
bits 64
tasks_run:
	push rbx
	push rbp
	push r12
	push r13
	push r14
	push r15
	mov [saved_rsp], rsp
	sidt [saved_idtr]
	push SEL_CODE32
	push qword .compat
	retfq
bits 32
.compat:
	mov eax, cr0
	and eax, 0x7fffffff
	mov cr0, eax
	mov ecx, MSR_EFER
	rdmsr
	and eax, ~EFER_LME
	wrmsr
	mov eax, SEL_DATA
	mov ds, eax
	mov es, eax
	mov ss, eax
	lidt [tasks_idt_pointer]
	mov eax, SEL_MAIN
	ltr ax
	mov ebx, 0x11111111
	call SEL_OTHER:0
	mov [tasks_log + 4], ebx ; ours, not the other task's
	mov eax, cr0
	mov [tasks_log + 8], eax ; TS
	clts
	call SEL_OTHER:0 ; goes on behind its IRET
	jmp SEL_OTHER:0 ; and comes back by JMP
	inc dword [tasks_log + 12]
	int VECTOR_SOFT
	inc dword [tasks_log + 16]
	mov eax, BAD_SELECTOR
.bad:	mov fs, eax ; two bytes: #GP with the selector as error code
	inc dword [tasks_log + 20]
	mov ecx, MSR_EFER
	rdmsr
	or eax, EFER_LME
	wrmsr
	mov eax, cr0
	or eax, 0x80000000
	and eax, ~8
	mov cr0, eax
	jmp SEL_CODE64:.long
bits 64
.long:
	lidt [saved_idtr]
	and byte [boot_gdt + SEL_TSS + 5], ~2 ; not busy, so that LTR takes it
	mov eax, SEL_TSS
	ltr ax
	mov rsp, [saved_rsp]
	pop r15
	pop r14
	pop r13
	pop r12
	pop rbp
	pop rbx
	ret

bits 32
; Called twice, jumped to once, entered by the task gate of INT.
tasks_other:
	mov ebx, 0x22222222
	pushfd
	pop dword [tasks_log + 24] ; NT
	iret
	inc dword [tasks_log + 28]
	iret
	pushfd
	pop dword [tasks_log + 32] ; NT again, as it was left
	jmp SEL_MAIN:0
	inc dword [tasks_log + 36]
	iret
	ud2

; Entered by the task gate of #GP: the error code is on its stack; MOV FS is skipped.
tasks_fault:
	pop dword [tasks_log + 40]
	mov [tasks_log + 44], esp
	add dword [tasks_main_tss + 32], 2
	iret
	jmp tasks_fault

section .bss
saved_rsp: resq 1
saved_idtr: resb 10
