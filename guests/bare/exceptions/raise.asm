; SPDX-License-Identifier: Apache-2.0
; Raises one exception each, at a label that the tests compare with the saved RIP.
bits 64
section .text

UNMAPPED_VA equ 0x7f0000001000
SOFT_VECTOR equ 0x90
IPI_VECTOR equ 0x60
APIC_ICR equ 0xfee00300
ICR_SELF_FIXED equ 0x44000

%macro FUNCTION 1
global raise_%1, raise_%1_at
raise_%1:
%endmacro

FUNCTION de
	xor eax, eax
	xor edx, edx
	xor ecx, ecx
raise_de_at:
	div ecx
	ret
FUNCTION ud
raise_ud_at:
	ud2
	ret
FUNCTION gp
	mov rax, 0x1234567812345000
raise_gp_at:
	mov eax, [rax]
	ret
FUNCTION pf
	mov rax, UNMAPPED_VA
raise_pf_at:
	mov eax, [rax]
	ret
FUNCTION int3
raise_int3_at:
	int3
	ret
FUNCTION soft
raise_soft_at:
	int SOFT_VECTOR
	ret
FUNCTION ipi
	mov eax, APIC_ICR
	mov dword [rax], ICR_SELF_FIXED | IPI_VECTOR
	sti
	nop
raise_ipi_at:
	cli
	ret

; u64 fault_NAME(void *arg): for both rings
global fault_nm, fault_mf, fault_xm, fault_np, fault_ss, fault_ss_segment, fault_ac, fault_bp, fault_db
fault_nm:
	fnop
	ret
; Unmasked division by zero. The fault comes with the next waiting instruction.
fault_mf:
	fninit
	push 0x0372
	fldcw [rsp]
	add rsp, 8
	fld1
	fldz
	fdivp st1, st0
	fwait
	ret
fault_xm:
	push 0x1d80 ; MXCSR with division by zero unmasked
	ldmxcsr [rsp]
	add rsp, 8
	xorps xmm0, xmm0
	mov eax, 0x3f800000
	movd xmm1, eax
	divss xmm1, xmm0
	ret
; RDI: a selector of a segment that is not present
fault_np:
	mov fs, edi
	ret
fault_ss_segment:
	mov ss, edi
	ret
fault_ss:
	mov rcx, rsp
	mov rsp, 0x1234567812345000
	push rax
	ret
; RDI: an aligned address
fault_ac:
	pushfq
	or dword [rsp], 1 << 18
	popfq
	mov eax, [rdi + 1]
	ret
fault_bp:
	int3
	ret
fault_db:
	db 0xf1
	ret
