/* SPDX-License-Identifier: Apache-2.0 */
/* The hypervisor's ELF image (Executable and Linkable Format, 64 bits), which this application
 * contains, and its symbol table. */
#include "elf64.h"
#include "loader.h"

static const struct elf64_header *payload_header(void)
{
	return (const struct elf64_header *)payload_elf;
}

const struct elf64_segment *payload_segment(unsigned index)
{
	const struct elf64_header *h = payload_header();
	if (index >= h->phnum)
		return NULL;
	return (const struct elf64_segment *)(payload_elf + h->phoff) + index;
}

/* Built into this very file, so a failure means that the build is broken or the file is damaged. */
static bool payload_ok(u64 *size)
{
	const struct elf64_header *h = payload_header();
	u64 length = (u64)(payload_elf_end - payload_elf);
	*size = 0;
	if (length < sizeof(*h) || memcmp(h->ident, ELF_IDENT, ELF_IDENT_SIZE) != 0 ||
	    h->machine != ELF_MACHINE_X86_64 || h->phentsize != sizeof(struct elf64_segment) ||
	    h->phoff > length || h->phnum > (length - h->phoff) / sizeof(struct elf64_segment))
		return false;
	for (unsigned i = 0; i < h->phnum; i++) {
		const struct elf64_segment *s = payload_segment(i);
		if (!segment_is_loaded(s))
			continue;
		if (s->vaddr < VIRT_IMAGE || s->memsz > ~s->vaddr || s->filesz > s->memsz ||
		    s->offset > length || s->filesz > length - s->offset || !IS_ALIGNED(s->vaddr, PAGE_SIZE))
			return false;
		*size = MAX(*size, s->vaddr + s->memsz - VIRT_IMAGE);
	}
	*size = ALIGN_UP(*size, PAGE_SIZE);
	return *size != 0;
}

EFI_STATUS loader_load_hypervisor(struct loader *l)
{
	struct boot_info *info = l->info;
	u64 symbols = (u64)(payload_symbols_end - payload_symbols), size;
	if (!payload_ok(&size))
		return refuse(l, EFI_LOAD_ERROR, "socle.efi is damaged: its hypervisor image is not valid");
	EFI_STATUS status = memory_alloc(l, size + symbols, BOOT_MEM_IMAGE, &info->image_base);
	if (EFI_ERROR(status))
		return refuse(l, status, "out of memory: the hypervisor needs %llu KiB",
			      (unsigned long long)((size + symbols) >> 10));
	memset((void *)info->image_base, 0, size);
	for (unsigned i = 0; i < payload_header()->phnum; i++) {
		const struct elf64_segment *s = payload_segment(i);
		if (segment_is_loaded(s))
			memcpy((void *)(info->image_base + s->vaddr - VIRT_IMAGE), payload_elf + s->offset,
			       s->filesz);
	}
	info->image_size = size;
	info->symbols_base = info->image_base + size;
	info->symbols_size = symbols;
	memcpy((void *)info->symbols_base, payload_symbols, symbols);
	l->entry = payload_header()->entry;
	return EFI_SUCCESS;
}
