/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps a copy of what the loader handed over, because it may lie in memory that tests use. */
#include "multiboot.h"

const struct multiboot_info *multiboot_info;
u32 multiboot_magic;

static struct multiboot_info info_copy;
static char cmdline_copy[1024];
static u8 mmap_copy[2048];

void multiboot_keep(u32 magic, const struct multiboot_info *info)
{
	multiboot_magic = magic;
	info_copy = *info;
	multiboot_info = &info_copy;
	if (info->flags & MULTIBOOT_HAS_CMDLINE) {
		const char *s = (const char *)(u64)info->cmdline;

		for (unsigned i = 0; i < sizeof(cmdline_copy) - 1 && s[i]; i++)
			cmdline_copy[i] = s[i];
		info_copy.cmdline = (u32)(u64)cmdline_copy;
	}
	if (info_copy.mmap_length > sizeof(mmap_copy))
		info_copy.mmap_length = sizeof(mmap_copy);
	if (info->flags & MULTIBOOT_HAS_MMAP) {
		memcpy(mmap_copy, (const void *)(u64)info->mmap_addr, info_copy.mmap_length);
		info_copy.mmap_addr = (u32)(u64)mmap_copy;
	}
}

const struct multiboot_mmap *multiboot_next(const struct multiboot_mmap *at)
{
	u64 next = at ? (u64)at + at->size + sizeof(at->size) : multiboot_info->mmap_addr;

	if (!(multiboot_info->flags & MULTIBOOT_HAS_MMAP))
		return NULL;
	if (next >= (u64)multiboot_info->mmap_addr + multiboot_info->mmap_length)
		return NULL;
	return (const struct multiboot_mmap *)next;
}
