/* SPDX-License-Identifier: Apache-2.0 */
/* Loads a kernel by the Multiboot specification, version 0.6.96 ("Multiboot 1"): a 32-bit ELF, or
 * any file whose header says where it goes. Section numbers are the specification's. */
#include "elf.h"
#include "x86.h"

#define HEADER_MAGIC 0x1badb002
#define BOOT_MAGIC 0x2badb002
#define HEADER_SEARCH 8192 /* 3.1.1: within the first 8192 bytes, on a 4-byte boundary */
#define FLAG_ALIGN_MODULES 0x1
#define FLAG_MEMORY_INFO 0x2
#define FLAG_ADDRESSES 0x10000
#define FLAGS_REQUIRED 0xffff /* 3.1.2: what of these is unknown must be refused */

/* 3.3: the information structure. */
#define INFO_FLAGS 0
#define INFO_MEM_LOWER 4
#define INFO_MEM_UPPER 8
#define INFO_CMDLINE 16
#define INFO_MODS_COUNT 20
#define INFO_MODS_ADDR 24
#define INFO_MMAP_LENGTH 44
#define INFO_MMAP_ADDR 48
#define INFO_LOADER_NAME 64
#define INFO_SIZE 120
#define INFO_HAS (1 << 0 | 1 << 2 | 1 << 3 | 1 << 6 | 1 << 9) /* memory, cmdline, modules, map, name */
#define MMAP_ENTRY 24
#define MODULE_ENTRY 16

#define SEL_CODE 0x08
#define SEL_DATA 0x10
#define INFO_LOWEST 0x9000 /* above what the BIOS data area and boot sectors use */

/* Image parts and modules; what follows finds room beside them. */
#define MAX_USED (ELF_MAX_SEGMENTS + CONFIG_MAX_MODULES + 1)

struct multiboot_plan {
	struct memmap map;
	u32 entry;
	struct memmap_range used[MAX_USED];
	unsigned nr_used;
	gpa_t kernel_end;
	gpa_t modules[CONFIG_MAX_MODULES];
};

/* The block that EBX points to is built here and written once. */
struct info_block {
	gpa_t base;
	u32 used;
	bool full;
	u8 bytes[4096];
};

/* Offset of the header in the file; -1: there is none. */
static int find_header(const struct boot_image *image)
{
	u64 end = MIN(image->kernel_size, (u64)HEADER_SEARCH);
	for (u32 at = 0; at + 12 <= end; at += 4) {
		const u8 *h = image->kernel + at;
		if (load_u32(h) == HEADER_MAGIC && load_u32(h) + load_u32(h + 4) + load_u32(h + 8) == 0)
			return (int)at;
	}
	return -1;
}

bool multiboot_probe(const struct boot_image *image)
{
	return find_header(image) >= 0;
}

/* Copies one part of the kernel and clears what follows it. */
static int load_part(const struct boot_job *job, struct multiboot_plan *plan, u64 offset, gpa_t to,
		     u64 file_size, u64 memory_size)
{
	if (to < MEMMAP_HIGH_START && to + memory_size > MEMMAP_LOW_END)
		return boot_fail(job, ERR_INVAL, "%s: the part at 0x%llx would lie over the BIOS area",
				 job->image->path, (unsigned long long)to);
	int err = boot_write(job, to, job->image->kernel + offset, file_size, "kernel");
	if (!err)
		err = boot_zero(job, to + file_size, memory_size - file_size, "kernel (its zeroed part)");
	plan->used[plan->nr_used++] = (struct memmap_range){to, memory_size};
	plan->kernel_end = MAX(plan->kernel_end, to + memory_size);
	return err;
}

static int load_elf(const struct boot_job *job, struct multiboot_plan *plan)
{
	struct elf_file elf;
	int err = elf_parse(job, &elf);
	for (unsigned i = 0; i < elf.nr_segments && !err; i++) {
		const struct elf_segment *s = &elf.segments[i];
		err = load_part(job, plan, s->offset, s->paddr, s->file_size, s->memory_size);
	}
	plan->entry = elf.entry;
	return err;
}

