/* SPDX-License-Identifier: Apache-2.0 */
/* What can be known of the VMs before the firmware is left: that their kernels can be loaded, and that
 * all of them fit into memory. */
#include "boot_load.h"
#include "loader.h"
#include "x86.h"
#include "x86_ops.h"

/* What the hypervisor itself uses at most, without VMs. */
#define OVERHEAD_FIXED ((u64)16 << 20)
#define MIB(bytes) ((unsigned long long)((bytes) >> 20))

static const u8 *file_data(const struct boot_info *info, const char *path, u64 *size)
{
	const struct boot_file *f = file_find(info, path);
	*size = f->length;
	return (const u8 *)f->base;
}

static void describe(const struct boot_info *info, const struct config_vm *vm, struct boot_image *img)
{
	memset(img, 0, sizeof(*img));
	img->path = vm->kernel;
	img->kernel = file_data(info, vm->kernel, &img->kernel_size);
	img->cmdline = vm->cmdline;
	if (vm->initrd[0])
		img->initrd = file_data(info, vm->initrd, &img->initrd_size);
	for (; img->nr_modules < vm->nr_modules; img->nr_modules++) {
		struct boot_module *m = &img->modules[img->nr_modules];
		char path[CONFIG_PATH_MAX];
		m->string = vm->modules[img->nr_modules];
		str_copy(path, m->string, sizeof(path));
		char *blank = strchr(path, ' ');
		if (blank)
			*blank = '\0';
		m->data = file_data(info, path, &m->size);
	}
}

/* A dry run of the very loaders that will do it; see dryrun.c. */
static EFI_STATUS check_kernel(struct loader *l, const struct config_vm *vm)
{
	struct gmem mem = {0};
	struct boot_image img;
	struct boot_state state;
	struct config_error err;
	char why[160];
	u64 low, high;
	describe(l->info, vm, &img);
	if (boot_add_ram(&mem, vm->memory, &low, &high) == 0 &&
	    boot_load(&mem, &img, &state, why, sizeof(why)) == 0)
		return EFI_SUCCESS;
	config_error_at(&err, vm, state.fault_key, state.fault_path, "%s", why);
	return refuse_key(l, EFI_UNSUPPORTED, &err);
}

/* What entropy_test() asks first. */
static EFI_STATUS check_rng(struct loader *l, const struct config_vm *vm)
{
	struct config_error err;
	if (!vm->rng || cpuid(CPUID_LEAF_EXT_FEATURES, 0).ebx & CPUID7_EBX_RDSEED ||
	    cpuid(CPUID_LEAF_FEATURES, 0).ecx & CPUID1_ECX_RDRAND)
		return EFI_SUCCESS;
	config_error_at(&err, vm, "rng", NULL,
			"this processor has neither RDSEED nor RDRAND: expected rng = off");
	return refuse_key(l, EFI_UNSUPPORTED, &err);
}

/* VMs that start by themselves need their memory beside the others'; any VM must fit alone. */
static EFI_STATUS check_memory(struct loader *l, const struct config_vm *vm, u64 total, u64 *taken)
{
	struct config_error err;
	char times[24] = "";
	u64 count = vm->autostart ? vm->count : 1, need = count * config_vm_footprint(vm);
	u64 left = total - MIN(total, vm->autostart ? *taken : OVERHEAD_FIXED);
	if (need <= left) {
		*taken += vm->autostart ? need : 0;
		return EFI_SUCCESS;
	}
	if (count > 1)
		snprintf(times, sizeof(times), "%u times ", (unsigned)count);
	config_error_at(&err, vm, "memory", NULL,
			"%s%llu MiB asked for, this machine has %llu MiB left: expected less", times,
			MIB(vm->memory), MIB(count * config_vm_room(vm, left / count)));
	return refuse_key(l, EFI_OUT_OF_RESOURCES, &err);
}

EFI_STATUS loader_check_vms(struct loader *l)
{
	u64 total, taken = OVERHEAD_FIXED;
	EFI_STATUS status = memory_count_free(l, &total);
	if (EFI_ERROR(status))
		return refuse(l, status, "the firmware does not show its memory map (status 0x%llx)",
			      (unsigned long long)status);
	for (unsigned i = 0; i < l->config->nr_vms && !EFI_ERROR(status); i++) {
		const struct config_vm *vm = &l->config->vms[i];
		status = check_kernel(l, vm);
		if (!EFI_ERROR(status))
			status = check_rng(l, vm);
		if (!EFI_ERROR(status))
			status = check_memory(l, vm, total, &taken);
	}
	return status;
}
