; SPDX-License-Identifier: Apache-2.0
; Privileged, sensitive and virtualization instructions with the fault that each must give in ring 0 and in
; ring 3 of 64-bit mode. SDM vol. 2. A row's code gets RDI = struct operands (privileged.h) and may change
; any register that C lets it change.
bits 64

NONE equ 0x100    ; no fault
FAULT equ 0x101   ; #UD or #GP, the order of the checks is not the same everywhere
SKIP equ 0x102    ; not run in this ring
DEBUG equ 1
BREAK equ 3
UD equ 6
GP equ 13

; Conditions: without the feature it is #UD in both rings. The numbers are those of enum condition.
ALWAYS equ 0
HAS_MONITOR equ 1
HAS_INVPCID equ 2
HAS_SMAP equ 3
HAS_RDTSCP equ 4
HAS_RDPID equ 5
HAS_WAITPKG equ 6

global privileged_rows, privileged_rows_end

section .text
; ROW name, condition, ring 0, ring 3, instruction...
%macro ROW 5-*
	[section .rodata]
%%name:	db %1, 0
	[section .data]
	dq %%name, %%code
	dd %2, %3, %4, 0
	[section .text]
%%code:
%rotate 4
%rep %0 - 4
	%1
%rotate 1
%endrep
	ret
%endmacro

section .data
align 8
privileged_rows:

