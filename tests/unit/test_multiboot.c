/* SPDX-License-Identifier: Apache-2.0 */
/* The Multiboot loader: images as ELF and by addresses, the information structure, what the BIOS
 * leaves behind, and every refusal. */
#include <setjmp.h>
#include <stdio.h>

#include <cmocka.h>

#include "fake_gmem.h"
#include "vm/load.h"
#include "vm/memmap.h"

/* An ELF made here: headers, the Multiboot header at 0x80, text from 0x100, data from 0x300. */
#define FILE_SIZE 0x400
#define HEADER 0x80
static u8 file[FILE_SIZE + 8192];
static u8 module_data[5000];
static struct boot_image image;
static struct boot_state state;
static struct gmem mem;
static char why[256];

static void put_header(u32 at, u32 flags)
{
	store_u32(file + at, 0x1badb002);
	store_u32(file + at + 4, flags);
	store_u32(file + at + 8, 0u - 0x1badb002 - flags);
}

static u8 *put_segment(unsigned i, u32 offset, u32 vaddr, u32 paddr, u32 filesz, u32 memsz)
{
	u8 *ph = file + 52 + 32 * i;
	store_u32(ph, 1);
	store_u32(ph + 4, offset);
	store_u32(ph + 8, vaddr);
	store_u32(ph + 12, paddr);
	store_u32(ph + 16, filesz);
	store_u32(ph + 20, memsz);
	return ph;
}

static int setup(void **s)
{
	(void)s;
	memset(file, 0, sizeof(file));
	memcpy(file, "\177ELF\1\1\1", 7);
	store_u16(file + 16, 2); /* executable */
	store_u16(file + 18, 3); /* 80386 */
	store_u32(file + 20, 1);
	store_u32(file + 24, 0x100010); /* entry */
	store_u32(file + 28, 52);       /* program headers */
	store_u16(file + 42, 32);
	store_u16(file + 44, 2);
	put_header(HEADER, 3);
	for (unsigned i = 0x100; i < sizeof(file); i++)
		file[i] = (u8)(i * 13 + 5);
	for (unsigned i = 0; i < sizeof(module_data); i++)
		module_data[i] = (u8)(i * 3 + 1);
	put_segment(0, 0x100, 0x100000, 0x100000, 0x200, 0x200);
	put_segment(1, 0x300, 0x101000, 0x101000, 0x100, 0x1100);
	fake_gmem_init(&mem, 16 << 20);
	image = (struct boot_image){
	    .path = "tests/a.elf",
	    .kernel = file,
	    .kernel_size = FILE_SIZE,
	    .cmdline = "one two=3",
	    .modules = {{"m/1 x y", module_data, sizeof(module_data)}, {"m2", module_data + 1, 10}},
	    .nr_modules = 2,
	};
	return 0;
}

static int load(void)
{
	why[0] = '\0';
	return boot_load(&mem, &image, &state, why, sizeof(why));
}

static void accept(void)
{
	if (load())
		fail_msg("%s", why);
}

static void refuse(int err, const char *text)
{
	int got = load();
	if (got != err || !strstr(why, text))
		fail_msg("got %d \"%s\", expected %d \"%s\"", got, why, err, text);
}

static void assert_filled(gpa_t gpa, u64 n, u8 byte)
{
	for (u64 i = 0; i < n; i++)
		assert_int_equal(fake_ram[gpa + i], byte);
}

static void test_segments(void **s)
{
	(void)s;
	accept();
	assert_memory_equal(fake_ram + 0x100000, file + 0x100, 0x200);
	assert_memory_equal(fake_ram + 0x101000, file + 0x300, 0x100);
	assert_filled(0x101100, 0x1000, 0);   /* BSS */
	assert_filled(0x100200, 0xe00, 0xee); /* between the segments: untouched */
}

