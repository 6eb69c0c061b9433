/* SPDX-License-Identifier: Apache-2.0 */
/* Loads a Linux bzImage by the 64-bit boot protocol (kernel Documentation/arch/x86/boot.rst and
 * zero-page.rst): the kernel's protected-mode part, the initial RAM disk, and the "zero page" that
 * tells it about both. */
#include "load.h"
#include "memmap.h"
#include "x86.h"

/* Where the loader's own things go, below the extended BIOS data area. */
#define ADDR_GDT 0x1000
#define ADDR_STACK_TOP 0x7000
#define ADDR_ZERO_PAGE 0x7000
#define ADDR_PAGE_TABLES 0x9000 /* PML4, PDPT, four page directories */
#define ADDR_CMDLINE 0x20000

/* The setup header, at the same offsets in the file and in the zero page. */
#define HDR_START 0x1f1
#define HDR_SETUP_SECTS 0x1f1
#define HDR_SYSSIZE 0x1f4 /* units of 16 bytes */
#define HDR_VID_MODE 0x1fa
#define HDR_BOOT_FLAG 0x1fe
#define HDR_JUMP_OFFSET 0x201 /* its value + 0x202 is the end of the header */
#define HDR_MAGIC 0x202
#define HDR_VERSION 0x206
#define HDR_TYPE_OF_LOADER 0x210
#define HDR_LOADFLAGS 0x211
#define HDR_CODE32_START 0x214
#define HDR_RAMDISK_IMAGE 0x218
#define HDR_RAMDISK_SIZE 0x21c
#define HDR_HEAP_END_PTR 0x224
#define HDR_CMD_LINE_PTR 0x228
#define HDR_INITRD_ADDR_MAX 0x22c
#define HDR_KERNEL_ALIGNMENT 0x230
#define HDR_RELOCATABLE 0x234
#define HDR_XLOADFLAGS 0x236
#define HDR_CMDLINE_SIZE 0x238
#define HDR_PREF_ADDRESS 0x258
#define HDR_INIT_SIZE 0x260
#define HDR_END_MIN 0x264 /* all of protocol 2.12 */
#define HDR_END_MAX 0x290 /* where the zero page goes on with something else */

#define BOOT_FLAG 0xaa55
#define MAGIC 0x53726448 /* "HdrS" */
#define VERSION_MIN 0x20c
#define LOADED_HIGH 0x01
#define CAN_USE_HEAP 0x80
#define XLF_KERNEL_64 0x01
#define LOADER_UNDEFINED 0xff
#define VID_MODE_NORMAL 0xffff
#define ENTRY_64 0x200 /* from the start of the protected-mode part */
#define SECTOR 512

/* The rest of the zero page. */
#define ZP_RSDP 0x070
#define ZP_E820_COUNT 0x1e8
#define ZP_E820_TABLE 0x2d0
#define ZP_E820_ENTRY 20
#define ZP_E820_MAX 128

#define SEL_CODE 0x10
#define SEL_DATA 0x18

struct linux_plan {
	const u8 *header;
	u64 setup_size; /* boot sector and setup code: not loaded */
	u64 code_size;
	u64 span; /* memory that the kernel needs from load on */
	gpa_t load, initrd;
	struct memmap map;
};

bool linux_probe(const struct boot_image *image)
{
	return image->kernel_size >= HDR_END_MIN && load_u16(image->kernel + HDR_BOOT_FLAG) == BOOT_FLAG &&
	       load_u32(image->kernel + HDR_MAGIC) == MAGIC;
}

