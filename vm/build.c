/* SPDX-License-Identifier: Apache-2.0 */
/* From a configuration to a VM that is ready to run: memory, devices, tables, kernel, registers. */
#include "acpi.h"
#include "host.h"
#include "load.h"
#include "log.h"
#include "vm.h"

#define COPY_PIECE (4 * PAGE_SIZE) /* divides every size of page */

static int build_memory(struct vm *vm, u64 *low, u64 *high)
{
	struct gmem *m = &vm->guest.mem;
	int rc = boot_add_ram(m, vm->config->memory, low, high);
	mtrr_setup_pc(&vm->guest.mtrr, PC_LOW_MAX);
	return rc;
}

static void console_room(void *opaque)
{
	struct vm *vm = opaque;
	vm_console_room(vm);
}

static int build_devices(struct vm *vm, u64 low, u64 high)
{
	static const char *const ids[CONFIG_MAX_DISKS] = {"disk1", "disk2", "disk3", "disk4"};
	struct pc_config cfg = {
	    .ram_low = low,
	    .ram_high = high,
	    .vcpus = vm->config->vcpus,
	    .testdev = vm->config->testdev,
	    .rng = vm->config->rng,
	    .hpet = vm->config->hpet,
	    .virtio_console = vm->config->console == CONSOLE_VIRTIO,
	    .group = &vm->guest.group,
	    .console_output = vm_console_output,
	    .debug_output = vm_console_output,
	    .console_room = console_room,
	    .meter = vm_meter,
	    .event = vm_event_alarm,
	    .opaque = vm,
	};
	for (unsigned i = 0; i < CONFIG_MAX_DISKS; i++)
		if (vm->config->disks[i].path[0])
			cfg.disks[cfg.nr_disks++] =
			    (struct pc_disk){&vm->disks[i].port.block, ids[i], vm->config->disks[i].model,
					     vm->config->disks[i].polled};
	int rc = vm_open_nets(vm, &cfg);
	if (rc)
		return rc;
	vm->pc = pc_create(&vm->guest, &cfg);
	return vm->pc ? 0 : ERR_NOMEM;
}

static int build_file(const struct vm *vm, const char *path, const u8 **data, u64 *size)
{
	const struct boot_file *f = vm_file(path);
	if (!f) {
		log_error("%s: %s was not loaded", vm->name, path);
		return ERR_NOENT;
	}
	*data = phys_to_virt(f->base);
	*size = f->length;
	return 0;
}

static int build_image(struct vm *vm, struct boot_image *img)
{
	const struct config_vm *c = vm->config;
	int rc = build_file(vm, c->kernel, &img->kernel, &img->kernel_size);
	img->path = c->kernel;
	img->cmdline = c->cmdline;
	if (!rc && c->initrd[0])
		rc = build_file(vm, c->initrd, &img->initrd, &img->initrd_size);
	for (unsigned i = 0; !rc && i < c->nr_modules; i++) {
		char path[CONFIG_PATH_MAX];
		const char *blank = strchr(c->modules[i], ' ');
		str_copy(path, c->modules[i], blank ? (size_t)(blank - c->modules[i]) + 1 : sizeof(path));
		img->modules[i].string = c->modules[i];
		rc = build_file(vm, path, &img->modules[i].data, &img->modules[i].size);
		img->nr_modules = i + 1;
	}
	return rc;
}

static void build_registers(struct vcpu *v, const struct boot_state *s)
{
	vcpu_load(v);
	for (unsigned seg = SEG_ES; seg <= SEG_TR; seg++)
		vcpu_set_segment(seg, &s->segments[seg]);
	vmwrite(GUEST_GDTR_BASE, s->gdt_base);
	vmwrite(GUEST_GDTR_LIMIT, s->gdt_limit);
	vmwrite(GUEST_IDTR_BASE, s->idt_base);
	vmwrite(GUEST_IDTR_LIMIT, s->idt_limit);
	vmwrite(GUEST_CR3, s->cr3);
	vcpu_set_efer(s->efer);
	vcpu_set_cr4(v, s->cr4);
	vcpu_set_cr0(v, s->cr0);
	vmwrite(GUEST_RIP, s->rip);
	vmwrite(GUEST_RSP, s->rsp);
	vmwrite(GUEST_RFLAGS, s->rflags);
	memset(v->regs, 0, VMX_FRAME_REGS * sizeof(u64));
	v->regs[REG_RAX] = s->rax;
	v->regs[REG_RBX] = s->rbx;
	v->regs[REG_RSI] = s->rsi;
}

int vm_build(struct vm *vm)
{
	u64 low, high;
	char why[160];
	struct boot_image img = {.later = &vm->later};
	struct boot_state state;
	vm->later.count = 0;
	int rc = build_memory(vm, &low, &high);
	for (unsigned i = 0; !rc && i < vm->config->vcpus; i++)
		rc = vcpu_create(&vm->guest, i);
	rc = rc ? rc : vm_open_disks(vm);
	rc = rc ? rc : build_devices(vm, low, high);
	rc = rc ? rc : build_image(vm, &img);
	if (rc)
		return rc;
	const struct acpi_config acpi = {.vcpus = vm->config->vcpus, .hpet = vm->config->hpet};
	rc = acpi_build(&vm->guest.mem, &acpi, &img.rsdp);
	rc = rc ? rc : boot_load(&vm->guest.mem, &img, &state, why, sizeof(why));
	if (rc) {
		log_error("%s: %s", vm->name, why);
		return rc;
	}
	pc_bios_state(vm->pc);
	lapic_virtual_wire(&vm->guest.vcpus[0]->lapic);
	build_registers(vm->guest.vcpus[0], &state);
	return 0;
}

/* In the VM's own time, while others run as they would beside any guest. */
void vm_copy_files(void *opaque, struct vcpu *v)
{
	struct vm *vm = opaque;
	struct gmem *m = &vm->guest.mem;
	for (unsigned i = 0; i < vm->later.count; i++) {
		gpa_t gpa = vm->later.part[i].gpa, end = gpa + vm->later.part[i].size;
		const u8 *from = vm->later.part[i].data;
		while (gpa < end) {
			u64 n = MIN(end - gpa, COPY_PIECE - gpa % COPY_PIECE);
			/* First, for it lets others run where a large page has to be zeroed. */
			int rc = gmem_fault(m, gpa, EPT_W);
			rc = rc ? rc : gmem_write(m, gpa, from, n);
			if (rc) {
				guest_fail(&vm->guest, "out of memory while loading");
				return;
			}
			gpa += n;
			from += n;
			vcpu_breathe(v);
		}
	}
	vm->later.count = 0;
}
