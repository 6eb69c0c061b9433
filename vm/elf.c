/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the headers of a 32-bit ELF (System V ABI, chapters 4 and 5). Nothing in the file is
 * believed before it is checked. */
#include "elf.h"

#define EH_CLASS 4
#define EH_DATA 5
#define EH_TYPE 16
#define EH_MACHINE 18
#define EH_ENTRY 24
#define EH_PHOFF 28
#define EH_PHENTSIZE 42
#define EH_PHNUM 44
#define EH_SIZE 52

#define PH_TYPE 0
#define PH_OFFSET 4
#define PH_VADDR 8
#define PH_PADDR 12
#define PH_FILESZ 16
#define PH_MEMSZ 20
#define PH_SIZE 32

#define CLASS_32 1
#define CLASS_64 2
#define DATA_LITTLE 1
#define TYPE_EXEC 2
#define MACHINE_386 3
#define PT_LOAD 1

bool elf_probe(const u8 *file, u64 size)
{
	return size >= EH_SIZE && memcmp(file, "\177ELF", 4) == 0;
}

static int check_header(const struct boot_job *job, const u8 *h, u64 size)
{
	const char *path = job->image->path;
	if (h[EH_CLASS] == CLASS_64)
		return boot_fail(job, ERR_NOTSUP,
				 "%s: 64-bit ELF: Multiboot loads 32-bit ones (objcopy -O elf32-i386)", path);
	if (h[EH_CLASS] != CLASS_32 || h[EH_DATA] != DATA_LITTLE || load_u16(h + EH_MACHINE) != MACHINE_386 ||
	    load_u16(h + EH_TYPE) != TYPE_EXEC)
		return boot_fail(job, ERR_NOTSUP, "%s: ELF, but not an executable for the 80386", path);
	u64 count = load_u16(h + EH_PHNUM);
	if (load_u16(h + EH_PHENTSIZE) != PH_SIZE || load_u32(h + EH_PHOFF) + count * PH_SIZE > size)
		return boot_fail(job, ERR_INVAL, "%s: damaged: program headers outside the file", path);
	return 0;
}

static int add_segment(const struct boot_job *job, struct elf_file *elf, const u8 *ph)
{
	struct elf_segment s = {
	    .offset = load_u32(ph + PH_OFFSET),
	    .file_size = load_u32(ph + PH_FILESZ),
	    .vaddr = load_u32(ph + PH_VADDR),
	    .paddr = load_u32(ph + PH_PADDR),
	    .memory_size = load_u32(ph + PH_MEMSZ),
	};
	if (load_u32(ph + PH_TYPE) != PT_LOAD || s.memory_size == 0)
		return 0;
	if ((u64)s.offset + s.file_size > job->image->kernel_size)
		return boot_fail(job, ERR_INVAL,
				 "%s: cut short: a segment ends at 0x%llx, the file at 0x%llx",
				 job->image->path, (unsigned long long)s.offset + s.file_size,
				 (unsigned long long)job->image->kernel_size);
	if (s.file_size > s.memory_size || (u64)s.paddr + s.memory_size > PAGE_SIZE_1G * 4)
		return boot_fail(job, ERR_INVAL, "%s: damaged: bad sizes of the segment at 0x%x",
				 job->image->path, s.paddr);
	if (elf->nr_segments == ELF_MAX_SEGMENTS)
		return boot_fail(job, ERR_NOTSUP, "%s: more than %u segments", job->image->path,
				 ELF_MAX_SEGMENTS);
	elf->segments[elf->nr_segments++] = s;
	return 0;
}

/* A kernel linked for high addresses may name its entry by either address; it is entered with
 * paging off. */
static u32 physical_entry(const struct elf_file *elf, u32 entry)
{
	for (unsigned i = 0; i < elf->nr_segments; i++) {
		const struct elf_segment *s = &elf->segments[i];
		if (entry >= s->vaddr && entry - s->vaddr < s->memory_size)
			return entry - s->vaddr + s->paddr;
	}
	return entry;
}

int elf_parse(const struct boot_job *job, struct elf_file *elf)
{
	const u8 *file = job->image->kernel;
	memset(elf, 0, sizeof(*elf));
	int err = check_header(job, file, job->image->kernel_size);
	if (err)
		return err;
	const u8 *ph = file + load_u32(file + EH_PHOFF);
	for (unsigned i = 0; i < load_u16(file + EH_PHNUM) && !err; i++)
		err = add_segment(job, elf, ph + i * PH_SIZE);
	if (!err && !elf->nr_segments)
		err = boot_fail(job, ERR_INVAL, "%s: an ELF with nothing to load", job->image->path);
	elf->entry = physical_entry(elf, load_u32(file + EH_ENTRY));
	return err;
}
