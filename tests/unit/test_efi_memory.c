/* SPDX-License-Identifier: Apache-2.0 */
/* efi/memory.c: the firmware's memory map becomes boot_info, whatever firmware makes of it; efi/acpi.c:
 * the MADT's CPUs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "../../efi/acpi.c"
#include "../../efi/memory.c"

#define MIB ((u64)1 << 20)
#define DESC_SIZE 48 /* firmware's descriptors are larger than the structure */
#define MAX_DESC 600

static char map_buffer[MAX_DESC * DESC_SIZE];
static UINTN map_count;
static struct boot_info info;
static struct loader l;
static unsigned exit_failures, exit_calls;

void volume_close(struct loader *loader)
{
	(void)loader;
}

EFI_STATUS refuse(struct loader *loader, EFI_STATUS status, const char *fmt, ...)
{
	(void)loader;
	(void)fmt;
	return status;
}

static void add(u32 type, u64 base, u64 pages, u64 attribute)
{
	EFI_MEMORY_DESCRIPTOR *d = (EFI_MEMORY_DESCRIPTOR *)(map_buffer + map_count++ * DESC_SIZE);
	assert_true(map_count <= MAX_DESC);
	*d = (EFI_MEMORY_DESCRIPTOR){
	    .Type = type, .PhysicalStart = base, .NumberOfPages = pages, .Attribute = attribute};
}

static void ram(u32 type, u64 base, u64 pages)
{
	add(type, base, pages, EFI_MEMORY_WB);
}

static void expect(unsigned i, u64 base, u64 length, u32 type)
{
	assert_true(i < info.nr_mem);
	assert_int_equal(info.mem[i].base, base);
	assert_int_equal(info.mem[i].length, length);
	assert_int_equal(info.mem[i].type, type);
}

static void export(void)
{
	l.map = map_buffer;
	l.map_room = sizeof(map_buffer);
	memory_export(&l, map_count * DESC_SIZE, DESC_SIZE);
	for (unsigned i = 1; i < info.nr_mem; i++)
		assert_true(info.mem[i - 1].base + info.mem[i - 1].length <= info.mem[i].base);
}

static int setup(void **state)
{
	(void)state;
	memset(&info, 0, sizeof(info));
	memset(&l, 0, sizeof(l));
	map_count = 0;
	l.info = &info;
	return 0;
}

static void sorts_and_merges(void **state)
{
	(void)state;
	ram(EfiBootServicesData, 4 * MIB, 256);
	ram(EfiConventionalMemory, 2 * MIB, 512);
	ram(EfiACPIReclaimMemory, 5 * MIB, 256);
	ram(EfiConventionalMemory, 1 * MIB, 256);
	add(EfiMemoryMappedIO, 0xe0000000, 16, EFI_MEMORY_UC);
	export();
	assert_int_equal(info.nr_mem, 3);
	expect(0, 1 * MIB, 4 * MIB, BOOT_MEM_USABLE);
	expect(1, 5 * MIB, 1 * MIB, BOOT_MEM_ACPI);
	expect(2, 0xe0000000, 16 * PAGE_SIZE, BOOT_MEM_MMIO);
}

static void page_zero_is_nobodys(void **state)
{
	(void)state;
	ram(EfiConventionalMemory, 0, 16);
	export();
	assert_int_equal(info.nr_mem, 2);
	expect(0, 0, PAGE_SIZE, BOOT_MEM_RESERVED);
	expect(1, PAGE_SIZE, 15 * PAGE_SIZE, BOOT_MEM_USABLE);
}

/* What the loader took is named by its purpose, also in the middle of a descriptor and across two. */
static void own_regions_are_cut_out(void **state)
{
	(void)state;
	ram(EfiLoaderData, 16 * MIB, 256);
	ram(EfiLoaderData, 17 * MIB, 256);
	ram(EfiConventionalMemory, 18 * MIB, 256);
	l.regions[l.nr_regions++] = (struct region){17 * MIB + 128 * PAGE_SIZE, 128, BOOT_MEM_FILES};
	l.regions[l.nr_regions++] = (struct region){16 * MIB + 255 * PAGE_SIZE, 2, BOOT_MEM_IMAGE};
	export();
	assert_int_equal(info.nr_mem, 5);
	expect(0, 16 * MIB, 255 * PAGE_SIZE, BOOT_MEM_LOADER);
	expect(1, 16 * MIB + 255 * PAGE_SIZE, 2 * PAGE_SIZE, BOOT_MEM_IMAGE);
	expect(2, 17 * MIB + PAGE_SIZE, 127 * PAGE_SIZE, BOOT_MEM_LOADER);
	expect(3, 17 * MIB + 128 * PAGE_SIZE, 128 * PAGE_SIZE, BOOT_MEM_FILES);
	expect(4, 18 * MIB, MIB, BOOT_MEM_USABLE);
}

