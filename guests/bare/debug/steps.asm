; SPDX-License-Identifier: Apache-2.0
; Sequences that are single-stepped, with the addresses where a trap is expected: behind each instruction that
; began with TF set, and not behind MOV SS. SDM vol. 3, 17.3.1.4.
bits 64
section .text
global step_rows, step_rows_end, break_code, break_cpuid, break_in, break_rdmsr, break_mmio, break_nop, break_end
global step_rep, step_rep_at, step_ss, step_ss_behind

MMIO_NONE equ 0xd0000000

	[section .data]
align 8
step_rows:
	[section .text]

; STEP name, preparation, instruction: RDI = 64 bytes of scratch memory
%macro STEP 3
	[section .rodata]
%%name:	db %1, 0
	[section .data]
	dq %%name, %%code, %%first, %%second, %%third, 0
	[section .text]
%%code:
	push rbx
	%2
	pushfq
	or dword [rsp], 0x100
	popfq
	nop
%%first:
	%3
%%second:
	pushfq
%%third:
	and dword [rsp], ~0x100
	popfq
	nop
	pop rbx
	ret
%endmacro

STEP "nop", nop, nop
STEP "cpuid", {xor eax, eax}, cpuid
STEP "rdmsr", {mov ecx, 0x1b}, rdmsr
STEP "mov to dr0", {xor eax, eax}, {mov dr0, rax}
STEP "in", nop, {in al, 0x61}
STEP "in from the PIC", nop, {in al, 0x21}
STEP "out", nop, {out 0x80, al}
STEP "outsb", {mov rsi, rdi}, outsb
STEP "mmio read", {mov ecx, MMIO_NONE}, {mov eax, [rcx]}
STEP "mmio write", {mov ecx, MMIO_NONE}, {mov [rcx], eax}
STEP "mmio addition", {mov ecx, MMIO_NONE}, {add [rcx], eax}
STEP "mov from cr0", nop, {mov rax, cr0}
STEP "mov to cr0", {mov rax, cr0}, {mov cr0, rax}
STEP "mov to cr3", {mov rax, cr3}, {mov cr3, rax}
STEP "mov to cr4", {mov rax, cr4}, {mov cr4, rax}
STEP "mov to cr8", {xor eax, eax}, {mov cr8, rax}
STEP "lmsw", {smsw eax}, {lmsw ax}
STEP "clts", nop, clts
STEP "invlpg", nop, {invlpg [rdi]}
STEP "wbinvd", nop, wbinvd
STEP "rdtsc", nop, rdtsc
STEP "sgdt", nop, {sgdt [rdi]}
STEP "sidt", nop, {sidt [rdi]}
STEP "str", nop, {str eax}
STEP "lldt", {xor eax, eax}, {lldt ax}
	[section .data]
step_rows_end:

section .text
; REP MOVSB of RCX bytes: a trap behind each iteration, RIP at the instruction but for the last.
step_rep:
	mov rcx, rdi
	lea rsi, [rel step_rep]
	mov rdi, rdx
	pushfq
	or dword [rsp], 0x100
	popfq
step_rep_at:
	rep movsb
	pushfq
	and dword [rsp], ~0x100
	popfq
	ret

; No trap behind MOV SS, but behind the instruction that follows.
step_ss:
	mov eax, ss
	pushfq
	or dword [rsp], 0x100
	popfq
	mov ss, eax
	nop
step_ss_behind:
	pushfq
	and dword [rsp], ~0x100
	popfq
	ret

; The places where execution breakpoints go: instructions that leave to the hypervisor, and one that does not.
break_code:
	push rbx
	xor eax, eax
break_cpuid:
	cpuid
break_in:
	in al, 0x61
	mov ecx, 0x1b
break_rdmsr:
	rdmsr
	mov ecx, MMIO_NONE
break_mmio:
	mov eax, [rcx]
break_nop:
	nop
break_end:
	pop rbx
	ret