static void test_entry_state(void **s)
{
	(void)s;
	accept();
	assert_int_equal(state.mode, BOOT_PROT32);
	assert_int_equal(state.rip, 0x100010);
	assert_int_equal(state.rax, 0x2badb002);
	assert_int_equal(state.rflags, 2);
	assert_int_equal(state.cr0, 0x11);
	assert_int_equal(state.cr3 | state.cr4 | state.efer, 0);
	assert_int_equal(state.segments[SEG_CS].rights, 0xc09b);
	for (unsigned i = SEG_ES; i <= SEG_GS; i++) {
		assert_int_equal(state.segments[i].base, 0);
		assert_int_equal(state.segments[i].limit, 0xffffffff);
		assert_int_equal(state.segments[i].selector, i == SEG_CS ? 0x08 : 0x10);
	}
	assert_int_equal(state.segments[SEG_TR].rights, 0x8b);
	assert_int_equal(state.segments[SEG_LDTR].rights, SEG_UNUSABLE);
	assert_int_equal(load_u64(fake_ram + state.gdt_base + 0x08), 0x00cf9b000000ffff);
	assert_int_equal(load_u64(fake_ram + state.gdt_base + 0x10), 0x00cf93000000ffff);
	assert_int_equal(state.gdt_limit, 23);
	assert_int_equal(state.idt_base, 0);
	assert_int_equal(state.idt_limit, 0x3ff);
}

static u32 info(u32 field)
{
	return load_u32(fake_ram + state.rbx + field);
}

static void test_info(void **s)
{
	static const struct memmap_entry map[] = {
	    {0, 0x9fc00, 1},         {0x9fc00, 0x400, 2},         {0xe0000, 0x20000, 2},
	    {0x100000, 15 << 20, 1}, {0xe0000000, 0x10000000, 2},
	};
	(void)s;
	accept();
	assert_int_equal(state.rbx, 0x9000);
	assert_int_equal(info(0), 0x24d);
	assert_int_equal(info(4), 639);
	assert_int_equal(info(8), 15 * 1024);
	assert_string_equal((char *)fake_ram + info(16), "tests/a.elf one two=3");
	assert_string_equal((char *)fake_ram + info(64), "Socle");
	assert_int_equal(info(44), ARRAY_SIZE(map) * 24);
	for (unsigned i = 0; i < ARRAY_SIZE(map); i++) {
		const u8 *entry = fake_ram + info(48) + 24 * i;
		assert_int_equal(load_u32(entry), 20);
		assert_int_equal(load_u64(entry + 4), map[i].base);
		assert_int_equal(load_u64(entry + 12), map[i].length);
		assert_int_equal(load_u32(entry + 20), map[i].type);
	}
	/* No boot device, symbols, drives, ROM table, APM, VBE. */
	static const u32 empty[] = {12, 28, 32, 36, 40, 52, 56,  60,  68, 72,
				    76, 80, 84, 88, 92, 96, 100, 104, 108};
	for (unsigned i = 0; i < ARRAY_SIZE(empty); i++)
		assert_int_equal(info(empty[i]), 0);
}

static void test_modules(void **s)
{
	(void)s;
	accept();
	assert_int_equal(info(20), 2);
	const u8 *mods = fake_ram + info(24);
	/* Page-aligned, from the end of the BSS on. */
	assert_int_equal(load_u32(mods), 0x103000);
	assert_int_equal(load_u32(mods + 4), 0x103000 + sizeof(module_data));
	assert_string_equal((char *)fake_ram + load_u32(mods + 8), "m/1 x y");
	assert_int_equal(load_u32(mods + 12), 0);
	assert_int_equal(load_u32(mods + 16), 0x105000);
	assert_int_equal(load_u32(mods + 20), 0x10500a);
	assert_string_equal((char *)fake_ram + load_u32(mods + 24), "m2");
	assert_memory_equal(fake_ram + 0x103000, module_data, sizeof(module_data));
	assert_memory_equal(fake_ram + 0x105000, module_data + 1, 10);
	setup(NULL);
	image.nr_modules = 0;
	image.cmdline = "";
	accept();
	assert_int_equal(info(20), 0);
	assert_string_equal((char *)fake_ram + info(16), "tests/a.elf");
}

static void test_low_kernel(void **s)
{
	(void)s;
	/* A kernel where the information would go: it moves out of the way. */
	put_segment(0, 0x100, 0x8000, 0x8000, 0x200, 0x3000);
	accept();
	assert_int_equal(state.rbx, 0xb000);
	assert_filled(0x8200, 0x2e00, 0);
	/* All of low memory taken: behind the modules. */
	setup(NULL);
	put_segment(0, 0x100, 0x1000, 0x1000, 0x200, 0x9ec00);
	accept();
	assert_int_equal(state.rbx, 0x106000);
	put_segment(0, 0x100, 0x1000, 0x1000, 0x200, 0x9ec01);
	refuse(ERR_INVAL, "the part at 0x1000 would lie over the BIOS area");
}

