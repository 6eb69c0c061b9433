/* SPDX-License-Identifier: Apache-2.0 */
/* efi/paging.c and efi/hypervisor.c: what the page tables that the hypervisor starts on allow. A small
 * ELF image stands in for the hypervisor; the tables are walked as the processor would. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "../../efi/hypervisor.c"
#include "../../efi/paging.c"

#define MIB ((u64)1 << 20)
#define GIB ((u64)1 << 30)
#define NOT_MAPPED (~(u64)0)
#define CODE_AT 512
#define DATA_AT 640
#define IMAGE_BYTES 768

/* Room for the embedded files, between the symbols that efi/payload.asm would define. */
__asm__(
    ".data\n.balign 16\n.globl payload_elf, payload_elf_end, payload_symbols, payload_symbols_end\n"
    "payload_elf: .space 768\npayload_elf_end:\npayload_symbols: .ascii \"symbols\"\npayload_symbols_end:\n");
/* The code that switches tables; only its address matters. */
__asm__(".text\n.globl loader_jump\nloader_jump: ret\n");

static struct loader l;
static struct boot_info info;
static unsigned allocations, fail_after;

EFI_STATUS refuse(struct loader *loader, EFI_STATUS status, const char *fmt, ...)
{
	(void)loader;
	(void)fmt;
	return status;
}

EFI_STATUS memory_alloc(struct loader *loader, u64 bytes, enum boot_mem_type type, u64 *base)
{
	if (++allocations > fail_after)
		return EFI_OUT_OF_RESOURCES;
	bytes = ALIGN_UP(bytes, PAGE_SIZE);
	*base = (u64)aligned_alloc(PAGE_SIZE, bytes);
	memset((void *)*base, type == BOOT_MEM_LOADER ? 0 : 0xa5, bytes);
	loader->regions[loader->nr_regions++] = (struct region){*base, bytes / PAGE_SIZE, type};
	return EFI_SUCCESS;
}

EFI_STATUS memory_fetch_map(struct loader *loader, UINTN *size, UINTN *key, UINTN *desc_size)
{
	(void)loader;
	*size = *key = *desc_size = 0;
	return EFI_SUCCESS;
}

void memory_export(struct loader *loader, UINTN size, UINTN desc_size)
{
	(void)size;
	(void)desc_size;
	struct boot_info *bi = loader->info;
	bi->nr_mem = 0;
	bi->mem[bi->nr_mem++] = (struct boot_mem){0, PAGE_SIZE, BOOT_MEM_RESERVED, 0};
	bi->mem[bi->nr_mem++] = (struct boot_mem){PAGE_SIZE, 0x9f000, BOOT_MEM_USABLE, 0};
	bi->mem[bi->nr_mem++] = (struct boot_mem){1 * MIB, 15 * MIB, BOOT_MEM_USABLE, 0};
	bi->mem[bi->nr_mem++] = (struct boot_mem){16 * MIB, 4 * MIB, BOOT_MEM_FILES, 0};
	bi->mem[bi->nr_mem++] = (struct boot_mem){20 * MIB, 12 * MIB, BOOT_MEM_LOADER, 0};
	bi->mem[bi->nr_mem++] = (struct boot_mem){32 * MIB, 3 * PAGE_SIZE, BOOT_MEM_RUNTIME, 0};
	bi->mem[bi->nr_mem++] = (struct boot_mem){0xfec00000, MIB, BOOT_MEM_MMIO, 0};
	bi->mem[bi->nr_mem++] = (struct boot_mem){4 * GIB, 3 * GIB, BOOT_MEM_USABLE, 0};
}

static struct elf64_segment *segment(unsigned i)
{
	return (struct elf64_segment *)((u8 *)(u64)payload_elf + sizeof(struct elf64_header)) + i;
}

