/* SPDX-License-Identifier: Apache-2.0 */
/* efi/bootvolume.c: device paths of firmware, whole and cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "../../efi/bootvolume.c"

/* As OVMF writes it: PciRoot(0)/Pci(1,1)/Ata(Secondary,Slave,0)/HD(1,GPT,...), end. */
static const u8 ovmf[] = {2,    1,    12,   0,    0xd0, 0x41, 3,    0x0a, 0,    0,    0,    0, /* ACPI */
			  1,    1,    6,    0,    1,    1,             /* PCI: function, device */
			  3,    1,    8,    0,    1,    1,    0,    0, /* ATAPI */
			  4,    1,    42,   0,    1,    0,    0,    0,    0,    8,    0,    0,
			  0,    0,    0,    0,    0,    8,    0,    0,    0,    0,    0,    0,
			  0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b,
			  0x1c, 0x1d, 0x1e, 0x1f, 2,    2,    0x7f, 0xff, 4,    0};
#define PCI 12
#define ATA 18
#define HD 26

static struct boot_volume of(const u8 *path, size_t n)
{
	struct boot_volume v = {0};
	_Alignas(16) u8 copy[128];

	memcpy(copy, path, n);
	volume_describe((const EFI_DEVICE_PATH_PROTOCOL *)copy, &v);
	return v;
}

static void whole(void **state)
{
	struct boot_volume v = of(ovmf, sizeof(ovmf));
	(void)state;

	assert_true(v.is_ide);
	assert_int_equal(v.pci_device, 1);
	assert_int_equal(v.pci_function, 1);
	assert_int_equal(v.channel, 1);
	assert_int_equal(v.slave, 1);
	assert_int_equal(v.signature_type, BOOT_SIGNATURE_GUID);
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(v.signature[i], 0x10 + i);
}

static void others(void **state)
{
	u8 path[sizeof(ovmf)];
	struct boot_volume v;
	(void)state;

	memcpy(path, ovmf, sizeof(path));
	path[sizeof(path) - 5] = 1; /* a master boot record */
	assert_int_equal(of(path, sizeof(path)).signature_type, BOOT_SIGNATURE_MBR);
	path[sizeof(path) - 5] = 0;
	assert_int_equal(of(path, sizeof(path)).signature_type, BOOT_SIGNATURE_NONE);
	path[ATA + 4] = 2; /* no such channel */
	assert_false(of(path, sizeof(path)).is_ide);
	memcpy(path, ovmf, sizeof(path));
	path[PCI + 1] = 5; /* not on PCI */
	assert_false(of(path, sizeof(path)).is_ide);
	memcpy(path, ovmf, sizeof(path));
	path[ATA + 1] = 2; /* SCSI */
	v = of(path, sizeof(path));
	assert_false(v.is_ide);
	assert_int_equal(v.signature_type, BOOT_SIGNATURE_GUID);
	path[PCI + 2] = 0; /* a node without a length ends it */
	assert_int_equal(of(path, sizeof(path)).signature_type, BOOT_SIGNATURE_NONE);
	memcpy(path, ovmf, sizeof(path));
	path[ATA + 2] = 6; /* shorter than its kind: and what follows is no node of ours */
	assert_false(of(path, sizeof(path)).is_ide);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(whole), cmocka_unit_test(others)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