static void test_high_half(void **s)
{
	(void)s;
	store_u32(file + 24, 0xc0100010);
	put_segment(0, 0x100, 0xc0100000, 0x100000, 0x200, 0x200);
	accept();
	assert_int_equal(state.rip, 0x100010);
	store_u32(file + 24, 0x100010); /* the entry given as a physical address already */
	accept();
	assert_int_equal(state.rip, 0x100010);
}

static void test_other_headers(void **s)
{
	(void)s;
	/* Segments that load nothing, and other types, are passed over. */
	put_segment(1, 0x300, 0x101000, 0x101000, 0, 0);
	accept();
	store_u32(put_segment(1, 0xffffffff, 0, 0, 0xffffffff, 0xffffffff), 4); /* PT_NOTE */
	accept();
	assert_int_equal(load_u32(fake_ram + info(24)), 0x101000);
	put_segment(0, 0, 0, 0, 0, 0);
	refuse(ERR_INVAL, "an ELF with nothing to load");
}

static void test_addresses(void **s)
{
	(void)s;
	memset(file, 0, 0x100);
	image.nr_modules = 0;
	put_header(HEADER, 0x10003);
	store_u32(file + HEADER + 12, 0x200080); /* header, load, end of load, end of BSS, entry */
	store_u32(file + HEADER + 16, 0x200040);
	store_u32(file + HEADER + 20, 0x200240);
	store_u32(file + HEADER + 24, 0x201000);
	store_u32(file + HEADER + 28, 0x200100);
	accept();
	assert_memory_equal(fake_ram + 0x200040, file + 0x40, 0x200);
	assert_filled(0x200240, 0xdc0, 0);
	assert_int_equal(state.rip, 0x200100);
	/* No end of load: the whole file. No end of BSS: none. */
	store_u32(file + HEADER + 20, 0);
	store_u32(file + HEADER + 24, 0);
	memset(fake_ram + 0x200000, 0xee, 0x1000);
	accept();
	assert_memory_equal(fake_ram + 0x200040, file + 0x40, FILE_SIZE - 0x40);
	assert_filled(0x200400, 0x100, 0xee);

	store_u32(file + HEADER + 20, 0x200401);
	refuse(ERR_INVAL, "cut short: its header wants 1 bytes more");
	store_u32(file + HEADER + 20, 0x200030);
	refuse(ERR_INVAL, "it ends before it begins");
	store_u32(file + HEADER + 20, 0x200140);
	store_u32(file + HEADER + 24, 0x200130);
	refuse(ERR_INVAL, "it ends before it begins");
	store_u32(file + HEADER + 24, 0x200030);
	refuse(ERR_INVAL, "it ends before it begins");
	store_u32(file + HEADER + 16, 0x200081);
	refuse(ERR_INVAL, "bad Multiboot header: load address 0x200081");
	store_u32(file + HEADER + 16, 0x1fff00); /* begins before the file */
	refuse(ERR_INVAL, "bad Multiboot header: load address 0x1fff00");
	image.kernel_size = HEADER + 31;
	refuse(ERR_INVAL, "cut short in its Multiboot header");
}

static void test_header_search(void **s)
{
	(void)s;
	/* The last place that counts, and the first that does not. */
	store_u32(file + HEADER, 0);
	put_header(8192 - 12, 3);
	image.kernel_size = sizeof(file);
	accept();
	store_u32(file + 8192 - 12, 0);
	put_header(8192 - 8, 3);
	refuse(ERR_INVAL, "is no kernel");
	put_header(HEADER + 2, 3); /* not on a 4-byte boundary */
	refuse(ERR_INVAL, "is no kernel");
	setup(NULL);
	store_u32(file + HEADER + 8, 1); /* wrong checksum */
	refuse(ERR_INVAL, "tests/a.elf is no kernel");
	setup(NULL);
	image.kernel_size = HEADER + 11;
	refuse(ERR_INVAL, "is no kernel");
}

