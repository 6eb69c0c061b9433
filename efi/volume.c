/* SPDX-License-Identifier: Apache-2.0 */
/* Files of the volume that Socle was started from. */
#include "loader.h"

#define READ_CHUNK ((u64)1 << 20)
#define DOTS 40                        /* at most, however long the file is */
#define PROGRESS_FROM (4 * READ_CHUNK) /* shorter files are read in less than a second */

EFI_STATUS volume_open(struct loader *l)
{
	static EFI_GUID image_guid = LOADED_IMAGE_PROTOCOL;
	static EFI_GUID volume_guid = SIMPLE_FILE_SYSTEM_PROTOCOL;
	static EFI_GUID path_guid = DEVICE_PATH_PROTOCOL;
	EFI_LOADED_IMAGE *image = NULL;
	EFI_FILE_IO_INTERFACE *fs = NULL;
	EFI_DEVICE_PATH_PROTOCOL *path = NULL;

	EFI_STATUS status = l->bs->HandleProtocol(l->image, &image_guid, (void **)&image);
	if (!EFI_ERROR(status))
		status = l->bs->HandleProtocol(image->DeviceHandle, &volume_guid, (void **)&fs);
	if (!EFI_ERROR(status))
		status = fs->OpenVolume(fs, &l->volume);
	if (EFI_ERROR(status)) {
		l->volume = NULL;
		return refuse(l, status, "the volume it was started from cannot be read (status 0x%llx)",
			      (unsigned long long)status);
	}
	if (!EFI_ERROR(l->bs->HandleProtocol(image->DeviceHandle, &path_guid, (void **)&path)))
		volume_describe(path, &l->info->volume);
	return EFI_SUCCESS;
}

void volume_close(struct loader *l)
{
	if (l->volume)
		l->volume->Close(l->volume);
	l->volume = NULL;
}

static EFI_STATUS file_open(struct loader *l, const char *path, EFI_FILE_PROTOCOL **file)
{
	CHAR16 name[BOOT_PATH_MAX + 1];
	unsigned n = 0;
	name[n++] = '\\';
	for (; *path && n < BOOT_PATH_MAX; path++)
		name[n++] = *path == '/' ? '\\' : (CHAR16)(u8)*path;
	name[n] = 0;
	return l->volume->Open(l->volume, file, name, EFI_FILE_MODE_READ, 0);
}

/* False: it is a directory, or says nothing about itself. */
static bool file_size(EFI_FILE_PROTOCOL *file, u64 *size)
{
	static EFI_GUID info_guid = EFI_FILE_INFO_ID;
	union {
		EFI_FILE_INFO info;
		char room[sizeof(EFI_FILE_INFO) + 2 * 256];
	} u;
	UINTN n = sizeof(u);
	if (EFI_ERROR(file->GetInfo(file, &info_guid, &n, &u)) || (u.info.Attribute & EFI_FILE_DIRECTORY))
		return false;
	*size = u.info.FileSize;
	return true;
}

static bool file_read(struct loader *l, EFI_FILE_PROTOCOL *file, bool progress, u64 base, u64 length)
{
	for (u64 done = 0; done < length;) {
		UINTN n = MIN(READ_CHUNK, length - done);
		if (EFI_ERROR(file->Read(file, &n, (void *)(base + done))) || n == 0)
			return false;
		if (progress && (done + n) * DOTS / length != done * DOTS / length)
			screen_print(l, ".");
		done += n;
	}
	return true;
}

static const char *file_load(struct loader *l, EFI_FILE_PROTOCOL *file, const char *path, u64 max,
			     bool progress, u64 *base, u64 *length)
{
	if (!file_size(file, length))
		return "is a directory: expected a file";
	if (*length == 0)
		return "is empty";
	if (*length > max)
		return "is too big";
	if (EFI_ERROR(memory_alloc(l, *length, BOOT_MEM_FILES, base)))
		return "does not fit into this machine's memory";
	progress = progress && *length >= PROGRESS_FROM;
	if (progress)
		screen_print(l, "reading %s ", path);
	if (!file_read(l, file, progress, *base, *length))
		return "cannot be read: the disk or its file system reports an error";
	if (progress)
		screen_print(l, "\n");
	return NULL;
}

const char *volume_read(struct loader *l, const char *path, u64 max, bool progress, u64 *base, u64 *length)
{
	EFI_FILE_PROTOCOL *file;
	EFI_STATUS status = file_open(l, path, &file);
	if (status == EFI_NOT_FOUND)
		return "not found on the boot volume";
	if (EFI_ERROR(status))
		return "cannot be opened: the disk or its file system reports an error";
	const char *wrong = file_load(l, file, path, max, progress, base, length);
	file->Close(file);
	return wrong;
}