static int setup(void **state)
{
	(void)state;
	struct elf64_header *h = (struct elf64_header *)(u64)payload_elf;
	memset(&l, 0, sizeof(l));
	memset(&info, 0, sizeof(info));
	l.info = &info;
	allocations = 0;
	fail_after = 1000;
	memset(h, 0, IMAGE_BYTES);
	memcpy(h->ident, ELF_IDENT, ELF_IDENT_SIZE);
	h->machine = ELF_MACHINE_X86_64;
	h->entry = VIRT_IMAGE + 16;
	h->phoff = sizeof(*h);
	h->phentsize = sizeof(struct elf64_segment);
	h->phnum = 4;
	*segment(0) = (struct elf64_segment){ELF_LOAD, 4 | ELF_X, CODE_AT, VIRT_IMAGE, 0, 64, 64, 4096};
	*segment(1) = (struct elf64_segment){ELF_LOAD, 4, DATA_AT, VIRT_IMAGE + 0x1000, 0, 16, 16, 4096};
	*segment(2) =
	    (struct elf64_segment){ELF_LOAD, 4 | ELF_W, DATA_AT, VIRT_IMAGE + 0x2000, 0, 32, 0x3000, 4096};
	*segment(3) = (struct elf64_segment){ELF_LOAD, 4 | ELF_W, 0, 0, 0, 0, 0, 4096}; /* left empty by ld */
	memset((u8 *)(u64)payload_elf + CODE_AT, 0xc3, 64);
	memset((u8 *)(u64)payload_elf + DATA_AT, 0x11, 32);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	while (l.nr_regions)
		free((void *)l.regions[--l.nr_regions].base);
	return 0;
}

/* The physical address behind va, and the entry that maps it. */
static u64 walk(u64 va, u64 *leaf)
{
	u64 table = l.cr3;
	for (unsigned level = 3;; level--) {
		unsigned shift = PAGE_SHIFT + 9 * level;
		*leaf = ((u64 *)table)[va >> shift & 511];
		if (!(*leaf & PTE_P))
			return NOT_MAPPED;
		if (level == 0 || (*leaf & PTE_PS))
			return ALIGN_DOWN(*leaf & PTE_ADDR, (u64)1 << shift) + (va & (((u64)1 << shift) - 1));
		assert_true(*leaf & PTE_W); /* rights are decided at the leaf */
		table = *leaf & PTE_ADDR;
	}
}

static void expect_rights(u64 va, u64 pa, bool write, bool execute)
{
	u64 leaf;
	assert_int_equal(walk(va, &leaf), pa);
	assert_int_equal(!!(leaf & PTE_W), write);
	assert_int_equal(!(leaf & PTE_NX), execute);
	assert_false(leaf & PTE_U);
}

static void expect_nothing(u64 va)
{
	u64 leaf;
	assert_true(walk(va, &leaf) == NOT_MAPPED);
}

static void load(void)
{
	assert_int_equal(loader_load_hypervisor(&l), EFI_SUCCESS);
	assert_int_equal(loader_build_tables(&l), EFI_SUCCESS);
}

static void image_is_loaded(void **state)
{
	(void)state;
	load();
	const u8 *image = (const u8 *)info.image_base;
	assert_int_equal(info.image_size, 0x5000);
	assert_int_equal(l.entry, VIRT_IMAGE + 16);
	assert_int_equal(image[0], 0xc3);
	assert_int_equal(image[64], 0); /* nothing of what the memory held before */
	assert_int_equal(image[0x1000], 0x11);
	assert_int_equal(image[0x2000 + 31], 0x11);
	assert_int_equal(image[0x2000 + 32], 0);
	assert_int_equal(image[0x4fff], 0);
	assert_int_equal(info.symbols_size, 7);
	assert_memory_equal((const void *)info.symbols_base, "symbols", 7);
}

static void image_is_write_xor_execute(void **state)
{
	(void)state;
	load();
	expect_rights(VIRT_IMAGE, info.image_base, false, true);
	expect_rights(VIRT_IMAGE + 0x1000, info.image_base + 0x1000, false, false);
	expect_rights(VIRT_IMAGE + 0x2000, info.image_base + 0x2000, true, false);
	expect_rights(VIRT_IMAGE + 0x4abc, info.image_base + 0x4abc, true, false);
	expect_nothing(VIRT_IMAGE + 0x5000);
	expect_nothing(VIRT_IMAGE - 1);
}