static void test_refused_features(void **s)
{
	(void)s;
	put_header(HEADER, 7);
	refuse(ERR_NOTSUP, "requires 0x4, which guests do not have (a video mode)");
	put_header(HEADER, 0x8003);
	refuse(ERR_NOTSUP, "requires 0x8000");
	put_header(HEADER, 0xfffe0003); /* optional ones may be ignored */
	accept();
	setup(NULL);
	image.initrd = module_data;
	image.initrd_size = 1;
	refuse(ERR_INVAL, "takes modules, not an initrd");
	setup(NULL);
	file[0] = 0;
	refuse(ERR_INVAL, "neither an ELF nor load addresses");
}

static void test_bad_elf(void **s)
{
	(void)s;
	file[4] = 2;
	refuse(ERR_NOTSUP, "64-bit ELF: Multiboot loads 32-bit ones");
	static const struct {
		u32 at;
		u8 value;
	} rows[] = {{4, 0}, {5, 2}, {16, 3}, {18, 62}};
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		setup(NULL);
		file[rows[i].at] = rows[i].value;
		refuse(ERR_NOTSUP, "not an executable for the 80386");
	}
	setup(NULL);
	store_u16(file + 42, 31);
	refuse(ERR_INVAL, "program headers outside the file");
	setup(NULL);
	store_u16(file + 44, 0xffff);
	refuse(ERR_INVAL, "program headers outside the file");
	setup(NULL);
	store_u32(file + 28, 0xffffffff);
	refuse(ERR_INVAL, "program headers outside the file");
	store_u32(file + 28, FILE_SIZE - 63);
	refuse(ERR_INVAL, "program headers outside the file");
	setup(NULL);
	store_u16(file + 44, 17);
	for (unsigned i = 0; i < 17; i++)
		put_segment(i, 0x300, 0x100000 + 4096 * i, 0x100000 + 4096 * i, 16, 16);
	put_header(0x340, 3);
	refuse(ERR_NOTSUP, "more than 16 segments");
	store_u16(file + 44, 0);
	refuse(ERR_INVAL, "nothing to load");
}

static void test_bad_segments(void **s)
{
	(void)s;
	put_segment(1, 0x301, 0x101000, 0x101000, 0x100, 0x100);
	refuse(ERR_INVAL, "cut short: a segment ends at 0x401, the file at 0x400");
	put_segment(1, 0xfffffff0, 0x101000, 0x101000, 0xfffffff0, 0xfffffff0);
	refuse(ERR_INVAL, "cut short");
	put_segment(1, 0x300, 0x101000, 0x101000, 0x100, 0xff);
	refuse(ERR_INVAL, "bad sizes of the segment at 0x101000");
	put_segment(1, 0x300, 0x101000, 0xffffff00, 0x100, 0x101);
	refuse(ERR_INVAL, "bad sizes of the segment at 0xffffff00");
	put_segment(1, 0x300, 0x101000, 0xffffff00, 0x100, 0x100);
	refuse(ERR_FAULT, "kernel does not fit: no guest memory at 0xffffff00, size 0x100");
	put_segment(1, 0x300, 0x101000, 0xffff80, 0x80, 0x100);
	refuse(ERR_FAULT, "kernel (its zeroed part) does not fit: no guest memory at 0x1000000");
	put_segment(1, 0x300, 0xa0000, 0xa0000, 0x80, 0x100);
	refuse(ERR_INVAL, "the part at 0xa0000 would lie over the BIOS area");
	put_segment(1, 0x300, 0xfffff, 0xfffff, 1, 2);
	refuse(ERR_INVAL, "the part at 0xfffff would lie over the BIOS area");
}

