; SPDX-License-Identifier: Apache-2.0
; The hypervisor's first instructions, and the stacks that exist before there is an allocator.
; The loader enters with interrupts off, its own page tables, RDI = struct boot_info *.
bits 64
default abs
extern host_start, __stack_chk_guard
global _start, boot_stack_top, ist_df_top, ist_nmi_top, ist_mc_top, stack_guards

section .text.start progbits alloc exec nowrite align=16
_start:
	cli
	cld
	mov	rsp, boot_stack_top
	xor	ebp, ebp		; ends a backtrace
	rdtsc				; a canary that is not the same in every run; low byte 0 stops
	shl	rdx, 32			; a string from running through it
	or	rax, rdx
	mov	rdx, 0x9e3779b97f4a7c15
	imul	rax, rdx
	shl	rax, 8
	mov	[__stack_chk_guard], rax
	call	host_start
	ud2

; Each stack grows down towards a page that paging_init() leaves unmapped.
section .stacks nobits alloc noexec write align=4096
boot_guard:	resb 4096
		resb 4 * 4096
boot_stack_top:
df_guard:	resb 4096
		resb 2 * 4096
ist_df_top:
nmi_guard:	resb 4096
		resb 2 * 4096
ist_nmi_top:
mc_guard:	resb 4096
		resb 2 * 4096
ist_mc_top:

section .rodata progbits alloc noexec nowrite align=8
stack_guards:	dq boot_guard, df_guard, nmi_guard, mc_guard, 0
