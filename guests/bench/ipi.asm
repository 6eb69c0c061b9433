; SPDX-License-Identifier: Apache-2.0
; The shortest work for the benchmark of interrupts between processors, in x2APIC mode.
bits 64
section .text
global bench_ipi, bench_spin
extern bench_ipis

MSR_X2APIC_EOI equ 0x80b

; The interrupt: counted, ended.
bench_ipi:
	push rax
	push rcx
	push rdx
	inc qword [bench_ipis]
	mov ecx, MSR_X2APIC_EOI
	xor eax, eax
	xor edx, edx
	wrmsr
	pop rdx
	pop rcx
	pop rax
	iretq

; u64 bench_spin(u64 rounds): the ticks that rounds of two instructions take with interrupts on
bench_spin:
	rdtsc
	shl rdx, 32
	or rax, rdx
	mov rsi, rax
	sti
.round:	dec rdi
	jnz .round
	cli
	rdtsc
	shl rdx, 32
	or rax, rdx
	sub rax, rsi
	ret
