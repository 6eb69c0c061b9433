; SPDX-License-Identifier: Apache-2.0
; Stack switch between a CPU's scheduler and a task: the registers that the C ABI wants preserved.
bits 64
section .text
global task_switch

; void task_switch(u64 **save, u64 *load)
task_switch:
	push rbx
	push rbp
	push r12
	push r13
	push r14
	push r15
	mov [rdi], rsp
	mov rsp, rsi
	pop r15
	pop r14
	pop r13
	pop r12
	pop rbp
	pop rbx
	ret
