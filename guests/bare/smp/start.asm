; SPDX-License-Identifier: Apache-2.0
; Where a start-up IPI takes a processor: from real mode to C on a stack of its own. SDM vol. 3, 10.4.4.
%include "selectors.inc"

MSR_EFER equ 0xc0000080
EFER_LME equ 0x100
CR0_BITS equ 0x80010033 ; PG WP NE ET MP PE
CR4_BITS equ 0x620 ; PAE OSFXSR OSXMMEXCPT
STACK_SIZE equ 16384

global start_code, start_alive, start_stacks
extern boot_pml4, boot_gdt, start_main

section .low
bits 16
align 4096
start_code:
	cli
	cld
	xor ax, ax
	mov ds, ax
	lock inc dword [start_alive]
	o32 lgdt [low_gdtr]
	mov eax, CR4_BITS
	mov cr4, eax
	mov eax, boot_pml4
	mov cr3, eax
	mov ecx, MSR_EFER
	rdmsr
	or eax, EFER_LME
	wrmsr
	mov eax, CR0_BITS
	mov cr0, eax
	jmp dword SEL_CODE64:start_long

align 8
low_gdtr:
	dw 11 * 8 - 1
	dd boot_gdt
start_alive: dd 0 ; how often a processor began here

section .text
bits 64
start_long:
	mov eax, SEL_DATA
	mov ds, eax
	mov es, eax
	mov ss, eax
	xor eax, eax
	mov fs, eax
	mov gs, eax
	mov eax, 1
	cpuid
	shr ebx, 24
	mov edi, ebx
	inc ebx
	imul rbx, rbx, STACK_SIZE
	lea rsp, [start_stacks + rbx]
	xor ebp, ebp
	call start_main
.hang:	cli
	hlt
	jmp .hang

section .bss
alignb 4096
start_stacks: resb 4 * STACK_SIZE
