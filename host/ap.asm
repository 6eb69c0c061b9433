; SPDX-License-Identifier: Apache-2.0
; The first instructions of every CPU but the boot CPU: from real mode to long mode and into C. smp.c
; copies what lies between ap_low and ap_low_end to a page below 1 MiB, fills in its addresses, and puts
; page tables into the page behind it.
bits 64
default abs
extern ap_boot, ap_main
global ap_low, ap_low_end, ap_low_gdt, ap_low_gdtr, ap_low_far, ap_low_root, ap_low_64

CR0_PE equ 1
CR0_NW_CD equ 3 << 29
CR0_PG equ 1 << 31
CR4_PAE equ 1 << 5
MSR_EFER equ 0xc0000080
EFER_LME_NXE equ 1 << 8 | 1 << 11
CPUID_TOPOLOGY equ 0xb
NOBODY equ 0xffffffff

; struct ap_boot
BOOT_ROOT equ 0
BOOT_STACK equ 8
BOOT_AP equ 16
BOOT_WANTED equ 24

section .rodata progbits alloc noexec nowrite align=16
%define LOW(label) (label - ap_low)
bits 16
ap_low:
	cli
	cld
	mov	ax, cs			; a start-up IPI with vector V begins at V000:0000
	mov	ds, ax
	o32 lgdt [LOW(ap_low_gdtr)]
	mov	eax, CR4_PAE
	mov	cr4, eax
	mov	eax, [LOW(ap_low_root)]
	mov	cr3, eax
	mov	ecx, MSR_EFER
	rdmsr
	or	eax, EFER_LME_NXE
	wrmsr
	mov	eax, cr0		; INIT leaves the caches as they were, at power-up off
	and	eax, ~CR0_NW_CD
	or	eax, CR0_PE | CR0_PG
	mov	cr0, eax		; straight into compatibility mode (SDM vol. 3, 10.8.5)
	jmp	dword far [LOW(ap_low_far)]
bits 64
ap_low_64:
	mov	rax, ap_start
	jmp	rax
align 8
ap_low_gdt:
	dq	0
	dq	0x00209b0000000000	; SEL_HOST_CODE
	dw	0
ap_low_gdtr:
	dw	ap_low_gdtr - 2 - ap_low_gdt - 1
	dd	0			; address of ap_low_gdt
ap_low_far:
	dd	0			; address of ap_low_64
	dw	8
ap_low_root:
	dd	0			; address of the page tables
ap_low_end:

section .text
; At its own address, still on the tables behind the low page: those of the hypervisor may lie where a
; 32-bit MOV to CR3 cannot point.
ap_start:
	mov	rax, [ap_boot + BOOT_ROOT]
	mov	cr3, rax
	xor	eax, eax
	cpuid
	cmp	eax, CPUID_TOPOLOGY
	jb	.short_id
	mov	eax, CPUID_TOPOLOGY
	xor	ecx, ecx
	cpuid
	test	bx, bx
	jz	.short_id
	mov	eax, edx		; the x2APIC id
	jmp	.have_id
.short_id:
	mov	eax, 1
	cpuid
	mov	eax, ebx
	shr	eax, 24
; One stack for one CPU: only the one that is waited for takes it, and once.
.have_id:
	mov	ecx, NOBODY
	lock cmpxchg [ap_boot + BOOT_WANTED], ecx
	jne	.park
	mov	rsp, [ap_boot + BOOT_STACK]
	mov	rdi, [ap_boot + BOOT_AP]
	xor	ebp, ebp		; ends a backtrace
	call	ap_main
.park:
	cli
	hlt
	jmp	.park
