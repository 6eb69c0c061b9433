/* SPDX-License-Identifier: Apache-2.0 */
/* 32-bit ELF executables, as Multiboot kernels are. */
#pragma once

#include "load.h"
#include "memmap.h"

#define ELF_MAX_SEGMENTS 16

struct elf_segment {
	u32 offset, file_size; /* in the file */
	u32 vaddr, paddr, memory_size;
};

struct elf_file {
	u32 entry; /* physical */
	unsigned nr_segments;
	struct elf_segment segments[ELF_MAX_SEGMENTS]; /* PT_LOAD, memory_size > 0 */
};

bool elf_probe(const u8 *file, u64 size);
/* Reads and checks all headers. ERR_INVAL with why. */
int elf_parse(const struct boot_job *job, struct elf_file *elf);
