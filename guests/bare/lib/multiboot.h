/* SPDX-License-Identifier: Apache-2.0 */
/* What a Multiboot 1 loader hands over. Multiboot specification 0.6.96, section 3.3. */
#pragma once

#include "base.h"

#define MULTIBOOT_LOADER_MAGIC 0x2badb002U
#define MULTIBOOT_HAS_MEM BIT(0)
#define MULTIBOOT_HAS_CMDLINE BIT(2)
#define MULTIBOOT_HAS_MODULES BIT(3)
#define MULTIBOOT_HAS_MMAP BIT(6)
#define MULTIBOOT_MMAP_RAM 1

struct multiboot_info {
	u32 flags;
	u32 mem_lower, mem_upper; /* KiB from 0 and from 1 MiB */
	u32 boot_device;
	u32 cmdline;
	u32 mods_count, mods_addr;
	u32 syms[4];
	u32 mmap_length, mmap_addr;
};

struct multiboot_module {
	u32 start, end, string, reserved;
};

struct __attribute__((packed)) multiboot_mmap {
	u32 size; /* of what follows */
	u64 base, length;
	u32 type;
};

extern const struct multiboot_info *multiboot_info;
extern u32 multiboot_magic;

/* Copies info; all later use is of the copy. */
void multiboot_keep(u32 magic, const struct multiboot_info *info);
/* Walks the memory map: entry behind `at`, or the first where at is NULL; NULL at the end. */
const struct multiboot_mmap *multiboot_next(const struct multiboot_mmap *at);
