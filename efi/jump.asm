; SPDX-License-Identifier: Apache-2.0
; The way out of the loader: from the firmware's page tables to the hypervisor's.
bits 64
default rel

MSR_EFER equ 0xc0000080
EFER_NXE equ 11
CR0_WP equ 16
CR4_PGE equ 7

section .text
; void loader_jump(u64 info, u64 cr3, u64 stack_top, u64 entry)
; Aligned to more than its size, so that it lies in one page, which both sets of page tables map.
align 128
global loader_jump:function hidden
loader_jump:
	cli
	cld
	mov	r8, rcx
	mov	r9, rdx
	mov	ecx, MSR_EFER
	rdmsr
	bts	eax, EFER_NXE		; the new tables use it
	wrmsr
	mov	rax, cr4
	btr	rax, CR4_PGE		; the firmware's global pages leave the TLB, too
	mov	cr4, rax
	mov	cr3, rsi
	mov	rax, cr0
	bts	rax, CR0_WP		; read-only pages are so for ring 0
	mov	cr0, rax
	mov	rsp, r9
	xor	ebp, ebp		; end of the chain of stack frames
	push	rbp			; a return address for the ABI: nobody returns
	jmp	r8
	times 128 - ($ - loader_jump) int3	; an error here: it may cross a page
