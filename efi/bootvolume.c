/* SPDX-License-Identifier: Apache-2.0 */
/* Where the boot volume is, as its device path says (UEFI 2.10, 10.3): the hypervisor has drivers of its own
 * and must know this disk from others. */
#include "loader.h"

#define HARDDRIVE_BYTES (offsetof(HARDDRIVE_DEVICE_PATH, SignatureType) + 1)

static void take_drive(struct boot_volume *v, const PCI_DEVICE_PATH *pci, const ATAPI_DEVICE_PATH *ata)
{
	if (ata->PrimarySecondary > 1 || ata->SlaveMaster > 1)
		return;
	v->is_ide = true;
	v->pci_device = pci->Device;
	v->pci_function = pci->Function;
	v->channel = ata->PrimarySecondary;
	v->slave = ata->SlaveMaster;
}

/* Nodes have any alignment, and this structure's wider members do not. */
static void take_partition(struct boot_volume *v, const u8 *part)
{
	u8 type = part[offsetof(HARDDRIVE_DEVICE_PATH, SignatureType)];

	if (type != SIGNATURE_TYPE_MBR && type != SIGNATURE_TYPE_GUID)
		return;
	v->signature_type = type == SIGNATURE_TYPE_MBR ? BOOT_SIGNATURE_MBR : BOOT_SIGNATURE_GUID;
	memcpy(v->signature, part + offsetof(HARDDRIVE_DEVICE_PATH, Signature), sizeof(v->signature));
}

static bool node_is(const EFI_DEVICE_PATH_PROTOCOL *n, u8 type, u8 subtype, size_t size)
{
	return DevicePathType(n) == type && DevicePathSubType(n) == subtype &&
	       (size_t)DevicePathNodeLength(n) >= size;
}

void volume_describe(const EFI_DEVICE_PATH_PROTOCOL *path, struct boot_volume *v)
{
	const EFI_DEVICE_PATH_PROTOCOL *n = path, *pci = NULL;

	while (!IsDevicePathEndType(n) && (size_t)DevicePathNodeLength(n) >= sizeof(*n)) {
		if (node_is(n, HARDWARE_DEVICE_PATH, HW_PCI_DP, sizeof(PCI_DEVICE_PATH)))
			pci = n;
		else if (pci && node_is(n, MESSAGING_DEVICE_PATH, MSG_ATAPI_DP, sizeof(ATAPI_DEVICE_PATH)))
			take_drive(v, (const PCI_DEVICE_PATH *)pci, (const ATAPI_DEVICE_PATH *)n);
		else if (node_is(n, MEDIA_DEVICE_PATH, MEDIA_HARDDRIVE_DP, HARDDRIVE_BYTES))
			take_partition(v, (const u8 *)n);
		n = (const EFI_DEVICE_PATH_PROTOCOL *)((const u8 *)n + DevicePathNodeLength(n));
	}
}
