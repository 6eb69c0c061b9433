; SPDX-License-Identifier: Apache-2.0
; Starts a Linux kernel that is in memory already, as mkpvh puts it behind this: from Multiboot's entry (0.6.96, 3.2)
; to the one that Xen's "x86/HVM direct boot ABI" (PVH) defines; both are 32-bit protected mode without paging.
; The module is the initial RAM disk.
START equ 0x100000
MULTIBOOT_MAGIC equ 0x1badb002
MULTIBOOT_FLAGS equ 3 ; align modules, tell the memory map
PVH_MAGIC equ 0x336ec578
MMAP_MAX equ 32

; Multiboot information
INFO_CMDLINE equ 16
INFO_MODS_COUNT equ 20
INFO_MODS_ADDR equ 24
INFO_MMAP_LENGTH equ 44
INFO_MMAP_ADDR equ 48

bits 32
org START
	align 4
	dd MULTIBOOT_MAGIC, MULTIBOOT_FLAGS, -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)
	dd 0
entry: ; START + 16
	cli
	cld
	mov esp, stack_top

; The kernel's path, which is the first word, is not for it.
	mov esi, [ebx + INFO_CMDLINE]
.word:	lodsb
	cmp al, ' '
	je .words
	test al, al
	jnz .word
	dec esi
.words:	mov [cmdline_paddr], esi

	cmp dword [ebx + INFO_MODS_COUNT], 0
	je .map
	mov esi, [ebx + INFO_MODS_ADDR]
	mov eax, [esi]
	mov [module], eax
	mov ecx, [esi + 4]
	sub ecx, eax
	mov [module + 8], ecx
	mov dword [nr_modules], 1

; Entries of 24 bytes here and there; the sizes that Multiboot puts in front of its own count from behind themselves.
.map:	mov esi, [ebx + INFO_MMAP_ADDR]
	mov edx, [ebx + INFO_MMAP_LENGTH]
	add edx, esi
	mov edi, memmap
.entry:	cmp esi, edx
	jae .go
	cmp dword [memmap_entries], MMAP_MAX
	je .go
	lodsd
	lea ebp, [esi + eax]
	mov ecx, 5
	rep movsd
	add edi, 4
	inc dword [memmap_entries]
	mov esi, ebp
	jmp .entry

.go:	mov ebx, start_info
	jmp [kernel]

align 8
start_info:
	dd PVH_MAGIC, 1, 0
nr_modules:
	dd 0
	dq module
cmdline_paddr:
	dq 0
	dq 0 ; ACPI's root pointer: Linux finds it in the BIOS area
	dq memmap
memmap_entries:
	dd 0, 0
module:
	times 4 dq 0
memmap:
	times MMAP_MAX * 24 db 0
	times 256 db 0
stack_top:
kernel: ; its entry: mkpvh appends that
