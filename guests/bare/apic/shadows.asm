; SPDX-License-Identifier: Apache-2.0
; An interrupt that is pending while STI opens the window comes behind the next instruction, whatever that
; instruction is and whether or not it leaves to the hypervisor. SDM vol. 2, STI; vol. 3, 25.4.2.
bits 64

ALWAYS equ 0
SOCLE_ONLY equ 1
TWO_PLACES equ 2 ; RIP may also be at .first: processors differ

PORT_NONE equ 0x80
IOAPIC_MMIO equ 0xfec00000
MMIO_NONE equ 0xd0000000

global shadow_rows, shadow_rows_end

section .data
align 8
shadow_rows:

; SHADOW name, flags, preparation, instruction...: RDI = 64 bytes of scratch memory
%macro SHADOW 4-*
	[section .rodata]
%%name:	db %1, 0
	[section .data]
	dq %%name, %%code, %%first, %%after, %2
	[section .text]
%%code:
	push rbx
	%3
	sti
%rotate 3
%if %0 > 4
	%1
%%first:
	%2
%else
%%first:
	%1
%endif
%%after:
	nop
	nop
	cli
	pop rbx
	ret
%endmacro

SHADOW "nop", ALWAYS, nop, nop
SHADOW "pause", ALWAYS, nop, pause
SHADOW "cpuid", ALWAYS, {xor eax, eax}, cpuid
SHADOW "rdmsr", ALWAYS, {mov ecx, 0x1b}, rdmsr
SHADOW "rdtsc", ALWAYS, nop, rdtsc
SHADOW "in", ALWAYS, nop, {in al, 0x61}
SHADOW "out", ALWAYS, nop, {out PORT_NONE, al}
SHADOW "outsb", ALWAYS, {lea rsi, [rdi]}, outsb
SHADOW "mmio read", ALWAYS, {mov ecx, MMIO_NONE}, {mov eax, [rcx]}
SHADOW "mmio write", ALWAYS, {mov ecx, IOAPIC_MMIO}, {mov dword [rcx], 1}
SHADOW "mov from cr0", ALWAYS, nop, {mov rax, cr0}
SHADOW "mov to cr0", ALWAYS, {mov rax, cr0}, {mov cr0, rax}
SHADOW "mov to cr3", ALWAYS, {mov rax, cr3}, {mov cr3, rax}
SHADOW "mov to cr4", ALWAYS, {mov rax, cr4}, {mov cr4, rax}
SHADOW "mov to cr8", ALWAYS, {xor eax, eax}, {mov cr8, rax}
SHADOW "mov to dr7", ALWAYS, {mov eax, 0x400}, {mov dr7, rax}
SHADOW "clts", ALWAYS, nop, clts
SHADOW "wbinvd", ALWAYS, nop, wbinvd
SHADOW "invlpg", ALWAYS, nop, {invlpg [rdi]}
SHADOW "sidt", ALWAYS, nop, {sidt [rdi]}
SHADOW "hlt", ALWAYS, nop, hlt
SHADOW "vmcall", SOCLE_ONLY, {mov eax, -1}, {vmcall}
SHADOW "mov ss, then nop", TWO_PLACES, {mov eax, ss}, {mov ss, eax}, nop
SHADOW "mov ss, then cpuid", TWO_PLACES, {mov ebx, ss}, {mov ss, ebx}, cpuid
SHADOW "mov ss, then in", TWO_PLACES, {mov eax, ss}, {mov ss, eax}, {in al, 0x61}

	[section .data]
shadow_rows_end:

section .text
global window_popf, window_popf_after, window_iret, window_iret_after, window_sti_cli
; POPF and IRET open the window at once.
window_popf:
	pushfq
	or dword [rsp], 0x200
	popfq
window_popf_after:
	nop
	cli
	ret
window_iret:
	mov rax, rsp
	push 0x10
	push rax
	push 0x202
	push 0x08
	push window_iret_after
	iretq
window_iret_after:
	nop
	cli
	ret
; CLI in the shadow of STI: the window never opens.
window_sti_cli:
	sti
	cli
	nop
	ret
