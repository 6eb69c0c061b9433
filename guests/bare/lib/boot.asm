; SPDX-License-Identifier: Apache-2.0
; From the Multiboot entry (32-bit protected mode, no paging) to C in 64-bit mode.
; The first 4 GiB are mapped one to one with 2 MiB pages, user-accessible; from 3 GiB on uncached.
%include "selectors.inc"

MULTIBOOT_MAGIC equ 0x1badb002
MULTIBOOT_FLAGS equ 3 ; align modules, tell the memory map
PTE_PRESENT_RW_USER equ 7
PTE_LARGE equ 0x80
PTE_UNCACHED equ 0x18
CR0_BITS equ 0x80010033 ; PG WP NE ET MP PE
CR4_BITS equ 0x620 ; PAE OSFXSR OSXMMEXCPT
MSR_EFER equ 0xc0000080
EFER_LME equ 0x100

extern guest_start
global boot_entry, boot_pml4, boot_pdpt, boot_gdt, boot_stack_top

section .multiboot
align 4
	dd MULTIBOOT_MAGIC, MULTIBOOT_FLAGS, -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)

section .text
bits 32
boot_entry:
	cli
	cld
	mov esp, boot_stack_top
	mov esi, eax ; Multiboot magic
	mov ebp, ebx ; Multiboot information

	mov dword [boot_pml4], boot_pdpt + PTE_PRESENT_RW_USER
	mov eax, boot_pd + PTE_PRESENT_RW_USER
	mov edi, boot_pdpt
.pdpt:	mov [edi], eax
	add edi, 8
	add eax, 4096
	cmp edi, boot_pdpt + 4 * 8
	jb .pdpt

	mov eax, PTE_PRESENT_RW_USER | PTE_LARGE
	mov edi, boot_pd
.pd:	mov [edi], eax
	add edi, 8
	add eax, 0x200000
	cmp edi, boot_pd + 3 * 4096
	jne .cached
	or eax, PTE_UNCACHED
.cached:
	cmp edi, boot_pd + 4 * 4096
	jb .pd

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
	lgdt [boot_gdtr]
	jmp SEL_CODE64:.long

bits 64
.long:
	mov eax, SEL_DATA
	mov ds, eax
	mov es, eax
	mov ss, eax
	xor eax, eax
	mov fs, eax
	mov gs, eax
	mov edi, esi
	mov esi, ebp
	xor ebp, ebp
	call guest_start
.hang:	cli
	hlt
	jmp .hang

section .data
align 16
boot_gdt:
	dq 0
	dq 0x00af9b000000ffff ; 64-bit code
	dq 0x00cf93000000ffff ; data
	dq 0x00cf9b000000ffff ; 32-bit code
	dq 0x00009b000000ffff ; 16-bit code
	dq 0x000093000000ffff ; 16-bit data
	dq 0x00cffb000000ffff ; user 32-bit code
	dq 0x00cff3000000ffff ; user data
	dq 0x00affb000000ffff ; user 64-bit code
	dq 0, 0 ; task-state segment, filled by trap_init()
	times 32 - 11 dq 0 ; for tests
boot_gdt_end:
boot_gdtr:
	dw boot_gdt_end - boot_gdt - 1
	dq boot_gdt

section .bss
alignb 4096
boot_pml4: resb 4096
boot_pdpt: resb 4096
boot_pd: resb 4 * 4096
	resb 65536
boot_stack_top:

section .low ; present in every guest, so that the link script's names are defined