/* Memory only from what the map calls general, cacheable RAM; runtime services are fenced (M25). */
static void types(void **state)
{
	(void)state;
	static const u32 want[] = {[EfiReservedMemoryType] = BOOT_MEM_RESERVED,
				   [EfiLoaderCode] = BOOT_MEM_LOADER,
				   [EfiLoaderData] = BOOT_MEM_LOADER,
				   [EfiBootServicesCode] = BOOT_MEM_USABLE,
				   [EfiBootServicesData] = BOOT_MEM_USABLE,
				   [EfiRuntimeServicesCode] = BOOT_MEM_RUNTIME,
				   [EfiRuntimeServicesData] = BOOT_MEM_RUNTIME,
				   [EfiConventionalMemory] = BOOT_MEM_USABLE,
				   [EfiUnusableMemory] = BOOT_MEM_RESERVED,
				   [EfiACPIReclaimMemory] = BOOT_MEM_ACPI,
				   [EfiACPIMemoryNVS] = BOOT_MEM_ACPI,
				   [EfiMemoryMappedIO] = BOOT_MEM_MMIO,
				   [EfiMemoryMappedIOPortSpace] = BOOT_MEM_MMIO,
				   [EfiPalCode] = BOOT_MEM_RESERVED,
				   [EfiMaxMemoryType] = BOOT_MEM_RESERVED /* 14 */,
				   [EfiMaxMemoryType + 1] = BOOT_MEM_RESERVED};
	for (u32 t = 0; t < ARRAY_SIZE(want); t++) {
		setup(NULL);
		ram(t, 16 * MIB, 1);
		export();
		expect(0, 16 * MIB, PAGE_SIZE, want[t]);
	}
	setup(NULL);
	add(EfiConventionalMemory, 16 * MIB, 1, EFI_MEMORY_UC);
	add(EfiConventionalMemory, 32 * MIB, 1, EFI_MEMORY_WB | EFI_MEMORY_SPECIFIC);
	export();
	expect(0, 16 * MIB, PAGE_SIZE, BOOT_MEM_RESERVED);
	expect(1, 32 * MIB, PAGE_SIZE, BOOT_MEM_RESERVED);
}

static void overlap_belongs_to_the_first(void **state)
{
	(void)state;
	ram(EfiRuntimeServicesData, 16 * MIB, 16);
	ram(EfiConventionalMemory, 16 * MIB + 8 * PAGE_SIZE, 16);
	ram(EfiConventionalMemory, 16 * MIB + 9 * PAGE_SIZE, 2);
	export();
	assert_int_equal(info.nr_mem, 2);
	expect(0, 16 * MIB, 16 * PAGE_SIZE, BOOT_MEM_RUNTIME);
	expect(1, 16 * MIB + 16 * PAGE_SIZE, 8 * PAGE_SIZE, BOOT_MEM_USABLE);
}

static void too_many_pieces(void **state)
{
	(void)state;
	for (unsigned i = 0; i < MAX_DESC; i++)
		ram(i % 2 ? EfiConventionalMemory : EfiReservedMemoryType, (16 + i) * MIB, 256);
	export();
	assert_int_equal(info.nr_mem, BOOT_MAX_MEM);
	expect(BOOT_MAX_MEM - 1, (16 + BOOT_MAX_MEM - 1) * MIB, MIB, BOOT_MEM_USABLE);
}

/* ---- leaving the firmware ---- */

