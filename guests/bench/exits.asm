; SPDX-License-Identifier: Apache-2.0
; The shortest interrupt handlers that end the interrupt, for the round trips by HLT.
bits 64
section .text
global bench_irq_x2, bench_irq_x

APIC_EOI_MMIO equ 0xfee000b0
MSR_X2APIC_EOI equ 0x80b

bench_irq_x2:
	push rax
	push rcx
	push rdx
	mov ecx, MSR_X2APIC_EOI
	xor eax, eax
	xor edx, edx
	wrmsr
	pop rdx
	pop rcx
	pop rax
	iretq

bench_irq_x:
	push rax
	mov eax, APIC_EOI_MMIO
	mov dword [rax], 0
	pop rax
	iretq
