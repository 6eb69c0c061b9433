/* SPDX-License-Identifier: Apache-2.0 */
/* Starts the guest's own kernel and initramfs on the bare machine, as the yardstick for the same in a
 * guest: by its EFI stub, with the command line in \boot\cmdline and the TSC of this moment behind it. */
#include <efi.h>
#include <efilib.h>

#define CMDLINE_MAX 512
#define INITRD L" initrd=\\boot\\initrd native.tsc="

static UINT64 read_tsc(void)
{
	UINT32 low, high;
	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high));
	return (UINT64)high << 32 | low;
}

/* Number of characters read into text, widened; 0: no file, or nothing in it. */
static UINTN read_cmdline(EFI_HANDLE device, CHAR16 *text)
{
	char bytes[CMDLINE_MAX];
	UINTN n = sizeof(bytes);
	EFI_FILE_HANDLE root = LibOpenRoot(device), file;
	if (!root || EFI_ERROR(root->Open(root, &file, L"\\boot\\cmdline", EFI_FILE_MODE_READ, 0)))
		return 0;
	if (EFI_ERROR(file->Read(file, &n, bytes)))
		n = 0;
	while (n && (bytes[n - 1] == '\n' || bytes[n - 1] == '\r'))
		n--;
	for (UINTN i = 0; i < n; i++)
		text[i] = (CHAR16)(UINT8)bytes[i];
	return n;
}

static UINTN append_number(CHAR16 *text, UINTN at, UINT64 value)
{
	CHAR16 digits[20];
	UINTN n = 0;
	do
		digits[n++] = (CHAR16)(L'0' + value % 10);
	while (value /= 10);
	while (n)
		text[at++] = digits[--n];
	return at;
}

EFI_STATUS efi_main(EFI_HANDLE self, EFI_SYSTEM_TABLE *table);
EFI_STATUS efi_main(EFI_HANDLE self, EFI_SYSTEM_TABLE *table)
{
	static CHAR16 options[CMDLINE_MAX + 128];
	EFI_LOADED_IMAGE *image, *kernel_image;
	EFI_HANDLE kernel;
	InitializeLib(self, table);
	EFI_STATUS status = BS->HandleProtocol(self, &LoadedImageProtocol, (void **)&image);
	if (EFI_ERROR(status))
		return status;
	EFI_DEVICE_PATH *path = FileDevicePath(image->DeviceHandle, L"\\boot\\vmlinuz");
	status = BS->LoadImage(FALSE, self, path, NULL, 0, &kernel);
	if (!EFI_ERROR(status))
		status = BS->HandleProtocol(kernel, &LoadedImageProtocol, (void **)&kernel_image);
	if (EFI_ERROR(status)) {
		Print(L"native: cannot load \\boot\\vmlinuz: %r\n", status);
		return status;
	}
	UINTN at = read_cmdline(image->DeviceHandle, options);
	for (const CHAR16 *s = INITRD; *s; s++)
		options[at++] = *s;
	at = append_number(options, at, read_tsc());
	options[at++] = L'\0';
	kernel_image->LoadOptions = options;
	kernel_image->LoadOptionsSize = (UINT32)(at * sizeof(CHAR16));
	return BS->StartImage(kernel, NULL, NULL);
}