static void ram_is_mapped_and_nothing_else(void **state)
{
	(void)state;
	load();
	static const u64 in[] = {PAGE_SIZE,    0x9ffff,  1 * MIB, 2 * MIB + 5,    16 * MIB,
				 20 * MIB - 1, 31 * MIB, 4 * GIB, 5 * GIB + 7777, 7 * GIB - 1};
	static const u64 out[] = {0,        0xa0000,    0xfffff,     32 * MIB, 32 * MIB + PAGE_SIZE,
				  33 * MIB, 0xfec00000, 4 * GIB - 1, 7 * GIB};
	for (unsigned i = 0; i < ARRAY_SIZE(in); i++)
		expect_rights(VIRT_DIRECT_MAP + in[i], in[i], true, false);
	for (unsigned i = 0; i < ARRAY_SIZE(out); i++)
		expect_nothing(VIRT_DIRECT_MAP + out[i]);
}

static void large_pages_are_used(void **state)
{
	(void)state;
	u64 leaf;
	load();
	walk(VIRT_DIRECT_MAP + 2 * MIB, &leaf); /* across the border between two owners */
	assert_true(leaf & PTE_PS);
	walk(VIRT_DIRECT_MAP + 1 * MIB, &leaf);
	assert_false(leaf & PTE_PS);
}

static void only_the_jump_is_mapped_one_to_one(void **state)
{
	(void)state;
	load();
	u64 jump = (u64)loader_jump;
	expect_rights(jump, jump, false, true);
	expect_nothing(ALIGN_DOWN(jump, PAGE_SIZE) + PAGE_SIZE);
	expect_nothing(ALIGN_DOWN(jump, PAGE_SIZE) - 1);
}

static void damaged_images_are_refused(void **state)
{
	(void)state;
	struct elf64_header *h = (struct elf64_header *)(u64)payload_elf;
#define REFUSED(change)                                                                                      \
	do {                                                                                                 \
		setup(NULL);                                                                                 \
		change;                                                                                      \
		assert_int_equal(loader_load_hypervisor(&l), EFI_LOAD_ERROR);                                \
		assert_int_equal(allocations, 0);                                                            \
	} while (0)
	REFUSED(h->ident[0] = 0);
	REFUSED(h->machine = 3);
	REFUSED(h->phnum = 60000);
	REFUSED(h->phoff = ~(u64)0);
	REFUSED(h->phentsize = 32);
	REFUSED(segment(0)->vaddr = 0x100000);
	REFUSED(segment(0)->vaddr += 8);
	REFUSED(segment(1)->filesz = segment(1)->memsz + 1);
	REFUSED(segment(2)->offset = IMAGE_BYTES);
	REFUSED(segment(2)->filesz = ~(u64)0; segment(2)->memsz = ~(u64)0);
	REFUSED(memset(segment(0), 0, 4 * sizeof(struct elf64_segment)));
}

static void out_of_memory(void **state)
{
	(void)state;
	for (fail_after = 0;; fail_after++) {
		unsigned limit = fail_after;
		setup(NULL);
		fail_after = limit;
		EFI_STATUS status = loader_load_hypervisor(&l);
		if (!EFI_ERROR(status))
			status = loader_build_tables(&l);
		bool done = !EFI_ERROR(status);
		if (!done)
			assert_int_equal(status, EFI_OUT_OF_RESOURCES);
		teardown(NULL);
		if (done)
			break;
	}
	assert_true(fail_after >= 2); /* the image, and at least one chunk of tables */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(image_is_loaded, setup, teardown),
	    cmocka_unit_test_setup_teardown(image_is_write_xor_execute, setup, teardown),
	    cmocka_unit_test_setup_teardown(ram_is_mapped_and_nothing_else, setup, teardown),
	    cmocka_unit_test_setup_teardown(large_pages_are_used, setup, teardown),
	    cmocka_unit_test_setup_teardown(only_the_jump_is_mapped_one_to_one, setup, teardown),
	    cmocka_unit_test_setup_teardown(damaged_images_are_refused, setup, teardown),
	    cmocka_unit_test(out_of_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
