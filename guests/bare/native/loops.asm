; SPDX-License-Identifier: Apache-2.0
; Loops over events that must cost no VM exit.
bits 64
section .text
global syscall_entry, syscall_loop, sysenter_entry, sysenter_loop, int80_entry, int80_loop, fault_entry, fault_loop
global kernel_count

syscall_entry:
	inc qword [kernel_count]
	o64 sysret

; u64 loop(rounds), in ring 3
syscall_loop:
	push r12
	mov r12, rdi
.next:	syscall
	dec r12
	jnz .next
	pop r12
	ret

sysenter_entry:
	inc qword [kernel_count]
	o64 sysexit ; to RDX with the stack RCX

sysenter_loop:
	push r12
	mov r12, rdi
.next:	mov rcx, rsp
	lea rdx, [rel .back]
	sysenter
.back:	dec r12
	jnz .next
	pop r12
	ret

int80_entry:
	inc qword [kernel_count]
	iretq

int80_loop:
	push r12
	mov r12, rdi
.next:	int 0x80
	dec r12
	jnz .next
	pop r12
	ret

; #PF: steps over the load (3 bytes)
fault_entry:
	inc qword [kernel_count]
	add rsp, 8 ; error code
	add qword [rsp], 3
	iretq

fault_loop:
	push r12
	mov r12, rdi
	mov rcx, 0x7f0000001000
.next:	mov rax, [rcx]
	dec r12
	jnz .next
	pop r12
	ret

section .bss
alignb 8
kernel_count: resq 1
