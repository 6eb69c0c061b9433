/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's CPUs: their APIC identifiers, and VT-x unlocked on each of them. They come from the
 * firmware's MP Services (UEFI Platform Initialization 1.7, vol. 2, 13.4), where it has them, else from
 * the ACPI table MADT. */
#include "acpi.h"
#include "loader.h"
#include "mp_services.h"
#include "x86.h"
#include "x86_ops.h"

#define AP_TIMEOUT_US 5000000

bool cpu_unlock_vmxon(bool write)
{
	if (!(cpuid(CPUID_LEAF_FEATURES, 0).ecx & CPUID1_ECX_VMX))
		return false;
	u64 value = rdmsr(MSR_FEATURE_CONTROL);
	if (value & FEATURE_CONTROL_LOCK)
		return value & FEATURE_CONTROL_VMX;
	if (write)
		wrmsr(MSR_FEATURE_CONTROL, value | FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX);
	return true;
}

/* Runs on every CPU at once. */
struct unlock {
	bool write;
	u32 refused; /* number of CPUs that have VT-x locked off */
};

static void EFIAPI unlock_here(void *opaque)
{
	struct unlock *u = opaque;
	if (!cpu_unlock_vmxon(u->write))
		__atomic_add_fetch(&u->refused, 1, __ATOMIC_RELAXED);
}

static EFI_STATUS unlock_all(struct loader *l, struct mp_services *mp, bool write)
{
	struct unlock u = {.write = write};
	EFI_STATUS status = EFI_NOT_STARTED;
	unlock_here(&u);
	if (mp)
		status = mp->startup_all_aps(mp, unlock_here, FALSE, NULL, AP_TIMEOUT_US, &u, NULL);
	if (u.refused)
		return refuse(l, EFI_UNSUPPORTED, "VT-x is locked off by the firmware on %u CPUs", u.refused);
	if (EFI_ERROR(status) && status != EFI_NOT_STARTED) /* not started: there is one CPU only */
		return refuse(l, status, "the firmware cannot start the other CPUs (status 0x%llx)",
			      (unsigned long long)status);
	return EFI_SUCCESS;
}

static void cpu_add(struct boot_info *info, u32 apic_id, bool is_bsp)
{
	for (unsigned i = 0; i < info->nr_cpus; i++)
		if (info->cpus[i].apic_id == apic_id)
			return;
	if (info->nr_cpus < BOOT_MAX_CPUS)
		info->cpus[info->nr_cpus++] = (struct boot_cpu){apic_id, is_bsp};
}

static u32 apic_id_here(void)
{
	if (cpuid(0, 0).eax >= CPUID_LEAF_TOPOLOGY && cpuid(CPUID_LEAF_TOPOLOGY, 0).ebx)
		return cpuid(CPUID_LEAF_TOPOLOGY, 0).edx;
	return cpuid(CPUID_LEAF_FEATURES, 0).ebx >> 24;
}

static void list_by_mp(struct boot_info *info, struct mp_services *mp)
{
	UINTN count = 0, enabled;
	mp->get_number_of_processors(mp, &count, &enabled);
	for (UINTN i = 0; i < count; i++) {
		struct mp_processor_info p = {0};
		if (!EFI_ERROR(mp->get_processor_info(mp, i, &p)) && (p.status_flag & MP_ENABLED))
			cpu_add(info, (u32)p.processor_id, p.status_flag & MP_BSP);
	}
}

static void add_from_madt(void *opaque, u32 apic_id)
{
	cpu_add(opaque, apic_id, false);
}

EFI_STATUS loader_enable_vmx(struct loader *l)
{
	static EFI_GUID guid = MP_SERVICES_GUID;
	struct mp_services *mp = NULL;
	if (EFI_ERROR(l->bs->LocateProtocol(&guid, NULL, (void **)&mp)))
		mp = NULL;
	/* The boot CPU first, whatever the tables say. */
	cpu_add(l->info, apic_id_here(), true);
	if (mp)
		list_by_mp(l->info, mp);
	else
		acpi_for_each_cpu(l->info->rsdp, add_from_madt, l->info);
	EFI_STATUS status = unlock_all(l, mp, false);
	return EFI_ERROR(status) ? status : unlock_all(l, mp, true);
}
