; SPDX-License-Identifier: Apache-2.0
; What runs in real mode. Results go to real_result, which C reads.
bits 16
section .low

PORT_GATE equ 0x61
PIC_MASTER equ 0x20
MMIO_IOAPIC equ 0xfec00000
TEST_SEGMENT equ 0x2000 ; linear 0x20000

global real_result, real_state, real_segments, real_strings, real_exits, real_interrupts, real_count_handler
global real_fault_handlers, real_divide, real_undefined, real_limit, real_faults, real_halt, real_tick_handler
global real_moved_idt, real_big, real_bios, real_nothing, real_flags, real_divide_at, real_undefined_at, real_limit_at

align 4
real_result: times 16 dd 0

real_nothing:
	inc dword [real_result]
	ret

; 0: CS, 1: DS, 2: SS, 3: flags, 4: MSW, 5: IP, 6: SP
real_state:
	mov [real_result], cs
	mov [real_result + 4], ds
	mov [real_result + 8], ss
	pushf
	pop word [real_result + 12]
	smsw [real_result + 16]
	call .next
.next:	pop word [real_result + 20]
	sub word [real_result + 20], .next
	mov [real_result + 24], sp
	ret

; Segments are multiplied by 16, 0xffff:0x10 is 1 MiB; far calls and returns; 32-bit operands and addresses
real_segments:
	mov ax, TEST_SEGMENT
	mov es, ax
	mov dword [es:0x10], 0x11223344
	mov ax, TEST_SEGMENT - 0x10
	mov gs, ax
	mov eax, [gs:0x110]
	mov [real_result], eax
	mov ax, 0xffff
	mov gs, ax
	mov eax, [gs:0x10]
	mov [real_result + 4], eax
	call 0:.far
	mov ebx, 0x1234
	mov eax, [dword es:ebx - 0x1224]
	mov [real_result + 12], eax
	mov cx, cs
	mov [real_result + 16], cx
	jmp 0x10:.moved - 0x100
.moved:	mov [real_result + 20], cs
	jmp 0:.back
.back:	ret
.far:	mov dword [real_result + 8], 0x600df00d
	retf

; Strings with 16-bit counters, wrapping at 64 KiB
real_strings:
	cld
	mov ax, TEST_SEGMENT
	mov es, ax
	mov di, 0xfffe
	mov cx, 4
	mov ax, 0x5a5a
	rep stosb
	mov [real_result], di
	mov [real_result + 2], cx
	mov al, [es:0xffff]
	mov [real_result + 4], al
	mov al, [es:1]
	mov [real_result + 5], al
	std
	mov si, 1
	mov di, 0x103
	push ds
	push es
	pop ds
	mov cx, 4
	rep movsb
	pop ds
	cld
	mov eax, [es:0x100]
	mov [real_result + 8], eax
	mov [real_result + 12], si
	ret

; Instructions that leave to the hypervisor
real_exits:
	xor eax, eax
	cpuid
	mov [real_result], ebx
	mov ecx, 0x1b
	rdmsr
	mov [real_result + 4], eax
	in al, 0x21
	mov [real_result + 8], al
	mov al, 0x5a
	out 0x80, al
	mov eax, cr0
	mov cr0, eax
	mov [real_result + 12], eax
	wbinvd
	mov dx, 0x80
	mov si, real_result
	mov cx, 3
	rep outsb
	mov [real_result + 16], si
	sub word [real_result + 16], real_result
	mov eax, cr4
	mov [real_result + 20], eax
	sidt [real_result + 24]
	ret

; INT by the vectors at 0: the handler sees the flags
real_interrupts:
	sti
	mov bp, sp
	int 0x40
	pushf
	pop word [real_result + 8]
	cli
	mov ax, sp
	sub ax, bp
	mov [real_result + 12], ax
	int3
	mov al, 0x7f
	add al, 1
	into
	ret
real_count_handler:
	inc dword [cs:real_result]
	push bp
	mov bp, sp
	push ax
	pushf
	pop ax
	mov [cs:real_result + 4], ax
	pop ax
	pop bp
	iret

; Faults: vector in real_faults, saved IP behind it; the handler goes on at the address in BX
real_faults: times 4 dw 0
%macro FAULT 1
.f%1:	mov word [cs:real_faults], %1
	jmp .common
%endmacro
real_fault_handlers:
	dw .f0, .f6, .f13
FAULT 0
FAULT 6
FAULT 13
.common:
	push bp
	mov bp, sp
	push ax
	mov ax, [bp + 2]
	mov [cs:real_faults + 2], ax
	mov [bp + 2], bx
	pop ax
	pop bp
	iret
real_divide:
	mov bx, divide_on
	xor cx, cx
real_divide_at:
	div cx
divide_on:
	ret
real_undefined:
	mov bx, undefined_on
real_undefined_at:
	ud2
undefined_on:
	ret
real_limit: ; a word that begins at the last byte of the segment
	mov bx, limit_on
	mov si, 0xffff
real_limit_at:
	mov ax, [si]
limit_on:
	ret

; HLT until the tick; STI lets it in no earlier
real_halt:
	mov cx, 3
.more:	sti
	hlt
	cli
	loop .more
	ret
real_tick_handler:
	inc dword [cs:real_result]
	push ax
	mov al, 0x20
	out PIC_MASTER, al
	pop ax
	iret

; A table of vectors elsewhere
real_moved_idt:
	lidt [.idtr]
	int 0x41
	ret
.idtr:	dw 0x3ff
	dd 0x30000

; 4 GiB limits in real mode: memory above 1 MiB and devices by 32-bit addresses
real_big:
	mov ebx, MMIO_IOAPIC
	mov dword [dword ebx], 1
	mov eax, [dword ebx + 0x10]
	mov [cs:real_result], eax
	mov ebx, 0x100000
	mov eax, [dword ebx]
	mov [cs:real_result + 4], eax
	mov esi, 0x100000
	mov edi, 0x20000
	mov ecx, 4
	cld
	a32 rep movsd
	mov [cs:real_result + 8], esi
	ret

; What a BIOS leaves: its user-tick vector returns
real_bios:
	int 0x1c
	inc dword [real_result]
	ret

; POPF changes IF and IOPL in real mode
real_flags:
	push word 0x3202
	popf
	pushf
	pop word [real_result]
	push word 0x0002
	popf
	pushf
	pop word [real_result + 4]
	ret