/* The header, and whether the file is what it says. */
static int check_header(const struct boot_job *job, struct linux_plan *plan)
{
	const struct boot_image *image = job->image;
	const u8 *h = image->kernel;
	unsigned version = load_u16(h + HDR_VERSION);
	if (version < VERSION_MIN)
		return boot_fail(job, ERR_NOTSUP,
				 "%s: boot protocol %u.%02u: expected 2.12 (Linux 3.8) or later", image->path,
				 version >> 8, version & 0xff);
	if (!(h[HDR_LOADFLAGS] & LOADED_HIGH) || !(load_u16(h + HDR_XLOADFLAGS) & XLF_KERNEL_64))
		return boot_fail(job, ERR_NOTSUP, "%s: not a 64-bit Linux kernel", image->path);
	u64 alignment = load_u32(h + HDR_KERNEL_ALIGNMENT);
	if (alignment == 0 || (alignment & (alignment - 1)))
		return boot_fail(job, ERR_INVAL, "%s: damaged: kernel alignment 0x%llx", image->path,
				 (unsigned long long)alignment);
	u64 sectors = h[HDR_SETUP_SECTS] ? h[HDR_SETUP_SECTS] : 4;
	plan->header = h;
	plan->setup_size = (sectors + 1) * SECTOR;
	plan->code_size = (u64)load_u32(h + HDR_SYSSIZE) * 16;
	if (plan->code_size <= ENTRY_64 || plan->setup_size + plan->code_size > image->kernel_size)
		return boot_fail(job, ERR_INVAL, "%s: cut short: %llu bytes, its header says %llu",
				 image->path, (unsigned long long)image->kernel_size,
				 (unsigned long long)(plan->setup_size + plan->code_size));
	plan->span = MAX(load_u32(h + HDR_INIT_SIZE), plan->code_size);
	return 0;
}

/* Where the kernel goes: where it prefers to be, else the lowest place above 1 MiB. */
static int place_kernel(const struct boot_job *job, struct linux_plan *plan)
{
	gpa_t top = memmap_low_top(&plan->map);
	gpa_t preferred = load_u64(plan->header + HDR_PREF_ADDRESS);
	if (preferred >= MEMMAP_HIGH_START && preferred < top && plan->span <= top - preferred) {
		plan->load = preferred;
		return 0;
	}
	bool movable = plan->header[HDR_RELOCATABLE];
	gpa_t lowest =
	    ALIGN_UP((gpa_t)MEMMAP_HIGH_START, (gpa_t)load_u32(plan->header + HDR_KERNEL_ALIGNMENT));
	if (movable && lowest < top && plan->span <= top - lowest) {
		plan->load = lowest;
		return 0;
	}
	u64 needed = (movable ? lowest : preferred) + plan->span;
	return boot_fail(job, ERR_NOMEM, "%s does not fit: this kernel needs %llu MiB of memory below 4 GiB",
			 job->image->path, (unsigned long long)((needed + 0xfffff) >> 20));
}

/* The initial RAM disk goes as high as the kernel allows, so that it is out of its way. */
static int place_initrd(const struct boot_job *job, struct linux_plan *plan)
{
	u64 size = job->image->initrd_size;
	gpa_t top = MIN(memmap_low_top(&plan->map), (gpa_t)load_u32(plan->header + HDR_INITRD_ADDR_MAX) + 1);
	gpa_t lowest = ALIGN_UP(plan->load + plan->span, PAGE_SIZE);
	if (!size)
		return 0;
	if (top > lowest && size <= top - lowest)
		plan->initrd = ALIGN_DOWN(top - size, PAGE_SIZE);
	if (plan->initrd >= lowest)
		return 0;
	boot_blame(job, "initrd", NULL);
	return boot_fail(job, ERR_NOMEM,
			 "initrd does not fit: %llu KiB, of guest memory %llu KiB remain beside the kernel",
			 (unsigned long long)((size + 1023) >> 10),
			 (unsigned long long)(top > lowest ? (top - lowest) >> 10 : 0));
}

static int write_cmdline(const struct boot_job *job, const struct linux_plan *plan)
{
	size_t length = strlen(job->image->cmdline);
	u32 limit = load_u32(plan->header + HDR_CMDLINE_SIZE);
	if (length > limit) {
		boot_blame(job, "cmdline", NULL);
		return boot_fail(job, ERR_TOOLONG, "cmdline of %u characters: this kernel takes %u",
				 (unsigned)length, limit);
	}
	return boot_write(job, ADDR_CMDLINE, job->image->cmdline, length + 1, "cmdline");
}

static void fill_e820(u8 *page, const struct memmap *map)
{
	_Static_assert(MEMMAP_MAX <= ZP_E820_MAX, "the zero page has room for the memory map");
	page[ZP_E820_COUNT] = (u8)map->count;
	for (unsigned i = 0; i < map->count; i++) {
		u8 *entry = page + ZP_E820_TABLE + i * ZP_E820_ENTRY;
		store_u64(entry, map->entries[i].base);
		store_u64(entry + 8, map->entries[i].length);
		store_u32(entry + 16, map->entries[i].type);
	}
}