static void test_does_not_fit(void **s)
{
	static char longest[4000];
	(void)s;
	image.modules[1].size = (u64)15 << 20;
	refuse(ERR_NOMEM, "module m2 does not fit: 15360 KiB");
	image.modules[1].size = UINT64_MAX;
	refuse(ERR_NOMEM, "module m2 does not fit");
	setup(NULL);
	memset(longest, 'x', sizeof(longest) - 1);
	image.cmdline = longest;
	refuse(ERR_TOOLONG, "command line and module strings are too long together");
	setup(NULL);
	image.modules[0].string = longest;
	refuse(ERR_TOOLONG, "too long together");
	setup(NULL);
	fake_gmem_init(&mem, 0x100000);
	refuse(ERR_NOMEM, "no guest memory at 1 MiB");
	setup(NULL);
	image.nr_modules = 0;
	put_segment(0, 0x100, 0x1000, 0x1000, 0x200, 0x9ec00);
	put_segment(1, 0x300, 0x100000, 0x100000, 0x100, 0xf00000);
	refuse(ERR_NOMEM, "no room for the Multiboot information");
}

static void test_out_of_memory(void **s)
{
	(void)s;
	/* BIOS 3 writes, segments 2 + BSS 1, modules 2, information 1; each in turn is the one that fails. */
	for (long i = 0; i < 9; i++) {
		setup(NULL);
		fake_writes_left = i;
		refuse(ERR_NOMEM, i < 3 ? "no guest memory below 1 MiB" : "out of memory while loading");
	}
	setup(NULL);
	fake_writes_left = 9;
	accept();
	assert_int_equal(fake_writes_left, 0);
}

/* "PIC, PIT and real-mode vectors as a PC BIOS leaves them": the part that is memory. */
static void test_bios_memory(void **s)
{
	(void)s;
	accept();
	for (unsigned vector = 0; vector < 256; vector++) {
		u32 target = load_u16(fake_ram + 4 * vector) + 16u * load_u16(fake_ram + 4 * vector + 2);
		assert_in_range(target, 0xfff00, 0xfffff);
		bool returns = false; /* every handler ends in IRET */
		for (u32 at = target; at < target + 24; at++)
			returns |= fake_ram[at] == 0xcf;
		assert_true(returns);
		assert_int_not_equal(fake_ram[target], 0);
	}
	assert_int_equal(load_u32(fake_ram + 4 * 0x21), 0xf000ff53);
	assert_int_equal(fake_ram[0xfff53], 0xcf);
	assert_int_not_equal(load_u32(fake_ram + 4 * 8), load_u32(fake_ram + 4 * 9));
	assert_int_equal(load_u32(fake_ram + 4 * 9), load_u32(fake_ram + 4 * 15));
	assert_int_equal(load_u32(fake_ram + 4 * 0x70), load_u32(fake_ram + 4 * 0x77));
	assert_int_equal(load_u16(fake_ram + 0x400), 0x3f8);
	assert_int_equal(load_u16(fake_ram + 0x40e), 0x9fc0);
	assert_int_equal(load_u16(fake_ram + 0x413), 639);
	assert_int_equal(load_u32(fake_ram + 0x46c), 0);
	assert_int_equal(load_u16(fake_ram + 0x472), 0);
	assert_int_equal(fake_ram[0x9fc00], 1);
	assert_int_equal(fake_ram[0xffff0], 0xe9);
	assert_int_equal(0xffff3 + (i16)load_u16(fake_ram + 0xffff1), 0xfff48); /* jumps to CLI, reset */
	assert_memory_equal(fake_ram + 0xfff48, "\xfa\xb0\xfe\xe6\x64\xf4", 6);
	assert_int_equal(fake_ram[0xffffe], 0xfc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_segments, setup),
	    cmocka_unit_test_setup(test_entry_state, setup),
	    cmocka_unit_test_setup(test_info, setup),
	    cmocka_unit_test_setup(test_modules, setup),
	    cmocka_unit_test_setup(test_low_kernel, setup),
	    cmocka_unit_test_setup(test_high_half, setup),
	    cmocka_unit_test_setup(test_other_headers, setup),
	    cmocka_unit_test_setup(test_addresses, setup),
	    cmocka_unit_test_setup(test_header_search, setup),
	    cmocka_unit_test_setup(test_refused_features, setup),
	    cmocka_unit_test_setup(test_bad_elf, setup),
	    cmocka_unit_test_setup(test_bad_segments, setup),
	    cmocka_unit_test_setup(test_does_not_fit, setup),
	    cmocka_unit_test_setup(test_out_of_memory, setup),
	    cmocka_unit_test_setup(test_bios_memory, setup),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(fake_ram);
	return failed;
}
