; SPDX-License-Identifier: Apache-2.0
; What the application carries: the hypervisor's ELF image without its debug information, and its
; symbol table (include/boot_info.h). The build defines the two paths.
section .rodata
align 16
global payload_elf:data hidden
global payload_elf_end:data hidden
payload_elf:
	incbin	PAYLOAD_ELF
payload_elf_end:

align 16
global payload_symbols:data hidden
global payload_symbols_end:data hidden
payload_symbols:
	incbin	PAYLOAD_SYMBOLS
payload_symbols_end:
