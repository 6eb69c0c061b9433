/* SPDX-License-Identifier: Apache-2.0 */
/* The Linux loader (M9): what lies in guest memory and in the registers, and every refusal. */
#include <setjmp.h>
#include <stdio.h>

#include <cmocka.h>

#include "fake_gmem.h"
#include "vm/load.h"
#include "vm/memmap.h"
#include "x86.h"

/* A bzImage made here: header fields by the kernel's boot.rst, then a pattern as code. */
#define SETUP_SECTS 3
#define CODE_SIZE 0x3000
#define FILE_SIZE ((SETUP_SECTS + 1) * 512 + CODE_SIZE)

static u8 kernel[FILE_SIZE];
static u8 initrd[10000];
static struct boot_image image;
static struct boot_state state;
static struct gmem mem;
static char why[256];

static void make_kernel(void)
{
	memset(kernel, 0, sizeof(kernel));
	for (unsigned i = 0; i < CODE_SIZE; i++)
		kernel[FILE_SIZE - CODE_SIZE + i] = (u8)(i * 7 + 1);
	for (unsigned i = 0; i < sizeof(initrd); i++)
		initrd[i] = (u8)(i * 11 + 3);
	kernel[0x1f1] = SETUP_SECTS;
	store_u32(kernel + 0x1f4, CODE_SIZE / 16);
	store_u16(kernel + 0x1fe, 0xaa55);
	kernel[0x200] = 0xeb;
	kernel[0x201] = 0x6a; /* header ends at 0x26c */
	memcpy(kernel + 0x202, "HdrS", 4);
	store_u16(kernel + 0x206, 0x20f);
	kernel[0x211] = 0x01;
	store_u32(kernel + 0x22c, 0x7fffffff);
	store_u32(kernel + 0x230, 0x200000);
	kernel[0x234] = 1;
	store_u16(kernel + 0x236, 0x7f);
	store_u32(kernel + 0x238, 100);
	store_u64(kernel + 0x258, 0x1000000);
	store_u32(kernel + 0x260, 0x100000);
	store_u32(kernel + 0x268, 0x12345678);
	kernel[0x26c] = 0x77; /* no header any more: must not reach the zero page */
}

static int setup(void **s)
{
	(void)s;
	make_kernel();
	fake_gmem_init(&mem, 32 << 20);
	image = (struct boot_image){
	    .path = "boot/vmlinuz",
	    .kernel = kernel,
	    .kernel_size = sizeof(kernel),
	    .initrd = initrd,
	    .initrd_size = sizeof(initrd),
	    .cmdline = "console=ttyS0 quiet",
	    .rsdp = 0xf1230,
	};
	return 0;
}

static int load(void)
{
	why[0] = '\0';
	return boot_load(&mem, &image, &state, why, sizeof(why));
}

static void refuse(int err, const char *text)
{
	assert_int_equal(load(), err);
	if (!strstr(why, text))
		fail_msg("got \"%s\", expected \"%s\"", why, text);
}

static void test_zero_page(void **s)
{
	(void)s;
	assert_int_equal(load(), 0);
	u8 expected[4096] = {0};
	memcpy(expected + 0x1f1, kernel + 0x1f1, 0x26c - 0x1f1);
	store_u16(expected + 0x1fa, 0xffff); /* vid_mode: normal */
	expected[0x210] = 0xff;              /* loader: undefined */
	expected[0x211] = 0x81;              /* LOADED_HIGH, CAN_USE_HEAP */
	store_u32(expected + 0x214, 0x1000000);
	u32 initrd_at = ((32 << 20) - sizeof(initrd)) & ~0xfffu;
	store_u32(expected + 0x218, initrd_at);
	store_u32(expected + 0x21c, sizeof(initrd));
	store_u16(expected + 0x224, 0xfe00);
	store_u32(expected + 0x228, 0x20000);
	store_u64(expected + 0x070, 0xf1230);
	static const struct memmap_entry map[] = {
	    {0, 0x9fc00, 1},           {0x9fc00, 0x400, 2},         {0xe0000, 0x20000, 2},
	    {0x100000, (31 << 20), 1}, {0xe0000000, 0x10000000, 2},
	};
	expected[0x1e8] = ARRAY_SIZE(map);
	for (unsigned i = 0; i < ARRAY_SIZE(map); i++) {
		store_u64(expected + 0x2d0 + 20 * i, map[i].base);
		store_u64(expected + 0x2d0 + 20 * i + 8, map[i].length);
		store_u32(expected + 0x2d0 + 20 * i + 16, map[i].type);
	}
	assert_int_equal(state.rsi, 0x7000);
	assert_memory_equal(fake_ram + 0x7000, expected, sizeof(expected));
	assert_string_equal((char *)fake_ram + 0x20000, "console=ttyS0 quiet");
	assert_memory_equal(fake_ram + initrd_at, initrd, sizeof(initrd));
	assert_memory_equal(fake_ram + 0x1000000, kernel + FILE_SIZE - CODE_SIZE, CODE_SIZE);
}

static void test_entry_state(void **s)
{
	(void)s;
	assert_int_equal(load(), 0);
	assert_int_equal(state.mode, BOOT_LONG64);
	assert_int_equal(state.rip, 0x1000200);
	assert_int_equal(state.rflags, 2);
	assert_int_equal(state.cr0, 0x80000031);
	assert_int_equal(state.cr4, 0x20);
	assert_int_equal(state.efer, 0x500);
	assert_int_equal(state.gdt_limit, 31);
	assert_int_equal(state.segments[SEG_CS].selector, 0x10);
	assert_int_equal(state.segments[SEG_CS].rights, 0xa09b);
	static const unsigned data[] = {SEG_DS, SEG_ES, SEG_SS};
	for (unsigned i = 0; i < ARRAY_SIZE(data); i++) {
		assert_int_equal(state.segments[data[i]].selector, 0x18);
		assert_int_equal(state.segments[data[i]].rights, 0xc093);
		assert_int_equal(state.segments[data[i]].limit, 0xffffffff);
	}
	/* The descriptors of the selectors, in guest memory. */
	assert_int_equal(load_u64(fake_ram + state.gdt_base + 0x10), 0x00af9b000000ffff);
	assert_int_equal(load_u64(fake_ram + state.gdt_base + 0x18), 0x00cf93000000ffff);
	/* Four levels down from CR3: every 2 MiB page of 4 GiB onto itself. */
	const u64 *pml4 = (const u64 *)(fake_ram + state.cr3);
	const u64 *pdpt = (const u64 *)(fake_ram + (pml4[0] & PTE_ADDR));
	assert_int_equal(pml4[0] & 0xfff, 3);
	assert_int_equal(pml4[1], 0);
	assert_int_equal(pdpt[4], 0);
	for (unsigned i = 0; i < 2048; i++) {
		const u64 *pd = (const u64 *)(fake_ram + (pdpt[i / 512] & PTE_ADDR));
		assert_int_equal(pdpt[i / 512] & 0xfff, 3);
		assert_int_equal(pd[i % 512], (u64)i << 21 | 0x83);
	}
}

static void test_placement(void **s)
{
	(void)s;
	/* No initrd, no ACPI, empty command line. */
	image.initrd = NULL;
	image.initrd_size = 0;
	image.rsdp = 0;
	image.cmdline = "";
	assert_int_equal(load(), 0);
	assert_int_equal(load_u32(fake_ram + 0x7218), 0);
	assert_int_equal(load_u32(fake_ram + 0x721c), 0);
	assert_int_equal(load_u64(fake_ram + 0x7070), 0);
	assert_int_equal(fake_ram[0x20000], 0);
	/* The preferred address is outside RAM: the lowest aligned place. */
	setup(NULL);
	fake_gmem_init(&mem, 16 << 20);
	assert_int_equal(load(), 0);
	assert_int_equal(state.rip, 0x200200);
	/* The last MiB that still holds the kernel where it wants to be. */
	setup(NULL);
	image.initrd_size = 0;
	fake_gmem_init(&mem, 17 << 20);
	assert_int_equal(load(), 0);
	assert_int_equal(state.rip, 0x1000200);
	/* initrd_addr_max is the last byte that may be used. */
	setup(NULL);
	store_u32(kernel + 0x22c, 0x17fffff);
	assert_int_equal(load(), 0);
	assert_int_equal(load_u32(fake_ram + 0x7218), 0x1800000 - 0x3000);
	/* setup_sects 0 means 4. */
	setup(NULL);
	kernel[0x1f1] = 0;
	store_u32(kernel + 0x1f4, (CODE_SIZE - 512) / 16);
	assert_int_equal(load(), 0);
	assert_memory_equal(fake_ram + 0x1000000, kernel + 5 * 512, CODE_SIZE - 512);
}

static void test_high_memory(void **s)
{
	(void)s;
	fake_add_slot(&mem, 0x100000000, 0x40000000);
	assert_int_equal(load(), 0);
	assert_int_equal(fake_ram[0x71e8], 6);
	assert_int_equal(load_u64(fake_ram + 0x72d0 + 5 * 20), 0x100000000);
	assert_int_equal(load_u64(fake_ram + 0x72d0 + 5 * 20 + 8), 0x40000000);
	assert_int_equal(load_u32(fake_ram + 0x72d0 + 5 * 20 + 16), 1);
}