static int write_zero_page(const struct boot_job *job, const struct linux_plan *plan)
{
	u8 page[PAGE_SIZE] = {0};
	u32 header_end = HDR_MAGIC + plan->header[HDR_JUMP_OFFSET];
	header_end = MAX(MIN(header_end, HDR_END_MAX), HDR_END_MIN);
	memcpy(page + HDR_START, plan->header + HDR_START, header_end - HDR_START);
	page[HDR_TYPE_OF_LOADER] = LOADER_UNDEFINED;
	page[HDR_LOADFLAGS] |= CAN_USE_HEAP;
	store_u16(page + HDR_HEAP_END_PTR, 0xfe00);
	store_u16(page + HDR_VID_MODE, VID_MODE_NORMAL);
	store_u32(page + HDR_CODE32_START, (u32)plan->load);
	store_u32(page + HDR_CMD_LINE_PTR, ADDR_CMDLINE);
	store_u32(page + HDR_RAMDISK_IMAGE, (u32)plan->initrd);
	store_u32(page + HDR_RAMDISK_SIZE, (u32)job->image->initrd_size);
	store_u64(page + ZP_RSDP, job->image->rsdp);
	fill_e820(page, &plan->map);
	return boot_write(job, ADDR_ZERO_PAGE, page, sizeof(page), "zero page");
}

/* Maps the first 4 GiB one to one with 2 MiB pages (SDM volume 3, 4.5.4). */
static int write_page_tables(const struct boot_job *job)
{
	u64 table[512] = {ADDR_PAGE_TABLES + PAGE_SIZE + (PTE_P | PTE_W)};
	int err = boot_write(job, ADDR_PAGE_TABLES, table, sizeof(table), "page tables");
	table[0] = 0;
	for (unsigned i = 0; i < 4; i++)
		table[i] = ADDR_PAGE_TABLES + (2 + i) * PAGE_SIZE + (PTE_P | PTE_W);
	if (!err)
		err = boot_write(job, ADDR_PAGE_TABLES + PAGE_SIZE, table, sizeof(table), "page tables");
	for (unsigned dir = 0; dir < 4 && !err; dir++) {
		for (unsigned i = 0; i < 512; i++)
			table[i] = dir * PAGE_SIZE_1G + i * PAGE_SIZE_2M + (PTE_P | PTE_W | PTE_PS);
		err = boot_write(job, ADDR_PAGE_TABLES + (2 + dir) * PAGE_SIZE, table, sizeof(table),
				 "page tables");
	}
	return err;
}

static int write_gdt(const struct boot_job *job)
{
	static const u64 gdt[] = {0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff};
	job->state->gdt_base = ADDR_GDT;
	job->state->gdt_limit = sizeof(gdt) - 1;
	return boot_write(job, ADDR_GDT, gdt, sizeof(gdt), "descriptor table");
}

static void fill_state(struct boot_state *s, const struct linux_plan *plan)
{
	s->mode = BOOT_LONG64;
	boot_flat_segments(s, SEL_CODE, SEL_DATA);
	s->rip = plan->load + ENTRY_64;
	s->rsp = ADDR_STACK_TOP;
	s->rsi = ADDR_ZERO_PAGE;
	s->cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_PG;
	s->cr3 = ADDR_PAGE_TABLES;
	s->cr4 = CR4_PAE;
	s->efer = EFER_LME | EFER_LMA;
}

int linux_load(const struct boot_job *job)
{
	const struct boot_image *image = job->image;
	struct linux_plan plan = {0};
	if (image->nr_modules) {
		boot_blame(job, "module", image->modules[0].string);
		return boot_fail(job, ERR_INVAL, "%s is a Linux kernel: it takes an initrd, not modules",
				 image->path);
	}
	memmap_build(&plan.map, job->mem);
	int err = check_header(job, &plan);
	if (!err)
		err = place_kernel(job, &plan);
	if (!err)
		err = place_initrd(job, &plan);
	if (!err)
		err = write_cmdline(job, &plan);
	if (!err)
		err = boot_write(job, plan.load, image->kernel + plan.setup_size, plan.code_size, "kernel");
	if (!err)
		err = boot_write(job, plan.initrd, image->initrd, image->initrd_size, "initrd");
	if (!err)
		err = write_page_tables(job);
	if (!err)
		err = write_gdt(job);
	if (!err)
		err = write_zero_page(job, &plan);
	if (!err)
		fill_state(job->state, &plan);
	return err;
}
