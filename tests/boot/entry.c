/* SPDX-License-Identifier: Apache-2.0 */
/* A program in the hypervisor's place, linked with all of it but vm/main.c: makes a guest, breaks one field
 * of its VMCS, and lets it run. The processor must refuse the entry, Socle say why, and the next guest have
 * its turn. For test_entry.py (M2). */
#include "ept.h"
#include "host.h"
#include "log.h"
#include "vcpu.h"
#include "vmcs_access.h"
#include "x86.h"

__attribute__((noreturn)) void socle_main(const struct boot_info *bi);

#define NOT_CANONICAL ((u64)1 << 63)

/* SDM volume 3, 27.2.1: control fields. */
static void pin_controls(void)
{
	vmwrite(PIN_CONTROLS, 0); /* some have to be 1 */
}

static void processor_controls(void)
{
	vmwrite(PROC_CONTROLS, 0);
}

static void exit_controls(void)
{
	vmwrite(EXIT_CONTROLS, 0);
}

static void entry_controls(void)
{
	vmwrite(ENTRY_CONTROLS, 0);
}

static void ept_pointer(void)
{
	vmwrite(EPT_POINTER, vmread(EPT_POINTER) | 7); /* a reserved memory type */
}

static void vpid_zero(void)
{
	vmwrite(VPID, 0);
}

static void event_type(void)
{
	vmwrite(ENTRY_INTERRUPTION_INFO, 0x80000000u | 1 << 8); /* a reserved type */
}

static void apic_page(void)
{
	vmwrite(VIRTUAL_APIC_PAGE, vmread(VIRTUAL_APIC_PAGE) | 1);
}

/* 27.2.2 and 27.2.3: the host's state. */
static void host_cr4(void)
{
	vmwrite(HOST_CR4, vmread(HOST_CR4) & ~(u64)CR4_VMXE);
}

static void host_code(void)
{
	vmwrite(HOST_CS_SELECTOR, 0);
}

static void host_task(void)
{
	vmwrite(HOST_TR_SELECTOR, 0);
}

static void host_gdt(void)
{
	vmwrite(HOST_GDTR_BASE, NOT_CANONICAL);
}

/* 27.3.1: the guest's. */
static void guest_cr0(void)
{
	vmwrite(GUEST_CR0, (vmread(GUEST_CR0) | CR0_PG) & ~(u64)CR0_PE);
}

static void guest_flags(void)
{
	vmwrite(GUEST_RFLAGS, 0); /* bit 1 is always 1 */
}

static void guest_activity(void)
{
	vmwrite(GUEST_ACTIVITY, 7);
}

static void guest_shadows(void)
{
	vmwrite(GUEST_INTERRUPTIBILITY, 3); /* of STI and of MOV SS at once */
}

static void guest_task(void)
{
	vmwrite(GUEST_TR_ACCESS_RIGHTS, SEG_UNUSABLE);
}

static void guest_link(void)
{
	vmwrite(VMCS_LINK_POINTER, 1);
}

static void nothing(void)
{
}

static const struct {
	const char *name;
	void (*break_it)(void);
} rows[] = {
    {"pin_controls", pin_controls},
    {"processor_controls", processor_controls},
    {"exit_controls", exit_controls},
    {"entry_controls", entry_controls},
    {"ept_pointer", ept_pointer},
    {"vpid_zero", vpid_zero},
    {"event_type", event_type},
    {"apic_page", apic_page},
    {"host_cr4", host_cr4},
    {"host_code", host_code},
    {"host_task", host_task},
    {"host_gdt", host_gdt},
    {"guest_cr0", guest_cr0},
    {"guest_flags", guest_flags},
    {"guest_activity", guest_activity},
    {"guest_shadows", guest_shadows},
    {"guest_task", guest_task},
    {"guest_link", guest_link},
    {"nothing", nothing}, /* it comes as far as its first instruction, where no memory is */
};

static struct vmx_caps caps;
static struct guest guest;
static unsigned row;

static void start(void);

/* On the scheduler's stack. */
static void stopped(void *opaque)
{
	(void)opaque;
	log_info("ROW %s: %s", rows[row].name, guest.why);
	guest_destroy(&guest);
	if (++row < ARRAY_SIZE(rows)) {
		start();
		return;
	}
	vmx_off(this_cpu());
	machine_poweroff();
}

static void start(void)
{
	const struct guest_config config = {
	    .name = rows[row].name, .memory_limit_pages = 16, .vcpus = 1, .stopped = stopped};
	if (guest_create(&guest, &config, &caps) || gmem_add_slot(&guest.mem, 0, PAGE_SIZE, 0) ||
	    vcpu_create(&guest, 0))
		panic("no guest");
	guest_start(&guest);
	vcpu_load(guest.vcpus[0]);
	rows[row].break_it();
}

void socle_main(const struct boot_info *bi)
{
	const struct vmx_wishes wishes = {.tpr_shadow = true, .vpid = true, .preemption_timer = true};
	char why[160];

	log_console_init(bi);
	cpu_init_boot(bi);
	page_init(bi);
	paging_init(bi);
	heap_init();
	apic_init(bi);
	time_init(bi);
	if (sched_init(gmem_idle_zero) || vmx_probe(&caps, &wishes, why, sizeof(why)) ||
	    vmx_on(this_cpu(), &caps) || vcpu_init(&caps))
		panic("no VMX operation");
	start();
	sched_run();
}
