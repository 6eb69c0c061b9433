; SPDX-License-Identifier: Apache-2.0
; The way out of a guest and back in. HOST_RSP points just above the vCPU's register frame, at a slot
; that holds the vCPU pointer; the pushes fill the frame, lowest register number at the lowest address.
; Counted: 18 instructions to the first one of C, 17 from its return to the guest.
bits 64
section .text

extern vcpu_exit
extern vcpu_trace_exit
extern vcpu_entry_failed
global vmx_exit_stub
global vmx_exit_stub_traced
global vmx_enter

FRAME equ 16 * 8

%macro load_guest 0
	pop rax
	pop rcx
	pop rdx
	pop rbx
	pop rbp			; the slot of RSP, which the VMCS holds
	pop rbp
	pop rsi
	pop rdi
	pop r8
	pop r9
	pop r10
	pop r11
	pop r12
	pop r13
	pop r14
	pop r15
%endmacro

%macro save_guest 0
	push r15
	push r14
	push r13
	push r12
	push r11
	push r10
	push r9
	push r8
	push rdi
	push rsi
	push rbp
	push rsp		; keeps the slot of RSP
	push rbx
	push rdx
	push rcx
	push rax
%endmacro

align 16
vmx_exit_stub:
	save_guest
	mov rdi, [rsp + FRAME]
	call vcpu_exit
resume:
	load_guest
	vmresume
; Falls through when the entry failed before the guest state was loaded (SDM volume 3, 27.2). The frame
; below RSP is still there: interrupts are off and NMIs have a stack of their own. Nothing is taken
; from a register, they all hold guest values.
failed:
	sub rsp, FRAME
	mov rdi, [rsp + FRAME]
	call vcpu_entry_failed
	load_guest
	vmlaunch
	jmp failed

; void vmx_enter(u64 *frame)
vmx_enter:
	mov rsp, rdi
	jmp resume

; HOST_RIP of a vCPU whose exits are recorded.
align 16
vmx_exit_stub_traced:
	save_guest
	mov rdi, [rsp + FRAME]
	call vcpu_trace_exit
	mov rdi, [rsp + FRAME]
	call vcpu_exit
	jmp resume
