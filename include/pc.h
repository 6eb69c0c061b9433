/* SPDX-License-Identifier: Apache-2.0 */
/* The PC that a guest sees (owner: devices/): its physical memory map, and one call that builds all
 * of its devices. docs/guest-machine.md has the map with every port. */
#pragma once

#include "bridge.h"
#include "disk_model.h"
#include "lib.h"
#include "meters.h"
#include "net_model.h"

struct block;
struct guest;
struct sched_group;
struct pc;

/* Guest-physical memory map. RAM: 0 to 640 KiB, then 768 KiB to the low top (at most PC_LOW_MAX),
 * the rest from 4 GiB on. */
#define PC_HOLE_BASE 0x000a0000ULL /* the VGA window of a PC; nothing is there */
#define PC_HOLE_END 0x000c0000ULL
#define PC_LOW_MAX 0xc0000000ULL
#define PC_PCI_MMIO_BASE 0xc0000000ULL
#define PC_PCI_MMIO_END 0xe0000000ULL
#define PC_ECAM_BASE 0xe0000000ULL
#define PC_ECAM_SIZE 0x10000000ULL
#define PC_PCI_MMIO2_BASE 0xf0000000ULL
#define PC_PCI_MMIO2_END 0xfec00000ULL
#define PC_IOAPIC_BASE 0xfec00000ULL
#define PC_HPET_BASE 0xfed00000ULL
#define PC_LAPIC_BASE 0xfee00000ULL
#define PC_TEST_MMIO_BASE 0xff000000ULL
#define PC_TEST_MMIO_SIZE 0x00010000ULL
#define PC_HIGH_BASE 0x100000000ULL

#define PC_MAX_DISKS 4
#define PC_DISK_SLOT 4 /* of the PCI bus; one for each disk, those behind the IDE controller left out */

#define PC_CONSOLE_SLOT 2
#define PC_RNG_SLOT 3

/* A disk of the guest. */
struct pc_disk {
	struct block *disk; /* outlives the PC */
	const char *id;     /* its serial number */
	enum disk_model model;
	bool polled; /* by a CPU of poll.h, where there is one; its driver is asked for no doorbells */
};

#define PC_MAX_NICS 4
#define PC_NIC_SLOT 8 /* as PC_DISK_SLOT */

/* A network interface of the guest. */
struct pc_nic {
	struct bridge_nic port;
	const char *id; /* its name, where the model has one */
	enum net_model model;
	bool polled; /* as of a disk */
};

struct pc_config {
	u64 ram_low;    /* bytes of RAM below 4 GiB, counted from 0, hole included */
	u64 ram_high;   /* bytes of RAM from 4 GiB on */
	unsigned vcpus; /* 1..255 */
	struct pc_disk disks[PC_MAX_DISKS];
	unsigned nr_disks;
	struct pc_nic nics[PC_MAX_NICS];
	unsigned nr_nics;
	bool testdev; /* ports and memory of a test device as well */
	bool rng;     /* a virtio entropy device */
	bool hpet;
	bool virtio_console; /* one that pc_console_input() is for, in COM1's place */
	/* What the guest sends through COM1 and a virtio console, and through the debug port 0xe9. Called
	 * with interrupts off; of the virtio console by any CPU, by the others on the one that runs the
	 * guest. */
	void (*console_output)(void *opaque, const u8 *buf, size_t n);
	void (*debug_output)(void *opaque, const u8 *buf, size_t n);
	/* After pc_console_input() took less than it was given: there is room again. May call
	 * pc_console_input(). */
	void (*console_room)(void *opaque);
	/* With testdev: what guest_meter() does not know, GUEST_METER_DEVICES and on. */
	u64 (*meter)(void *opaque, u32 which);
	/* A device behind a Socle ring notifies the guest: number as given to pv_open(). Any CPU. */
	void (*event)(void *opaque, u32 number);
	void *opaque;
	struct sched_group *group; /* who pays for the time of the devices' timers; NULL: whoever runs */
};

/* Creates every device and registers its I/O regions with the guest; as after power-on. NULL, with
 * the reason logged and nothing left behind, when anything fails. All callbacks must be set; event may be
 * NULL where no disk is DISK_SOCLE, meter where there is no test device. */
struct pc *pc_create(struct guest *g, const struct pc_config *cfg);
/* No vCPU of the guest may be running. */
void pc_destroy(struct pc *pc);
/* Bytes that its devices take. */
u64 pc_usage(const struct pc *pc);
/* Of disk i of pc_config.disks[], in this life of the PC; any CPU. All 0: there is none. */
void pc_disk_meters(const struct pc *pc, unsigned i, struct device_meters *m);
/* All vCPUs have stopped for good: whether the PC can be destroyed or reset now; else other VMs have to run
 * before, so ask again later. The guest's network interfaces end with the first call. */
bool pc_quiet(struct pc *pc);
/* As after power-on, except the clock and its battery-backed memory. No vCPU may be running. */
void pc_reset(struct pc *pc);
/* After pc_create() or pc_reset(): programs PIC, PIT and CMOS as a PC BIOS leaves them for what it boots. */
void pc_bios_state(struct pc *pc);

/* What went through the n-th of its network interfaces. */
struct net_meters pc_nic_meters(const struct pc *pc, unsigned n);
/* As pc_disk_meters(). */
void pc_nic_device_meters(const struct pc *pc, unsigned n, struct device_meters *m);

/* Bytes typed for the guest: returns how many its UART or virtio console took (0..n). */
size_t pc_console_input(struct pc *pc, const u8 *buf, size_t n);
void pc_power_button(struct pc *pc);
/* No vCPU runs between the two, but for a moment after the first: the ticks of the board's timers cost
 * nothing. */
void pc_set_paused(struct pc *pc, bool paused);
