/* SPDX-License-Identifier: Apache-2.0 */
/* What else the firmware knows of the machine: the ACPI root and the framebuffer. */
#include "loader.h"

static bool guid_equal(const EFI_GUID *a, const EFI_GUID *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* UEFI 4.6: the newer of the two kinds of root pointer, if there is any. */
static u64 find_rsdp(const EFI_SYSTEM_TABLE *st)
{
	static const EFI_GUID acpi20 = ACPI_20_TABLE_GUID, acpi10 = ACPI_TABLE_GUID;
	u64 old = 0;
	for (UINTN i = 0; i < st->NumberOfTableEntries; i++) {
		const EFI_CONFIGURATION_TABLE *t = &st->ConfigurationTable[i];
		if (guid_equal(&t->VendorGuid, &acpi20))
			return (u64)t->VendorTable;
		if (guid_equal(&t->VendorGuid, &acpi10))
			old = (u64)t->VendorTable;
	}
	return old;
}

/* UEFI 12.9: pixels of 32 bits in one of two fixed orders, or as masks say. */
static bool find_shifts(const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *m, struct boot_framebuffer *fb)
{
	const EFI_PIXEL_BITMASK *mask = &m->PixelInformation;
	switch (m->PixelFormat) {
	case PixelRedGreenBlueReserved8BitPerColor:
		fb->red_shift = 0, fb->green_shift = 8, fb->blue_shift = 16;
		return true;
	case PixelBlueGreenRedReserved8BitPerColor:
		fb->blue_shift = 0, fb->green_shift = 8, fb->red_shift = 16;
		return true;
	case PixelBitMask:
		if (!mask->RedMask || !mask->GreenMask || !mask->BlueMask)
			return false;
		fb->red_shift = bit_first(mask->RedMask);
		fb->green_shift = bit_first(mask->GreenMask);
		fb->blue_shift = bit_first(mask->BlueMask);
		/* Only channels of 8 bits in pixels of 32. */
		return mask->RedMask >> fb->red_shift == 0xff && mask->GreenMask >> fb->green_shift == 0xff &&
		       mask->BlueMask >> fb->blue_shift == 0xff;
	default:
		return false;
	}
}

static void find_framebuffer(struct loader *l, struct boot_framebuffer *out)
{
	static EFI_GUID guid = EFI_GRAPHICS_OUTPUT_PROTOCOL_GUID;
	EFI_GRAPHICS_OUTPUT_PROTOCOL *gop = NULL;
	struct boot_framebuffer fb = {0};
	if (EFI_ERROR(l->bs->LocateProtocol(&guid, NULL, (void **)&gop)) || !gop->Mode || !gop->Mode->Info)
		return;
	const EFI_GRAPHICS_OUTPUT_MODE_INFORMATION *m = gop->Mode->Info;
	if (!gop->Mode->FrameBufferBase || !find_shifts(m, &fb))
		return;
	fb.base = gop->Mode->FrameBufferBase;
	fb.size = gop->Mode->FrameBufferSize;
	fb.width = m->HorizontalResolution;
	fb.height = m->VerticalResolution;
	fb.stride = m->PixelsPerScanLine;
	if ((u64)fb.stride * fb.height * 4 <= fb.size)
		*out = fb;
}

EFI_STATUS loader_find_platform(struct loader *l)
{
	l->info->rsdp = find_rsdp(l->st);
	l->info->low_page = memory_alloc_low(l);
	find_framebuffer(l, &l->info->fb);
	return EFI_SUCCESS;
}