static EFI_STATUS EFIAPI fake_get_map(UINTN *size, EFI_MEMORY_DESCRIPTOR *map, UINTN *key, UINTN *desc_size,
				      UINT32 *version)
{
	UINTN room = *size;
	*size = map_count * DESC_SIZE;
	*desc_size = DESC_SIZE;
	*version = 1;
	*key = 100 + exit_calls;
	if (room < *size)
		return EFI_BUFFER_TOO_SMALL;
	memcpy(map, map_buffer, *size);
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI fake_exit(EFI_HANDLE image, UINTN key)
{
	(void)image;
	assert_int_equal(key, 100 + exit_calls);
	exit_calls++;
	/* The map grows each time, as when an event's handler allocates. */
	ram(EfiBootServicesData, (100 + 2 * exit_calls) * MIB, 1);
	return exit_calls > exit_failures ? EFI_SUCCESS : EFI_INVALID_PARAMETER;
}

static EFI_STATUS EFIAPI fake_alloc(EFI_ALLOCATE_TYPE type, EFI_MEMORY_TYPE memory, UINTN pages,
				    EFI_PHYSICAL_ADDRESS *pa)
{
	(void)type;
	assert_int_equal(memory, EfiLoaderData);
	assert_int_equal(exit_calls, 0); /* not after the first try to leave */
	*pa = (u64)aligned_alloc(PAGE_SIZE, pages * PAGE_SIZE);
	return *pa ? EFI_SUCCESS : EFI_OUT_OF_RESOURCES;
}

static EFI_STATUS EFIAPI fake_free(EFI_PHYSICAL_ADDRESS pa, UINTN pages)
{
	(void)pages;
	free((void *)pa);
	return EFI_SUCCESS;
}

static void exit_with(unsigned failures, EFI_STATUS want)
{
	EFI_BOOT_SERVICES bs = {.GetMemoryMap = fake_get_map,
				.ExitBootServices = fake_exit,
				.AllocatePages = fake_alloc,
				.FreePages = fake_free};
	setup(NULL);
	exit_calls = 0;
	exit_failures = failures;
	l.bs = &bs;
	ram(EfiConventionalMemory, 16 * MIB, 256);
	assert_int_equal(loader_exit_firmware(&l), want);
	if (want == EFI_SUCCESS)
		assert_int_equal(info.nr_mem, 1 + failures); /* the map of the try that succeeded */
	memory_release_all(&l);
	assert_int_equal(l.nr_regions, 0);
}

static void exit_retries(void **state)
{
	(void)state;
	exit_with(0, EFI_SUCCESS);
	exit_with(3, EFI_SUCCESS);
	exit_with(1000, EFI_INVALID_PARAMETER);
}

/* ---- MADT ---- */

static u32 cpus[8];
static unsigned nr_cpus;

static void note_cpu(void *opaque, u32 apic_id)
{
	assert_ptr_equal(opaque, cpus);
	assert_true(nr_cpus < ARRAY_SIZE(cpus));
	cpus[nr_cpus++] = apic_id;
}

static void finish(u8 *table, u32 length)
{
	u8 sum = 0;
	memcpy(table + 4, &length, 4);
	table[9] = 0;
	for (u32 i = 0; i < length; i++)
		sum = (u8)(sum + table[i]);
	table[9] = (u8)-sum;
}

static void madt(void **state)
{
	(void)state;
	static const u8 entries[] = {0, 8,  1, 7, 1,  0, 0, 0,             /* local APIC 7, enabled */
				     0, 8,  2, 8, 0,  0, 0, 0,             /* local APIC 8, disabled */
				     1, 12, 0, 0, 0,  0, 0, 0, 0, 0, 0, 0, /* an IOAPIC */
				     9, 16, 0, 0, 44, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, /* local x2APIC 300 */
				     0, 0,  0, 0, 0,  0, 0, 0 /* a length of 0 must end the walk */};
	static u8 table[MADT_ENTRIES + sizeof(entries)], xsdt[HEADER_SIZE + 8], rsdp[40];
	u64 at = (u64)table;
	memcpy(table, "APIC", 4);
	memcpy(table + MADT_ENTRIES, entries, sizeof(entries));
	finish(table, sizeof(table));
	memcpy(xsdt + HEADER_SIZE, &at, 8);
	finish(xsdt, sizeof(xsdt));
	at = (u64)xsdt;
	rsdp[RSDP_REVISION] = 2;
	memcpy(rsdp + RSDP_XSDT, &at, 8);

	nr_cpus = 0;
	acpi_for_each_cpu((u64)rsdp, note_cpu, cpus);
	assert_int_equal(nr_cpus, 2);
	assert_int_equal(cpus[0], 7);
	assert_int_equal(cpus[1], 300);
	nr_cpus = 0;
	table[MADT_ENTRIES + 3]++; /* the checksum is wrong now */
	acpi_for_each_cpu((u64)rsdp, note_cpu, cpus);
	acpi_for_each_cpu(0, note_cpu, cpus);
	assert_int_equal(nr_cpus, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(sorts_and_merges, setup),
	    cmocka_unit_test_setup(page_zero_is_nobodys, setup),
	    cmocka_unit_test_setup(own_regions_are_cut_out, setup),
	    cmocka_unit_test_setup(types, setup),
	    cmocka_unit_test_setup(overlap_belongs_to_the_first, setup),
	    cmocka_unit_test_setup(too_many_pieces, setup),
	    cmocka_unit_test_setup(exit_retries, setup),
	    cmocka_unit_test(madt),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