/* 3.1.3: the address fields; they stand at offsets 12 to 28 of the header, at `at` in the file. */
static int load_by_addresses(const struct boot_job *job, struct multiboot_plan *plan, u32 at)
{
	const struct boot_image *image = job->image;
	const u8 *h = image->kernel + at;
	if (at + 32 > image->kernel_size)
		return boot_fail(job, ERR_INVAL, "%s: cut short in its Multiboot header", image->path);
	u32 header = load_u32(h + 12), load = load_u32(h + 16);
	u32 load_end = load_u32(h + 20), bss_end = load_u32(h + 24);
	u64 offset = (u64)at - (header - load);
	if (header < load || offset > at)
		return boot_fail(job, ERR_INVAL, "%s: bad Multiboot header: load address 0x%x", image->path,
				 load);
	u64 size = load_end ? (u64)load_end - load : image->kernel_size - offset;
	u64 memory = bss_end ? (u64)bss_end - load : size;
	if ((load_end && load_end < load) || (bss_end && bss_end < load) || size > memory)
		return boot_fail(job, ERR_INVAL, "%s: bad Multiboot header: it ends before it begins",
				 image->path);
	if (size > image->kernel_size - offset)
		return boot_fail(job, ERR_INVAL, "%s: cut short: its header wants %llu bytes more",
				 image->path, (unsigned long long)(size - (image->kernel_size - offset)));
	plan->entry = load_u32(h + 28);
	return load_part(job, plan, offset, load, size, memory);
}

static int load_kernel(const struct boot_job *job, struct multiboot_plan *plan)
{
	const struct boot_image *image = job->image;
	u32 at = (u32)find_header(image);
	u32 flags = load_u32(image->kernel + at + 4);
	u32 unknown = flags & FLAGS_REQUIRED & ~(u32)(FLAG_ALIGN_MODULES | FLAG_MEMORY_INFO);
	if (unknown)
		return boot_fail(job, ERR_NOTSUP,
				 "%s: its Multiboot header requires 0x%x, which guests do not have%s",
				 image->path, unknown, unknown == 4 ? " (a video mode)" : "");
	if (flags & FLAG_ADDRESSES)
		return load_by_addresses(job, plan, at);
	if (elf_probe(image->kernel, image->kernel_size))
		return load_elf(job, plan);
	return boot_fail(job, ERR_INVAL, "%s: Multiboot header, but neither an ELF nor load addresses",
			 image->path);
}

static int load_modules(const struct boot_job *job, struct multiboot_plan *plan)
{
	gpa_t from = MAX(plan->kernel_end, (gpa_t)MEMMAP_HIGH_START);
	for (unsigned i = 0; i < job->image->nr_modules; i++) {
		const struct boot_module *module = &job->image->modules[i];
		gpa_t *base = &plan->modules[i];
		if (!memmap_find_low(&plan->map, plan->used, plan->nr_used, from, module->size, PAGE_SIZE,
				     base) ||
		    *base + module->size > PAGE_SIZE_1G * 4) {
			boot_blame(job, "module", module->string);
			return boot_fail(job, ERR_NOMEM, "module %s does not fit: %llu KiB", module->string,
					 (unsigned long long)((module->size + 1023) >> 10));
		}
		int err = boot_write(job, *base, module->data, module->size, "module");
		if (err)
			return err;
		plan->used[plan->nr_used++] = (struct memmap_range){*base, module->size};
	}
	return 0;
}

/* Reserves n bytes of the block and returns their offset. What does not fit is left out: the caller
 * looks at `full` once, at the end. */
static u32 info_take(struct info_block *info, u64 n)
{
	u32 at = info->used;
	if (n > sizeof(info->bytes) - at) {
		info->full = true;
		return 0;
	}
	info->used += ALIGN_UP((u32)n, 4U);
	return at;
}

/* Address of a copy of a followed by a blank and b (where b is not empty). */
static u32 info_string(struct info_block *info, const char *a, const char *b)
{
	size_t na = strlen(a), nb = strlen(b);
	u32 at = info_take(info, na + nb + 2);
	if (info->full)
		return 0;
	u8 *out = info->bytes + at;
	memcpy(out, a, na);
	if (nb) {
		out[na] = ' ';
		memcpy(out + na + 1, b, nb);
	}
	return (u32)info->base + at;
}

static void info_add_memory(struct info_block *info, const struct memmap *map)
{
	u8 *fields = info->bytes;
	u32 at = info_take(info, (u64)map->count * MMAP_ENTRY);
	for (unsigned i = 0; i < map->count; i++) {
		u8 *entry = info->bytes + at + i * MMAP_ENTRY;
		store_u32(entry, MMAP_ENTRY - 4); /* 3.3: does not count itself */
		store_u64(entry + 4, map->entries[i].base);
		store_u64(entry + 12, map->entries[i].length);
		store_u32(entry + 20, map->entries[i].type);
	}
	store_u32(fields + INFO_MMAP_LENGTH, map->count * MMAP_ENTRY);
	store_u32(fields + INFO_MMAP_ADDR, (u32)info->base + at);
	store_u32(fields + INFO_MEM_LOWER, MEMMAP_LOW_END >> 10);
	store_u32(fields + INFO_MEM_UPPER, (u32)((memmap_low_top(map) - MEMMAP_HIGH_START) >> 10));
}

