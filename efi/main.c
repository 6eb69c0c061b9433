/* SPDX-License-Identifier: Apache-2.0 */
/* The UEFI application: brings the machine from the firmware to the hypervisor, or leaves it as it was. */
#include "loader.h"
#include "x86_ops.h"

static EFI_STATUS (*const steps[])(struct loader *) = {
    loader_check_cpu,  loader_prepare,       loader_read_config,     loader_read_files,
    loader_check_vms,  loader_find_platform, loader_load_hypervisor, loader_build_tables,
    loader_enable_vmx, loader_exit_firmware,
};

EFI_STATUS loader_prepare(struct loader *l)
{
	u64 info, config, stack;
	if (memory_alloc(l, sizeof(*l->info), BOOT_MEM_LOADER, &info) ||
	    memory_alloc(l, sizeof(*l->config), BOOT_MEM_LOADER, &config) ||
	    memory_alloc(l, LOADER_STACK_PAGES * PAGE_SIZE, BOOT_MEM_LOADER, &stack))
		return refuse(l, EFI_OUT_OF_RESOURCES, "out of memory");
	l->info = (struct boot_info *)info;
	l->config = (struct config *)config;
	l->stack_top = stack + LOADER_STACK_PAGES * PAGE_SIZE + VIRT_DIRECT_MAP;
	l->info->magic = BOOT_INFO_MAGIC;
	return volume_open(l);
}

EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st);
EFI_STATUS efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *st)
{
	u64 tsc = rdtsc();
	struct loader l = {.image = image, .st = st, .bs = st->BootServices};
	EFI_STATUS status = EFI_SUCCESS;

	screen_init(&l);
	for (unsigned i = 0; i < ARRAY_SIZE(steps) && !EFI_ERROR(status); i++)
		status = steps[i](&l);
	if (EFI_ERROR(status)) {
		volume_close(&l);
		memory_release_all(&l);
		return status;
	}
	l.info->tsc_at_entry = tsc;
	loader_jump((u64)l.info + VIRT_DIRECT_MAP, l.cr3, l.stack_top, l.entry);
}