static void test_no_kernel(void **s)
{
	(void)s;
	image.kernel_size = 0;
	refuse(ERR_INVAL, "boot/vmlinuz is no kernel: neither a Linux bzImage nor a Multiboot 1 image");
	image.kernel_size = 0x263; /* one byte less than a header */
	refuse(ERR_INVAL, "is no kernel");
	setup(NULL);
	kernel[0x202] = 'h';
	refuse(ERR_INVAL, "is no kernel");
	setup(NULL);
	kernel[0x1fe] = 0;
	refuse(ERR_INVAL, "is no kernel");
}

static void test_bad_header(void **s)
{
	(void)s;
	store_u16(kernel + 0x206, 0x20b);
	refuse(ERR_NOTSUP, "boot protocol 2.11: expected 2.12");
	setup(NULL);
	store_u16(kernel + 0x236, 0x7e);
	refuse(ERR_NOTSUP, "not a 64-bit Linux kernel");
	setup(NULL);
	kernel[0x211] = 0;
	refuse(ERR_NOTSUP, "not a 64-bit Linux kernel");
	setup(NULL);
	store_u32(kernel + 0x230, 0);
	refuse(ERR_INVAL, "kernel alignment 0x0");
	store_u32(kernel + 0x230, 0x300000);
	refuse(ERR_INVAL, "kernel alignment 0x300000");
	setup(NULL);
	image.kernel_size--;
	refuse(ERR_INVAL, "cut short: 14335 bytes, its header says 14336");
	store_u32(kernel + 0x1f4, 0xffffffff);
	refuse(ERR_INVAL, "cut short");
	store_u32(kernel + 0x1f4, 0x20); /* ends at the 64-bit entry */
	refuse(ERR_INVAL, "cut short");
	setup(NULL);
	kernel[0x1f1] = 255;
	refuse(ERR_INVAL, "cut short");
}

static void test_does_not_fit(void **s)
{
	(void)s;
	store_u32(kernel + 0x260, 0x1f00001); /* init_size: one byte more than above 1 MiB */
	refuse(ERR_NOMEM, "boot/vmlinuz does not fit: this kernel needs 34 MiB");
	setup(NULL);
	kernel[0x234] = 0; /* not relocatable */
	fake_gmem_init(&mem, 16 << 20);
	refuse(ERR_NOMEM, "needs 17 MiB");
	setup(NULL);
	store_u32(kernel + 0x260, 0xffd800); /* to the next page: 8 KiB remain */
	refuse(ERR_NOMEM, "initrd does not fit: 10 KiB, of guest memory 8 KiB");
	setup(NULL);
	image.initrd_size = (u64)40 << 20;
	refuse(ERR_NOMEM, "initrd does not fit: 40960 KiB, of guest memory 15360 KiB remain");
	image.initrd_size = UINT64_MAX;
	refuse(ERR_NOMEM, "initrd does not fit");
	setup(NULL);
	store_u32(kernel + 0x22c, 0xffffff); /* initrd_addr_max below the kernel */
	refuse(ERR_NOMEM, "initrd does not fit: 10 KiB, of guest memory 0 KiB remain");
	setup(NULL);
	store_u32(kernel + 0x238, 18);
	refuse(ERR_TOOLONG, "cmdline of 19 characters: this kernel takes 18");
	setup(NULL);
	fake_gmem_init(&mem, 0x100000);
	refuse(ERR_NOMEM, "does not fit");
	setup(NULL);
	fake_gmem_init(&mem, 0);
	refuse(ERR_NOMEM, "no guest memory below 1 MiB");
	setup(NULL);
	image.nr_modules = 1;
	refuse(ERR_INVAL, "takes an initrd, not modules");
}

static void test_out_of_memory(void **s)
{
	(void)s;
	assert_int_equal(load(), 0);
	/* Each write in turn is the one that fails; the first three are the BIOS memory. */
	for (long i = 0; i < 14; i++) {
		setup(NULL);
		fake_writes_left = i;
		refuse(ERR_NOMEM, i < 3 ? "no guest memory below 1 MiB" : "out of memory while loading");
	}
	setup(NULL);
	fake_writes_left = 14;
	assert_int_equal(load(), 0);
	assert_int_equal(fake_writes_left, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_zero_page, setup),
	    cmocka_unit_test_setup(test_entry_state, setup),
	    cmocka_unit_test_setup(test_placement, setup),
	    cmocka_unit_test_setup(test_high_memory, setup),
	    cmocka_unit_test_setup(test_no_kernel, setup),
	    cmocka_unit_test_setup(test_bad_header, setup),
	    cmocka_unit_test_setup(test_does_not_fit, setup),
	    cmocka_unit_test_setup(test_out_of_memory, setup),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(fake_ram);
	return failed;
}
