/* SPDX-License-Identifier: Apache-2.0 */
/* What has gone through the disks and network interfaces of a VM, together. */
#include "guest.h"
#include "vm.h"

static void add_device(struct device_meters *sum, const struct device_meters *m)
{
	sum->doorbells += m->doorbells;
	sum->interrupts += m->interrupts;
	sum->suppressed += m->suppressed;
	sum->accesses += m->accesses;
	sum->copied += m->copied;
}

static void add_disk(struct vm_io *io, const struct disk_meters *m)
{
	io->disk_ops[0] += m->block.ops[BLOCK_READ];
	io->disk_ops[1] += m->block.ops[BLOCK_WRITE];
	io->disk_bytes[0] += m->block.bytes_read;
	io->disk_bytes[1] += m->block.bytes_written;
	add_device(&io->device, &m->device);
	io->device.copied += m->block.copied;
}

static void add_nic(struct vm_io *io, const struct net_meters *m, const struct device_meters *device)
{
	io->net_frames[0] += m->tx_frames;
	io->net_frames[1] += m->rx_frames;
	io->net_bytes[0] += m->tx_bytes;
	io->net_bytes[1] += m->rx_bytes;
	io->net_dropped += m->rx_dropped;
	add_device(&io->device, device);
	io->device.copied += m->tx_copied + m->rx_copied;
}

void vm_io(const struct vm *vm, struct vm_io *io)
{
	unsigned nic = 0;

	memset(io, 0, sizeof(*io));
	for (unsigned i = 0; i < CONFIG_MAX_DISKS; i++) {
		struct disk_meters m;
		vm_disk_meters(vm, i, &m);
		add_disk(io, &m);
	}
	for (unsigned i = 0; vm->pc && i < CONFIG_MAX_NETS; i++) {
		struct device_meters device;
		struct net_meters m;
		if (!vm->config->nets[i].bridge[0])
			continue;
		m = pc_nic_meters(vm->pc, nic);
		pc_nic_device_meters(vm->pc, nic++, &device);
		add_nic(io, &m, &device);
	}
}

u64 vm_meter(void *opaque, u32 which)
{
	struct vm_io io;

	vm_io(opaque, &io);
	switch (which) {
	case GUEST_METER_COPIED:
		return io.device.copied;
	case GUEST_METER_DOORBELLS:
		return io.device.doorbells;
	case GUEST_METER_INTERRUPTS:
		return io.device.interrupts;
	case GUEST_METER_SUPPRESSED:
		return io.device.suppressed;
	case GUEST_METER_ACCESSES:
		return io.device.accesses;
	case GUEST_METER_DROPPED:
		return io.net_dropped;
	default:
		return 0;
	}
}
