; SPDX-License-Identifier: Apache-2.0
; What runs in 32-bit protected mode (called by pm_call) and in compatibility mode, and the 32-bit exception
; stubs. Results go to pm_result.
%include "selectors.inc"
bits 32

PORT_GATE equ 0x61
MMIO_IOAPIC equ 0xfec00000
TEST_VA equ 0x40000000
SOFT_VECTOR equ 0x42
SEL_ABSENT equ 0x68 ; a segment that is not present; C fills it

extern trap_fixup
global pm_result, pm_fault, pm_stubs, pm_state, pm_faults, pm_faults_at, pm_paging, pm_pdpte, pm_pdpt
global compat_call, compat_code, compat_user_enter

section .bss
alignb 8
pm_result: resd 32
pm_fault:  ; vector, error, EIP, CS, EFLAGS, CR2, count
	resd 7
pm_resume: resd 1
pm_pdpt: resd 1 ; where the PDPTEs lie

section .text
; Vectors 0 to 31 and SOFT_VECTOR, 16 bytes apart.
align 16
pm_stubs:
%assign v 0
%rep SOFT_VECTOR + 1
	align 16
%if v == 8 || (v >= 10 && v <= 14) || v == 17 || v == 21
%else
	push 0
%endif
	push v
	jmp pm_common
%assign v v + 1
%endrep

pm_common:
	pushad
	mov eax, [esp + 32]
	mov [pm_fault], eax
	mov eax, [esp + 36]
	mov [pm_fault + 4], eax
	mov eax, [esp + 40]
	mov [pm_fault + 8], eax
	mov eax, [esp + 44]
	mov [pm_fault + 12], eax
	mov eax, [esp + 48]
	mov [pm_fault + 16], eax
	mov eax, cr2
	mov [pm_fault + 20], eax
	inc dword [pm_fault + 24]
	mov eax, [pm_resume]
	test eax, eax
	jz .back
	mov [esp + 40], eax
	mov dword [pm_resume], 0
.back:	popad
	add esp, 8
	iretd

; Keeps vector and error code of the last fault at pm_result + %1.
%macro KEEP 1
	mov eax, [pm_fault]
	mov [pm_result + %1], eax
	mov eax, [pm_fault + 4]
	mov [pm_result + %1 + 4], eax
%endmacro

pm_state:
	mov eax, cr0
	mov [pm_result], eax
	mov [pm_result + 4], cs
	pushfd
	pop dword [pm_result + 8]
	push ebx
	xor eax, eax
	cpuid
	mov [pm_result + 12], ebx
	pop ebx
	mov ecx, 0x1b
	rdmsr
	mov [pm_result + 16], eax
	in al, 0x21
	movzx eax, al
	mov [pm_result + 20], eax
	mov ecx, MMIO_IOAPIC
	mov dword [ecx], 1
	mov eax, [ecx + 0x10]
	mov [pm_result + 24], eax
	mov eax, cr4
	mov cr4, eax
	mov [pm_result + 28], eax
	wbinvd
	push ebx
	mov ebx, esp
	int SOFT_VECTOR
	sub ebx, esp
	mov [pm_result + 32], ebx
	pop ebx
	mov eax, [pm_fault]
	mov [pm_result + 36], eax
	ret

; #UD, #GP of a selector, #NP, #DE, #GP by a limit
pm_faults_at: dd pm_faults.ud_at, pm_faults.gp_at, pm_faults.np_at, pm_faults.de_at
pm_faults:
	push ebx
	mov dword [pm_resume], .ud
.ud_at:	ud2
.ud:	KEEP 0
	mov dword [pm_resume], .gp
	mov eax, 0xfff8
.gp_at:	mov fs, eax
.gp:	KEEP 8
	mov dword [pm_resume], .np
	mov eax, SEL_ABSENT
.np_at:	mov fs, eax
.np:	KEEP 16
	mov dword [pm_resume], .de
	xor ecx, ecx
.de_at:	div ecx
.de:	KEEP 24
	mov eax, [pm_fault + 8]
	mov [pm_result + 32], eax
	mov dword [pm_resume], .int
	int 0x43 ; beyond the IDT
.int:	KEEP 40
	pop ebx
	ret

; The page at TEST_VA is there, the next one is not, the third one is read-only.
pm_paging:
	mov ecx, TEST_VA
	mov eax, [ecx]
	mov [pm_result], eax
	mov dword [ecx + 4], 0x5eed5eed
	xor eax, eax
	cpuid
	mov ecx, TEST_VA
	mov eax, [ecx + 4]
	mov [pm_result + 4], eax
	mov dword [pm_resume], .absent
	mov eax, [ecx + 0x1008]
.absent:
	KEEP 8
	mov eax, [pm_fault + 20]
	mov [pm_result + 16], eax
	mov dword [pm_resume], .readonly
	mov dword [ecx + 0x2008], 1
.readonly:
	KEEP 20
	mov ecx, MMIO_IOAPIC
	mov dword [ecx], 1
	mov eax, [ecx + 0x10]
	mov [pm_result + 28], eax
	; 4 bytes across two pages, the second one absent
	mov dword [pm_resume], .across
	mov eax, [TEST_VA + 0xffe]
.across:
	KEEP 32
	mov eax, [pm_fault + 20]
	mov [pm_result + 40], eax
	ret

; PDPTEs live in the processor from one load of CR3 to the next, through exits as well. SDM vol. 3, 4.4.1.
pm_pdpte:
	push ebx
	push esi
	mov esi, [pm_pdpt]
	mov eax, [TEST_VA]
	mov [pm_result], eax
	push dword [esi + 8]
	mov dword [esi + 8], 0
	xor eax, eax
	cpuid
	in al, PORT_GATE
	invlpg [TEST_VA]
	xor eax, eax
	mov dword [pm_resume], .first
	mov dword [pm_fault], 0x100
	mov eax, [TEST_VA]
.first:	mov [pm_result + 4], eax
	mov eax, [pm_fault]
	mov [pm_result + 8], eax
	mov eax, cr3
	mov cr3, eax
	mov dword [pm_resume], .second
	mov dword [pm_fault], 0x100
	mov eax, [TEST_VA]
.second:
	mov eax, [pm_fault]
	mov [pm_result + 12], eax
	pop eax
	mov [esi + 8], eax
	mov ecx, cr3
	mov cr3, ecx
	mov ecx, [TEST_VA]
	mov [pm_result + 16], ecx
	; a reserved bit
	or dword [esi + 16], 2
	mov dword [pm_resume], .third
	mov dword [pm_fault], 0x100
	mov ecx, cr3
	mov cr3, ecx
.third:	mov eax, [pm_fault]
	mov [pm_result + 20], eax
	and dword [esi + 16], ~2
	mov dword [pm_resume], 0
	mov ecx, cr3
	mov cr3, ecx
	pop esi
	pop ebx
	ret

; ---- compatibility mode; C has a handler for SOFT_VECTOR ----
compat_code:
	mov eax, SEL_DATA
	mov ds, eax
	mov es, eax
	xor eax, eax
	cpuid
	mov [pm_result], ebx
	mov ecx, 0x1b
	rdmsr
	mov [pm_result + 4], eax
	in al, 0x21
	movzx eax, al
	mov [pm_result + 8], eax
	mov ecx, MMIO_IOAPIC
	mov dword [ecx], 1
	mov eax, [ecx + 0x10]
	mov [pm_result + 12], eax
	int SOFT_VECTOR
	mov dword [trap_fixup], .on
	mov dword [trap_fixup + 4], 0
	ud2
.on:	mov [pm_result + 16], cs
	dec eax ; a REX prefix in 64-bit mode
	mov [pm_result + 20], eax
	retf

; Ring 3; back in 64-bit mode it returns to trap_user's caller.
compat_user_code:
	mov eax, SEL_USERDATA
	mov ds, eax
	mov es, eax
	xor eax, eax
	cpuid
	mov [pm_result], ebx
	rdtsc
	int SOFT_VECTOR
	mov [pm_result + 4], cs
	mov [pm_result + 8], ss
	jmp SEL_USER64:compat_user_back

bits 64
compat_user_back:
	pop rbx
	ret
; u64 compat_user_enter(void *), by trap_user
compat_user_enter:
	push rbx
	push SEL_USER32
	push compat_user_code
	db 0x48
	retf

compat_call:
	push rbx
	push rbp
	call dword far [compat_pointer]
	pop rbp
	pop rbx
	ret

section .data
align 8
compat_pointer:
	dd compat_code
	dw SEL_CODE32