static void info_add_modules(struct info_block *info, const struct boot_job *job,
			     const struct multiboot_plan *plan)
{
	unsigned count = job->image->nr_modules;
	u32 at = info_take(info, (u64)count * MODULE_ENTRY);
	for (unsigned i = 0; i < count; i++) {
		const struct boot_module *module = &job->image->modules[i];
		u8 *entry = info->bytes + at + i * MODULE_ENTRY;
		store_u32(entry, (u32)plan->modules[i]);
		store_u32(entry + 4, (u32)(plan->modules[i] + module->size));
		store_u32(entry + 8, info_string(info, module->string, ""));
	}
	store_u32(info->bytes + INFO_MODS_COUNT, count);
	store_u32(info->bytes + INFO_MODS_ADDR, (u32)info->base + at);
}

/* The specification leaves GDTR undefined; a valid table does no harm and helps careless kernels. */
static void info_add_gdt(struct info_block *info, struct boot_state *state)
{
	static const u64 gdt[] = {0, 0x00cf9b000000ffff, 0x00cf93000000ffff};
	u32 at = info_take(info, sizeof(gdt));
	memcpy(info->bytes + at, gdt, sizeof(gdt));
	state->gdt_base = info->base + at;
	state->gdt_limit = sizeof(gdt) - 1;
}

/* Below 1 MiB, else behind the kernel: never into a gap of the kernel, which it may count as its own. */
static bool place_info(const struct multiboot_plan *plan, struct info_block *info)
{
	u64 size = sizeof(info->bytes);
	bool found =
	    memmap_find_low(&plan->map, plan->used, plan->nr_used, INFO_LOWEST, size, PAGE_SIZE, &info->base);
	if (found && info->base >= MEMMAP_HIGH_START)
		found = memmap_find_low(&plan->map, plan->used, plan->nr_used, plan->kernel_end, size,
					PAGE_SIZE, &info->base);
	return found;
}

static int write_info(const struct boot_job *job, const struct multiboot_plan *plan)
{
	struct info_block info = {0};
	if (!place_info(plan, &info))
		return boot_fail(job, ERR_NOMEM, "%s: no room for the Multiboot information",
				 job->image->path);
	info_take(&info, INFO_SIZE);
	store_u32(info.bytes + INFO_FLAGS, INFO_HAS);
	info_add_memory(&info, &plan->map);
	info_add_gdt(&info, job->state);
	info_add_modules(&info, job, plan);
	store_u32(info.bytes + INFO_CMDLINE, info_string(&info, job->image->path, job->image->cmdline));
	store_u32(info.bytes + INFO_LOADER_NAME, info_string(&info, "Socle", ""));
	if (info.full) {
		boot_blame(job, "cmdline", NULL);
		return boot_fail(job, ERR_TOOLONG,
				 "%s: command line and module strings are too long together",
				 job->image->path);
	}
	job->state->rbx = info.base;
	return boot_write(job, info.base, info.bytes, info.used, "Multiboot information");
}

/* 3.2: the machine state. */
static void fill_state(struct boot_state *s, u32 entry)
{
	s->mode = BOOT_PROT32;
	boot_flat_segments(s, SEL_CODE, SEL_DATA);
	s->rip = entry;
	s->rax = BOOT_MAGIC;
	s->cr0 = CR0_PE | CR0_ET;
	s->idt_limit = 0x3ff; /* the real-mode vectors, for a kernel that goes back there */
}

int multiboot_load(const struct boot_job *job)
{
	struct multiboot_plan plan = {0};
	if (job->image->initrd_size) {
		boot_blame(job, "initrd", NULL);
		return boot_fail(job, ERR_INVAL, "%s is a Multiboot kernel: it takes modules, not an initrd",
				 job->image->path);
	}
	memmap_build(&plan.map, job->mem);
	if (memmap_low_top(&plan.map) == 0)
		return boot_fail(job, ERR_NOMEM, "no guest memory at 1 MiB");
	int err = load_kernel(job, &plan);
	if (!err)
		err = load_modules(job, &plan);
	if (!err)
		err = write_info(job, &plan);
	if (!err)
		fill_state(job->state, plan.entry);
	return err;
}
