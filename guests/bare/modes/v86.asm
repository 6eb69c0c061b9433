; SPDX-License-Identifier: Apache-2.0
; Virtual-8086 mode: a monitor in 32-bit protected mode and two programs. SDM vol. 3, chapter 21.
%include "selectors.inc"
bits 32

SEL_V86_TSS equ 0x58
SOFT_VECTOR equ 0x42
EFLAGS_VM equ 0x20000
V86_STACK equ 0x7000

global v86_run, v86_entry, v86_flags, v86_log, v86_count, v86_gp_stub, v86_soft_stub, v86_result
global v86_program, v86_program_iopl3, v86_esp0, v86_soft

section .bss
alignb 8
v86_log: resb 16 ; first opcode byte of each instruction that faulted
v86_count: resd 1
v86_soft: resd 1
v86_esp0: resd 1 ; in the TSS; C points it there
saved_esp: resd 1
v86_entry: resd 1
v86_flags: resd 1

section .text
; Runs the program at [v86_entry] (segment 0) until it faults at HLT.
v86_run:
	pushad
	mov eax, SEL_V86_TSS
	ltr ax
	mov [saved_esp], esp
	mov eax, [v86_esp0]
	mov [eax], esp
	sub dword [eax], 256
	xor eax, eax
	push eax ; GS
	push eax
	push eax
	push eax ; ES
	push eax ; SS
	push V86_STACK
	push dword [v86_flags]
	push eax ; CS
	push dword [v86_entry]
	iretd
v86_done:
	mov eax, SEL_DATA
	mov ds, eax
	mov es, eax
	mov esp, [saved_esp]
	popad
	ret

; #GP from the program: logs the opcode, steps over what it knows, ends at HLT.
v86_gp_stub:
	push ds
	pushad
	mov eax, SEL_DATA
	mov ds, eax
	movzx ebx, word [esp + 44] ; CS; on the stack: 8 registers, DS, error, EIP, CS, EFLAGS, ESP
	shl ebx, 4
	add ebx, [esp + 40]
	mov al, [ebx]
	mov ecx, [v86_count]
	mov [v86_log + ecx], al
	inc ecx
	and ecx, 15
	mov [v86_count], ecx
	cmp al, 0xf4
	je v86_done
	inc dword [esp + 40]
	cmp al, 0xcd ; INT and OUT have an immediate byte
	je .two
	cmp al, 0xe6
	jne .one
.two:	inc dword [esp + 40]
.one:	popad
	pop ds
	add esp, 4
	iretd

; INT with IOPL 3 goes through the protected-mode gate.
v86_soft_stub:
	push ds
	push eax
	mov eax, SEL_DATA
	mov ds, eax
	inc dword [v86_soft]
	pop eax
	pop ds
	iretd

section .low
bits 16
v86_result: times 8 dd 0
; IOPL 0: what it may do, then what it may not
v86_program:
	xor eax, eax
	cpuid
	mov [v86_result], ebx
	in al, 0x61 ; open in the bitmap
	mov ax, 0x1000
	mov es, ax
	mov dword [es:0x20], 0x86868686
	smsw ax
	mov [v86_result + 4], ax
	int 0x40
	cli
	sti
	pushf
	out 0x80, al ; closed in the bitmap
	mov dword [v86_result + 8], 0x600d
	hlt
v86_program_iopl3:
	cli
	sti
	pushf
	pop ax
	mov [v86_result + 12], ax
	cli
	int SOFT_VECTOR
	hlt
