/* SPDX-License-Identifier: Apache-2.0 */
/* ELF64 (System V ABI, chapters 4 and 5): the two structures that a loader of executables needs. */
#pragma once

#include "types.h"

#define ELF_IDENT "\177ELF\2\1" /* 64 bits, little endian */
#define ELF_IDENT_SIZE 6
#define ELF_MACHINE_X86_64 62
#define ELF_LOAD 1 /* segment type */
#define ELF_X 1u   /* segment flags */
#define ELF_W 2u

struct elf64_header {
	u8 ident[16];
	u16 type, machine;
	u32 version;
	u64 entry, phoff, shoff;
	u32 flags;
	u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct elf64_segment {
	u32 type, flags;
	u64 offset, vaddr, paddr, filesz, memsz, align;
};

_Static_assert(sizeof(struct elf64_header) == 64 && sizeof(struct elf64_segment) == 56, "ELF64");

/* hypervisor.c: program header of the embedded image, NULL behind the last one. */
const struct elf64_segment *payload_segment(unsigned index);

/* The linker may leave an empty segment in. */
static inline bool segment_is_loaded(const struct elf64_segment *s)
{
	return s->type == ELF_LOAD && s->memsz;
}
