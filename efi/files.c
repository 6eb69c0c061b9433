/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration, and the files that it names. */
#include "loader.h"
#include "x86_ops.h"

#define CONFIG_SIZE_MAX ((u64)1 << 20)
#define FILE_SIZE_MAX ((u64)1 << 40)
#define ERROR_TEXT_MAX 320

EFI_STATUS refuse_key(struct loader *l, EFI_STATUS status, const struct config_error *err)
{
	char text[ERROR_TEXT_MAX];
	config_format_error(text, sizeof(text), LOADER_CONFIG_NAME, err);
	return refuse(l, status, "%s", text);
}

EFI_STATUS loader_read_config(struct loader *l)
{
	struct boot_info *info = l->info;
	const char *wrong = volume_read(l, LOADER_CONFIG_PATH, CONFIG_SIZE_MAX, false, &info->config_base,
					&info->config_size);
	if (wrong)
		return refuse(l, EFI_NOT_FOUND, LOADER_CONFIG_NAME ": %s", wrong);

	const char *text = (const char *)info->config_base;
	unsigned room = config_count_sections(text, info->config_size);
	u64 vms;
	if (memory_alloc(l, room * sizeof(struct config_vm), BOOT_MEM_LOADER, &vms))
		return refuse(l, EFI_OUT_OF_RESOURCES, "out of memory");
	l->config->room = room;
	l->config->vms = (struct config_vm *)vms;

	struct config_error err;
	if (config_parse(l->config, text, info->config_size, &err))
		return refuse_key(l, EFI_INVALID_PARAMETER, &err);
	return EFI_SUCCESS;
}

const struct boot_file *file_find(const struct boot_info *info, const char *path)
{
	for (unsigned i = 0; i < info->nr_files; i++)
		if (strcmp(info->files[i].path, path) == 0)
			return &info->files[i];
	return NULL;
}

static int read_one(void *opaque, const struct config_vm *vm, const char *key, const char *path)
{
	struct loader *l = opaque;
	struct boot_info *info = l->info;
	struct config_error err;

	if (file_find(info, path))
		return 0;
	if (info->nr_files == BOOT_MAX_FILES) {
		config_error_at(&err, vm, key, path, "more than %u different files", BOOT_MAX_FILES);
		refuse_key(l, EFI_OUT_OF_RESOURCES, &err);
		return ERR_NOMEM;
	}
	struct boot_file *f = &info->files[info->nr_files];
	const char *wrong = volume_read(l, path, FILE_SIZE_MAX, true, &f->base, &f->length);
	if (wrong) {
		config_error_at(&err, vm, key, path, "%s: %s", path, wrong);
		refuse_key(l, EFI_NOT_FOUND, &err);
		return ERR_NOENT;
	}
	str_copy(f->path, path, sizeof(f->path));
	info->nr_files++;
	return 0;
}

EFI_STATUS loader_read_files(struct loader *l)
{
	if (config_for_each_file(l->config, read_one, l))
		return EFI_NOT_FOUND; /* read_one() has said why */
	l->info->tsc_after_files = rdtsc();
	return EFI_SUCCESS;
}
