; SPDX-License-Identifier: Apache-2.0
; Far calls and jumps that C cannot express.
bits 64
section .text
global classic_gate_entry, classic_far_call, classic_far_jump

; Behind the call gate: bits 7:0 of RAX get the ring.
classic_gate_entry:
	mov ecx, cs
	and ecx, 3
	mov eax, ecx
	db 0x48
	retf

; u64 classic_far_call(far pointer): bits 15:8 the ring behind the return, bits 7:0 the ring in the gate
classic_far_call:
	call dword far [rdi]
	mov ecx, cs
	and ecx, 3
	shl ecx, 8
	or eax, ecx
	ret

; u64 classic_far_jump(selector): by a far return, then by a far jump; returns CS
classic_far_jump:
	push rdi
	lea rax, [rel .returned]
	push rax
	db 0x48
	retf
.returned:
	sub rsp, 16
	lea rax, [rel .jumped]
	mov [rsp], eax
	mov [rsp + 4], di
	jmp dword far [rsp]
.jumped:
	add rsp, 16
	mov eax, cs
	ret
