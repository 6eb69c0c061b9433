; SPDX-License-Identifier: Apache-2.0
; Loads and stores of the vector and x87 registers; C code of the guest uses none of them.
bits 64
default rel
section .text
global sse_load, sse_store, avx_load, avx_store, avx512_load, avx512_store, x87_load, x87_store
global fpu_xsave, fpu_xrstor, fpu_xsaveopt, fpu_xsavec, fpu_xsaves, fpu_xrstors

; RDI: 16 times 16 bytes
sse_load:
%assign i 0
%rep 16
	movups xmm %+ i, [rdi + i * 16]
%assign i i + 1
%endrep
	ret
sse_store:
%assign i 0
%rep 16
	movups [rdi + i * 16], xmm %+ i
%assign i i + 1
%endrep
	ret

; RDI: 16 times 32 bytes
avx_load:
%assign i 0
%rep 16
	vmovups ymm %+ i, [rdi + i * 32]
%assign i i + 1
%endrep
	ret
avx_store:
%assign i 0
%rep 16
	vmovups [rdi + i * 32], ymm %+ i
%assign i i + 1
%endrep
	ret

; RDI: 32 times 64 bytes, then 8 mask registers of 2 bytes
avx512_load:
%assign i 0
%rep 32
	vmovups zmm %+ i, [rdi + i * 64]
%assign i i + 1
%endrep
%assign i 0
%rep 8
	kmovw k %+ i, [rdi + 2048 + i * 2]
%assign i i + 1
%endrep
	ret
avx512_store:
%assign i 0
%rep 32
	vmovups [rdi + i * 64], zmm %+ i
%assign i i + 1
%endrep
%assign i 0
%rep 8
	kmovw [rdi + 2048 + i * 2], k %+ i
%assign i i + 1
%endrep
	ret

; RDI: 8 times 10 bytes; the stack is full behind it
x87_load:
	fninit
%assign i 7
%rep 8
	fld tword [rdi + i * 10]
%assign i i - 1
%endrep
	ret
x87_store:
%assign i 0
%rep 8
	fstp tword [rdi + i * 10]
%assign i i + 1
%endrep
	ret

; (area, mask)
%macro SAVER 2
%1:
	mov eax, esi
	mov rdx, rsi
	shr rdx, 32
	%2 [rdi]
	ret
%endmacro
SAVER fpu_xsave, xsave64
SAVER fpu_xrstor, xrstor64
SAVER fpu_xsaveopt, xsaveopt64
SAVER fpu_xsavec, xsavec64
SAVER fpu_xsaves, xsaves64
SAVER fpu_xrstors, xrstors64
