/* SPDX-License-Identifier: Apache-2.0 */
/* The memory map makes sense, all of it is there, once, zeroed, and keeps what is written. M43, M44. */
#include "multiboot.h"
#include "page.h"
#include "print.h"
#include "test.h"
#include "trap.h"

#define LOW_START 0x10000ULL /* above the real-mode vectors, BIOS data and a loader's tables */
#define LOW_END 0x90000ULL
#define ROM_START 0xa0000ULL
#define ONE_MIB 0x100000ULL
#define FOUR_GIB 0x100000000ULL
#define WINDOW_VA 0x800000000ULL
#define STEP_ABOVE 0x200000ULL /* above 4 GiB one page in each 2 MiB is looked at */

static u64 end_of(const struct multiboot_mmap *m)
{
	return m->base + m->length;
}

static void map_test(void)
{
	const struct multiboot_mmap *m = NULL, *before = NULL;
	u64 ram = 0, upper_end = 0;

	expect(multiboot_info->flags & MULTIBOOT_HAS_MEM, "no mem_lower and mem_upper");
	expect(multiboot_info->flags & MULTIBOOT_HAS_MMAP, "no memory map");
	while ((m = multiboot_next(m))) {
		print("memory %016lx to %016lx type %u\n", m->base, end_of(m) - 1, m->type);
		expect(m->size >= 20, "entry of %u bytes", m->size);
		expect(m->length && end_of(m) > m->base, "empty entry");
		expect(end_of(m) <= BIT(page_phys_bits()), "beyond the physical width");
		expect(!before || end_of(before) <= m->base, "not in order, or overlapping");
		before = m;
		if (m->type != MULTIBOOT_MMAP_RAM)
			continue;
		ram += m->length;
		expect(end_of(m) <= ROM_START || m->base >= ONE_MIB, "RAM where a PC has display and ROM");
		expect(end_of(m) <= 0xfec00000 || m->base >= FOUR_GIB,
		       "RAM where a PC has interrupt controllers");
		if (m->base <= ONE_MIB && end_of(m) > ONE_MIB)
			upper_end = end_of(m);
	}
	expect_eq((multiboot_info->mem_upper + 1024ULL) * 1024, upper_end & ~1023ULL, "end of upper memory");
	expect(multiboot_info->mem_lower >= 600 && multiboot_info->mem_lower <= 640, "mem_lower %u KiB",
	       multiboot_info->mem_lower);
	print("%lu KiB of RAM\n", ram / 1024);
}

static u64 first_nonzero(u64 start, u64 end)
{
	for (u64 a = start; a < end; a += 8) {
		if (*(volatile u64 *)a)
			return a;
	}
	return end;
}

/* A VM's memory is zeroed: nothing of the host or of another VM shows. */
static void zero_test(void)
{
	u64 start, end, found;

	if (guest_platform() != PLATFORM_SOCLE) {
		test_skip("firmware and loader have used the memory");
		return;
	}
	mem_free_range(&start, &end);
	found = first_nonzero(start, end);
	expect(found == end, "0x%lx at 0x%lx", *(volatile u64 *)found, found);
	found = first_nonzero(LOW_START, LOW_END);
	expect(found == LOW_END, "0x%lx at 0x%lx", *(volatile u64 *)found, found);
}

static u64 pattern(u64 address, u64 salt)
{
	return (address ^ salt) * 0x9e3779b97f4a7c15ULL;
}

static void write_pattern(u64 start, u64 end, u64 salt)
{
	for (u64 a = start; a < end; a += 8)
		*(volatile u64 *)a = pattern(a, salt);
}

static void verify_pattern(u64 start, u64 end, u64 salt)
{
	unsigned wrong = 0;

	for (u64 a = start; a < end && wrong < 3; a += 8) {
		u64 got = *(volatile u64 *)a;

		if (got == pattern(a, salt))
			continue;
		wrong++;
		expect(false, "0x%lx at 0x%lx instead of 0x%lx", got, a, pattern(a, salt));
	}
}

/* Every word has a value of its own: aliases and holes would show. */
static void pattern_test(void)
{
	u64 start, end;

	mem_free_range(&start, &end);
	write_pattern(start, end, 1);
	write_pattern(LOW_START, LOW_END, 1);
	verify_pattern(start, end, 1);
	verify_pattern(LOW_START, LOW_END, 1);
}

/* RAM above 4 GiB, by a window, one page in each 2 MiB. */
static void above_test(void)
{
	const struct multiboot_mmap *m = NULL;
	volatile u64 *window = (volatile u64 *)WINDOW_VA;
	unsigned pages = 0;

	for (unsigned pass = 0; pass < 2; pass++) {
		while ((m = multiboot_next(m))) {
			if (m->type != MULTIBOOT_MMAP_RAM || m->base < FOUR_GIB)
				continue;
			for (u64 a = m->base; a < end_of(m); a += STEP_ABOVE, pages++) {
				page_map(WINDOW_VA, a, PTE_RAM);
				if (pass == 0)
					window[1] = pattern(a, 3);
				else
					expect(window[1] == pattern(a, 3), "0x%lx at 0x%lx", window[1], a);
			}
		}
	}
	page_unmap(WINDOW_VA);
	if (!pages)
		test_skip("no RAM above 4 GiB");
}

/* Behind the last byte there is nothing: all-ones, and a write leaves no trace. */
static void edge_test(void)
{
	u64 start, end;
	volatile u32 *last, *behind;

	mem_free_range(&start, &end);
	last = (volatile u32 *)(end - 4);
	behind = (volatile u32 *)end;
	*last = 0x12345678;
	expect_eq(*last, 0x12345678, "last word");
	if (guest_platform() == PLATFORM_TCG || guest_platform() == PLATFORM_BARE) {
		test_skip("reserved memory follows, and reads as zero where there is none");
		return;
	}
	expect_eq(*behind, 0xffffffff, "behind the end");
	*behind = 0;
	expect_eq(*behind, 0xffffffff, "behind the end after a write");
	expect_eq(*last, 0x12345678, "last word after a write behind it");
}

const struct test guest_tests[] = {
    {"map", map_test, 0},         {"zero", zero_test, 0}, /* before anything is written */
    {"pattern", pattern_test, 0}, {"above", above_test, 0}, {"edge", edge_test, 0},
};
const unsigned guest_nr_tests = ARRAY_SIZE(guest_tests);