; ---- system tables and words: readable in ring 3 without UMIP ----
ROW "sgdt", ALWAYS, NONE, NONE, {sgdt [rdi + 2048]}
ROW "sidt", ALWAYS, NONE, NONE, {sidt [rdi + 2048]}
ROW "sldt", ALWAYS, NONE, NONE, {sldt ax}
ROW "str", ALWAYS, NONE, NONE, {str ax}
ROW "smsw", ALWAYS, NONE, NONE, {smsw eax}
ROW "lgdt", ALWAYS, NONE, GP, {lgdt [rdi]}
ROW "lidt", ALWAYS, NONE, GP, {lidt [rdi + 16]}
ROW "lldt null", ALWAYS, NONE, GP, {xor eax, eax}, {lldt ax}
ROW "ltr of a busy TSS", ALWAYS, GP, GP, {mov eax, 0x48}, {ltr ax}
ROW "ltr null", ALWAYS, GP, GP, {xor eax, eax}, {ltr ax}
ROW "lmsw", ALWAYS, NONE, GP, {mov rax, [rdi + 32]}, {lmsw ax}
ROW "clts", ALWAYS, NONE, GP, {clts}
; ---- control and debug registers ----
ROW "mov from cr0", ALWAYS, NONE, GP, {mov rax, cr0}
ROW "mov from cr2", ALWAYS, NONE, GP, {mov rax, cr2}
ROW "mov from cr3", ALWAYS, NONE, GP, {mov rax, cr3}
ROW "mov from cr4", ALWAYS, NONE, GP, {mov rax, cr4}
ROW "mov from cr8", ALWAYS, NONE, GP, {mov rax, cr8}
ROW "mov to cr0", ALWAYS, NONE, GP, {mov rax, [rdi + 32]}, {mov cr0, rax}
ROW "mov to cr2", ALWAYS, NONE, GP, {mov cr2, rax}
ROW "mov to cr3", ALWAYS, NONE, GP, {mov rax, [rdi + 40]}, {mov cr3, rax}
ROW "mov to cr4", ALWAYS, NONE, GP, {mov rax, [rdi + 48]}, {mov cr4, rax}
ROW "mov to cr8", ALWAYS, NONE, GP, {xor eax, eax}, {mov cr8, rax}
ROW "mov from cr1", ALWAYS, UD, FAULT, {db 0x0f, 0x20, 0xc8}
ROW "mov from cr5", ALWAYS, UD, FAULT, {db 0x0f, 0x20, 0xe8}
ROW "mov from cr7", ALWAYS, UD, FAULT, {db 0x0f, 0x20, 0xf8}
ROW "mov to cr1", ALWAYS, UD, FAULT, {db 0x0f, 0x22, 0xc8}
ROW "mov to cr6", ALWAYS, UD, FAULT, {db 0x0f, 0x22, 0xf0}
ROW "mov from cr9", ALWAYS, UD, FAULT, {db 0x44, 0x0f, 0x20, 0xc8}
ROW "mov from cr15", ALWAYS, UD, FAULT, {db 0x44, 0x0f, 0x20, 0xf8}
ROW "mov to cr12", ALWAYS, UD, FAULT, {db 0x44, 0x0f, 0x22, 0xe0}
ROW "mov from dr0", ALWAYS, NONE, GP, {mov rax, dr0}
ROW "mov from dr6", ALWAYS, NONE, GP, {mov rax, dr6}
ROW "mov from dr7", ALWAYS, NONE, GP, {mov rax, dr7}
ROW "mov to dr0", ALWAYS, NONE, GP, {xor eax, eax}, {mov dr0, rax}
ROW "mov to dr7", ALWAYS, NONE, GP, {mov eax, 0x400}, {mov dr7, rax}
ROW "mov from dr8", ALWAYS, UD, FAULT, {db 0x44, 0x0f, 0x21, 0xc0}
ROW "mov to dr15", ALWAYS, UD, FAULT, {db 0x44, 0x0f, 0x23, 0xf8}
; ---- MSRs, counters, caches ----
ROW "rdmsr", ALWAYS, NONE, GP, {mov ecx, 0x1b}, {rdmsr}
ROW "wrmsr", ALWAYS, NONE, GP, {mov ecx, 0x174}, {xor eax, eax}, {xor edx, edx}, {wrmsr}
ROW "rdmsr of nothing", ALWAYS, GP, GP, {mov ecx, 0xdeadbeef}, {rdmsr}
ROW "wrmsr of nothing", ALWAYS, GP, GP, {mov ecx, 0xdeadbeef}, {wrmsr}
ROW "rdtsc", ALWAYS, NONE, NONE, {rdtsc}
ROW "rdtscp", HAS_RDTSCP, NONE, NONE, {rdtscp}
ROW "rdpid", HAS_RDPID, NONE, NONE, {db 0xf3, 0x0f, 0xc7, 0xf8}
ROW "rdpmc of nothing", ALWAYS, GP, GP, {mov ecx, 0x00ffffff}, {rdpmc}
ROW "cpuid", ALWAYS, NONE, NONE, {mov r8, rbx}, {cpuid}, {mov rbx, r8}
ROW "invd", ALWAYS, NONE, GP, {invd}
ROW "wbinvd", ALWAYS, NONE, GP, {wbinvd}
ROW "wbnoinvd", ALWAYS, NONE, GP, {db 0xf3, 0x0f, 0x09}
ROW "invlpg", ALWAYS, NONE, GP, {invlpg [rdi]}
ROW "invpcid of everything", HAS_INVPCID, NONE, GP, {mov eax, 2}, {invpcid rax, [rdi + 2048 + 64]}
ROW "invpcid type 4", HAS_INVPCID, GP, GP, {mov eax, 4}, {invpcid rax, [rdi + 2048 + 64]}
ROW "clflush", ALWAYS, NONE, NONE, {clflush [rdi]}
; ---- halting, waiting, interrupt flag ----
ROW "hlt", ALWAYS, SKIP, GP, {hlt}
ROW "cli", ALWAYS, NONE, GP, {cli}
ROW "sti", ALWAYS, NONE, GP, {sti}, {cli}
ROW "pause", ALWAYS, NONE, NONE, {pause}
ROW "monitor", HAS_MONITOR, NONE, UD, {lea rax, [rdi + 2048]}, {xor ecx, ecx}, {xor edx, edx}, {monitor}
ROW "mwait", HAS_MONITOR, SKIP, UD, {xor eax, eax}, {xor ecx, ecx}, {mwait}
ROW "umonitor", HAS_WAITPKG, NONE, NONE, {lea rax, [rdi + 2048]}, {db 0xf3, 0x0f, 0xae, 0xf0}
ROW "tpause", HAS_WAITPKG, NONE, NONE, {xor eax, eax}, {xor edx, edx}, {db 0x66, 0x0f, 0xae, 0xf0}
ROW "clac", HAS_SMAP, NONE, UD, {clac}
ROW "stac", HAS_SMAP, NONE, UD, {stac}, {clac}
; ---- ports; the TSS denies them all to ring 3 ----
ROW "in", ALWAYS, NONE, GP, {in al, 0x61}
ROW "out", ALWAYS, NONE, GP, {out 0x80, al}
ROW "in dx", ALWAYS, NONE, GP, {mov edx, 0x21}, {in al, dx}
ROW "insb", ALWAYS, NONE, GP, {mov edx, 0x61}, {add rdi, 2048}, {insb}
ROW "outsb", ALWAYS, NONE, GP, {mov edx, 0x80}, {mov rsi, rdi}, {outsb}
ROW "rep insb of nothing", ALWAYS, NONE, GP, {mov edx, 0x61}, {xor ecx, ecx}, {rep insb}
ROW "in of a port beyond the bitmap", ALWAYS, NONE, GP, {mov edx, 0xfff0}, {in al, dx}
; ---- system calls; EFER.SCE and SYSENTER_CS are 0 ----
ROW "syscall", ALWAYS, UD, UD, {syscall}
ROW "sysret", ALWAYS, UD, UD, {sysret}
ROW "sysenter", ALWAYS, GP, GP, {sysenter}
ROW "sysexit", ALWAYS, GP, GP, {sysexit}
ROW "swapgs", ALWAYS, NONE, GP, {swapgs}, {swapgs}
ROW "rsm", ALWAYS, UD, UD, {rsm}
; ---- gated by CR4 bits that are 0 here ----
ROW "xgetbv", ALWAYS, UD, UD, {xor ecx, ecx}, {xgetbv}
ROW "xsetbv", ALWAYS, UD, UD, {xor ecx, ecx}, {xsetbv}
ROW "xsave", ALWAYS, UD, UD, {xsave [rdi + 2048]}
ROW "xrstors", ALWAYS, UD, UD, {db 0x0f, 0xc7, 0x1f}
ROW "rdfsbase", ALWAYS, UD, UD, {rdfsbase rax}
ROW "wrgsbase", ALWAYS, UD, UD, {wrgsbase rax}
ROW "rdpkru", ALWAYS, UD, UD, {xor ecx, ecx}, {db 0x0f, 0x01, 0xee}
ROW "wrpkru", ALWAYS, UD, UD, {xor ecx, ecx}, {db 0x0f, 0x01, 0xef}
ROW "getsec", ALWAYS, UD, UD, {xor eax, eax}, {db 0x0f, 0x37}
; ---- virtualization: hidden, or CR4.VMXE is 0 ----
ROW "vmxon", ALWAYS, UD, UD, {vmxon [rdi]}
ROW "vmxoff", ALWAYS, UD, UD, {vmxoff}
ROW "vmlaunch", ALWAYS, UD, UD, {vmlaunch}
ROW "vmresume", ALWAYS, UD, UD, {vmresume}
ROW "vmclear", ALWAYS, UD, UD, {vmclear [rdi]}
ROW "vmptrld", ALWAYS, UD, UD, {vmptrld [rdi]}
ROW "vmptrst", ALWAYS, UD, UD, {vmptrst [rdi + 2048]}
ROW "vmread", ALWAYS, UD, UD, {vmread rax, rcx}
ROW "vmread to memory", ALWAYS, UD, UD, {vmread [rdi + 2048], rcx}
ROW "vmwrite", ALWAYS, UD, UD, {vmwrite rax, rcx}
ROW "invept", ALWAYS, UD, UD, {mov eax, 2}, {invept rax, [rdi]}
ROW "invvpid", ALWAYS, UD, UD, {mov eax, 2}, {invvpid rax, [rdi]}
ROW "vmfunc", ALWAYS, UD, UD, {xor eax, eax}, {xor ecx, ecx}, {db 0x0f, 0x01, 0xd4}
ROW "vmmcall", ALWAYS, UD, UD, {db 0x0f, 0x01, 0xd9}
ROW "vmrun", ALWAYS, UD, FAULT, {db 0x0f, 0x01, 0xd8}
ROW "vmload", ALWAYS, UD, FAULT, {db 0x0f, 0x01, 0xda}
ROW "vmsave", ALWAYS, UD, FAULT, {db 0x0f, 0x01, 0xdb}
ROW "stgi", ALWAYS, UD, FAULT, {db 0x0f, 0x01, 0xdc}
ROW "clgi", ALWAYS, UD, FAULT, {db 0x0f, 0x01, 0xdd}
ROW "invlpga", ALWAYS, UD, FAULT, {db 0x0f, 0x01, 0xdf}
ROW "encls", ALWAYS, UD, UD, {db 0x0f, 0x01, 0xcf}
ROW "enclv", ALWAYS, UD, UD, {db 0x0f, 0x01, 0xc0}
ROW "enclu", ALWAYS, UD, UD, {db 0x0f, 0x01, 0xd7}
ROW "seamcall", ALWAYS, UD, FAULT, {db 0x66, 0x0f, 0x01, 0xcf}
ROW "tdcall", ALWAYS, UD, FAULT, {db 0x66, 0x0f, 0x01, 0xcc}
ROW "pconfig", ALWAYS, UD, UD, {db 0x0f, 0x01, 0xc5}
; ---- undefined or ill-formed ----
ROW "ud0", ALWAYS, UD, UD, {db 0x0f, 0xff, 0xc0}
ROW "ud1", ALWAYS, UD, UD, {db 0x0f, 0xb9, 0xc0}
ROW "ud2", ALWAYS, UD, UD, {ud2}
ROW "salc", ALWAYS, UD, UD, {db 0xd6}
ROW "into", ALWAYS, UD, UD, {db 0xce}
ROW "push es", ALWAYS, UD, UD, {db 0x06}
ROW "lock nop", ALWAYS, UD, UD, {db 0xf0, 0x90}
ROW "lock mov", ALWAYS, UD, UD, {db 0xf0, 0x89, 0x07}
ROW "mov to cs", ALWAYS, UD, UD, {db 0x8e, 0xc8}
ROW "16 bytes", ALWAYS, GP, GP, {times 15 db 0x66}, {nop}
ROW "fxsave off by 8", ALWAYS, GP, GP, {fxsave [rdi + 2048 + 8]}
ROW "address not canonical", ALWAYS, GP, GP, {mov rax, 0x1234567812345678}, {mov eax, [rax]}
ROW "null stack segment", ALWAYS, NONE, GP, {mov ecx, ss}, {xor eax, eax}, {mov ss, eax}, {mov ss, ecx}
ROW "selector beyond the GDT", ALWAYS, GP, GP, {mov eax, 0xfff8}, {mov fs, eax}
ROW "icebp", ALWAYS, DEBUG, DEBUG, {db 0xf1}
ROW "int3", ALWAYS, BREAK, GP, {int3}
ROW "int 0x90", ALWAYS, 0x90, GP, {int 0x90}
	[section .data]
privileged_rows_end:
