/* SPDX-License-Identifier: Apache-2.0 */
/* The PC as a whole: which devices there are, at which ports and addresses, and how they are wired.
 *
 * Every device has its own lock. They nest in one direction: device, interrupt router, interrupt chip
 * (8259 pair or IOAPIC), local APIC; a chip never calls back into a device. */
#include "pc.h"

#include "ata.h"
#include "debugport.h"
#include "guest.h"
#include "host.h"
#include "hpet.h"
#include "i8042.h"
#include "io.h"
#include "ioapic.h"
#include "irq.h"
#include "lapic.h"
#include "log.h"
#include "nic.h"
#include "pci.h"
#include "pic.h"
#include "pit.h"
#include "pm.h"
#include "pv_disk.h"
#include "rtc.h"
#include "testdev.h"
#include "uart.h"
#include "virtio_blk.h"
#include "virtio_console.h"
#include "virtio_rng.h"

struct pc {
	struct guest *guest;
	struct pc_config config;
	unsigned nr_regions; /* rows of pc_regions[] that are registered */
	struct irq_router router;
	struct pic pic;
	struct ioapic ioapic;
	struct pit pit;
	struct rtc rtc;
	struct hpet hpet; /* where the configuration asks for it */
	struct uart com1;
	struct i8042 kbc;
	struct pm pm;
	struct pci_bus pci;
	struct debugport debug;
	struct testdev test;
	struct virtio_blk *disks[PC_MAX_DISKS]; /* NULL where there is none, or one of ata's */
	struct virtio_rng *rng;
	struct virtio_console *console;
	void *nics[PC_MAX_NICS];
	struct pv_bus pv;
	struct pv_disk *pv_disks[PC_MAX_DISKS];
	struct ata *ata; /* NULL: no disk is its */
};

enum pc_space { PORT, MEM };
/* Regions that are there only where the configuration asks for the device. */
enum pc_option { ALWAYS, TEST, HPET };

struct pc_region {
	enum pc_space space;
	enum pc_option option;
	u64 base, length;
	unsigned width;
	const char *name;
	u64 (*read)(void *opaque, u64 offset, unsigned size);
	void (*write)(void *opaque, u64 offset, unsigned size, u64 value);
	size_t device; /* the handlers' opaque, as an offset into struct pc */
};

#define DEV(member) offsetof(struct pc, member)

/* clang-format off */
static const struct pc_region pc_regions[] = {
	{PORT, ALWAYS, 0x20, 2, 1, "pic1", pic_read, pic_write, DEV(pic.chip[0])},
	{PORT, ALWAYS, 0x40, 4, 1, "pit", pit_read, pit_write, DEV(pit)},
	{PORT, ALWAYS, 0x60, 1, 1, "i8042-data", i8042_read_data, i8042_write_data, DEV(kbc)},
	{PORT, ALWAYS, 0x61, 1, 1, "port61", pit_control_read, pit_control_write, DEV(pit)},
	{PORT, ALWAYS, 0x64, 1, 1, "i8042-command", i8042_read_status, i8042_write_command, DEV(kbc)},
	{PORT, ALWAYS, 0x70, 2, 1, "rtc", rtc_read, rtc_write, DEV(rtc)},
	{PORT, ALWAYS, 0x92, 1, 1, "port92", i8042_read_port92, i8042_write_port92, DEV(kbc)},
	{PORT, ALWAYS, 0xa0, 2, 1, "pic2", pic_read, pic_write, DEV(pic.chip[1])},
	{PORT, TEST, TESTDEV_LATCH_PORT, TESTDEV_LATCH_PORTS, 4, "test-latch",
	 testdev_latch_read, testdev_latch_write, DEV(test)},
	{PORT, TEST, TESTDEV_HIDE_PORT, TESTDEV_HIDE_PORTS, 4, "test-hide",
	 testdev_hide_read, testdev_hide_write, DEV(test)},
	{PORT, ALWAYS, DEBUG_CONSOLE_PORT, 1, 1, "debug", debugport_read, debugport_write, DEV(debug)},
	{PORT, ALWAYS, DEBUG_EXIT_PORT, DEBUG_EXIT_PORTS, 4, "debug-exit",
	 debugport_exit_read, debugport_exit_write, DEV(debug)},
	{PORT, ALWAYS, UART_COM1, UART_PORTS, 1, "com1", uart_read, uart_write, DEV(com1)},
	{PORT, ALWAYS, 0x4d0, 2, 1, "elcr", pic_elcr_read, pic_elcr_write, DEV(pic)},
	{PORT, ALWAYS, PM_BASE, PM_LENGTH, 4, "pm", pm_read, pm_write, DEV(pm)},
	/* Byte 1 of these ports is the reset control register: the bus hands it to pm. */
	{PORT, ALWAYS, 0xcf8, 4, 4, "pci-address", pci_address_read, pci_address_write, DEV(pci)},
	{PORT, ALWAYS, 0xcfc, 4, 4, "pci-data", pci_data_read, pci_data_write, DEV(pci)},
	{PORT, TEST, TESTDEV_IRQ_PORT, TESTDEV_IRQ_PORTS, 1, "test-irq",
	 testdev_irq_read, testdev_irq_write, DEV(test)},
	{PORT, TEST, TESTDEV_METER_PORT, TESTDEV_METER_PORTS, 4, "test-meter",
	 testdev_meter_read, testdev_meter_write, DEV(test)},
	{MEM, ALWAYS, PC_ECAM_BASE, PC_ECAM_SIZE, 4, "pci-ecam", pci_ecam_read, pci_ecam_write, DEV(pci)},
	{MEM, ALWAYS, PC_IOAPIC_BASE, IOAPIC_LENGTH, 4, "ioapic", ioapic_read, ioapic_write, DEV(ioapic)},
	{MEM, HPET, PC_HPET_BASE, HPET_LENGTH, 8, "hpet", hpet_read, hpet_write, DEV(hpet)},
	{MEM, TEST, PC_TEST_MMIO_BASE, PC_TEST_MMIO_SIZE, 8, "test-memory",
	 testdev_memory_read, testdev_memory_write, DEV(test)},
};
/* clang-format on */

static bool pc_has(const struct pc *pc, const struct pc_region *row)
{
	return row->option == ALWAYS || (row->option == TEST ? pc->config.testdev : pc->config.hpet);
}

static void *pc_device(struct pc *pc, const struct pc_region *row)
{
	return (u8 *)pc + row->device;
}

static int pc_register(struct pc *pc)
{
	for (; pc->nr_regions < ARRAY_SIZE(pc_regions); pc->nr_regions++) {
		const struct pc_region *row = &pc_regions[pc->nr_regions];
		const struct io_region r = {
		    .base = row->base,
		    .length = row->length,
		    .width = row->width,
		    .name = row->name,
		    .read = row->read,
		    .write = row->write,
		    .opaque = pc_device(pc, row),
		};
		int rc;
		if (!pc_has(pc, row))
			continue;
		rc = row->space == PORT ? io_register_port(pc->guest, &r) : io_register_mem(pc->guest, &r);
		if (rc) {
			log_error("%s: no place for device region %s (error %d)", guest_name(pc->guest),
				  row->name, rc);
			return rc;
		}
	}
	return 0;
}

static void pc_unregister(struct pc *pc)
{
	while (pc->nr_regions) {
		const struct pc_region *row = &pc_regions[--pc->nr_regions];
		if (!pc_has(pc, row))
			continue;
		if (row->space == PORT)
			io_unregister_port(pc->guest, row->base, pc_device(pc, row));
		else
			io_unregister_mem(pc->guest, row->base, pc_device(pc, row));
	}
}

static void pc_extint(void *opaque, bool level)
{
	apic_set_extint(opaque, level);
}

static void pc_console_output(void *opaque, const u8 *buf, size_t n)
{
	const struct pc *pc = opaque;

	pc->config.console_output(pc->config.opaque, buf, n);
}

static void pc_console_room(void *opaque)
{
	const struct pc *pc = opaque;

	pc->config.console_room(pc->config.opaque);
}

static void pc_init_devices(struct pc *pc)
{
	const struct pc_config *cfg = &pc->config;
	const struct uart_wiring com1 = {
	    .irq = &pc->router,
	    .gsi = UART_COM1_GSI,
	    .output = pc_console_output,
	    .room = pc_console_room,
	    .opaque = pc,
	};

	irq_init(&pc->router, &pc->pic, &pc->ioapic);
	pic_init(&pc->pic, pc_extint, pc->guest);
	ioapic_init(&pc->ioapic, pc->guest);
	pit_init(&pc->pit, &pc->router);
	rtc_init(&pc->rtc, &pc->router, cfg->ram_low, cfg->ram_high, cfg->vcpus);
	if (cfg->hpet)
		hpet_init(&pc->hpet, &pc->router);
	uart_init(&pc->com1, &com1);
	i8042_init(&pc->kbc, pc->guest, &pc->router);
	pm_init(&pc->pm, pc->guest, &pc->router);
	pci_init(&pc->pci, pc->guest, &pc->router, &pc->pm);
	pc->pit.timer.group = pc->rtc.timer.group = pc->hpet.timer.group = cfg->group;
	pc->pm.timer.group = pc->com1.timeout.group = cfg->group;
	pc->debug =
	    (struct debugport){.guest = pc->guest, .output = cfg->debug_output, .opaque = cfg->opaque};
}

static int pc_add_virtio_disk(struct pc *pc, unsigned i)
{
	const struct pc_disk *disk = &pc->config.disks[i];
	const struct virtio_blk_setup setup = {.disk = disk->disk,
					       .id = disk->id,
					       .packed = disk->model == DISK_PACKED,
					       .polled = disk->polled,
					       .queues = pc->config.vcpus,
					       .group = pc->config.group};

	pc->disks[i] = virtio_blk_create(pc->guest, &pc->pci, PCI_DEVFN(PC_DISK_SLOT + i, 0), &setup);
	return pc->disks[i] ? 0 : ERR_NOMEM;
}

static int pc_add_pv_disk(struct pc *pc, unsigned i)
{
	const struct pc_disk *disk = &pc->config.disks[i];
	const struct pv_disk_setup setup = {.disk = disk->disk,
					    .id = disk->id,
					    .event = pc->config.event,
					    .opaque = pc->config.opaque,
					    .polled = disk->polled,
					    .group = pc->config.group};

	pc->pv_disks[i] = pv_disk_create(pc->guest, &pc->pv, &setup);
	return pc->pv_disks[i] ? 0 : ERR_NOMEM;
}

static bool is_ide(const struct pc_disk *d)
{
	return d->model == DISK_IDE || d->model == DISK_PIO;
}

/* In their order, whatever is between them. */
static int pc_add_ide(struct pc *pc)
{
	const struct pc_config *cfg = &pc->config;
	struct ata_setup setup = {.group = cfg->group};

	for (unsigned i = 0; i < cfg->nr_disks; i++) {
		const struct pc_disk *d = &cfg->disks[i];
		if (is_ide(d))
			setup.disks[setup.nr_disks++] =
			    (struct ata_disk){.disk = d->disk, .id = d->id, .dma = d->model == DISK_IDE};
	}
	if (!setup.nr_disks)
		return 0;
	pc->ata = ata_create(pc->guest, &pc->pci, &pc->router, &setup);
	return pc->ata ? 0 : ERR_NOMEM;
}

static int pc_add_disks(struct pc *pc)
{
	int rc = 0;

	for (unsigned i = 0; i < pc->config.nr_disks && !rc; i++) {
		const struct pc_disk *disk = &pc->config.disks[i];
		if (disk->model == DISK_SOCLE)
			rc = pc_add_pv_disk(pc, i);
		else if (!is_ide(disk))
			rc = pc_add_virtio_disk(pc, i);
	}
	return rc ? rc : pc_add_ide(pc);
}

static const struct nic_type *const nic_types[NET_MODELS] = {
    [NET_SPLIT] = &virtio_net_nic,
    [NET_PACKED] = &virtio_net_nic,
    [NET_E1000] = &e1000_nic,
    [NET_SOCLE] = &pv_net_nic,
};

static int pc_add_nics(struct pc *pc)
{
	const struct pc_config *cfg = &pc->config;

	for (unsigned i = 0; i < cfg->nr_nics; i++) {
		const struct pc_nic *n = &cfg->nics[i];
		const struct nic_setup setup = {.port = n->port,
						.packed = n->model == NET_PACKED,
						.polled = n->polled,
						.queues = cfg->vcpus,
						.group = cfg->group,
						.pv = &pc->pv,
						.id = n->id,
						.event = cfg->event,
						.opaque = cfg->opaque};
		pc->nics[i] =
		    nic_types[n->model]->create(pc->guest, &pc->pci, PCI_DEVFN(PC_NIC_SLOT + i, 0), &setup);
		if (!pc->nics[i])
			return ERR_NOMEM;
	}
	return 0;
}

static int pc_add_console(struct pc *pc)
{
	const struct pc_config *cfg = &pc->config;
	const struct virtio_console_setup setup = {.output = cfg->console_output,
						   .room = cfg->console_room,
						   .opaque = cfg->opaque,
						   .group = cfg->group};

	if (cfg->virtio_console)
		pc->console =
		    virtio_console_create(pc->guest, &pc->pci, PCI_DEVFN(PC_CONSOLE_SLOT, 0), &setup);
	return cfg->virtio_console && !pc->console ? ERR_NOMEM : 0;
}

static int pc_add_rng(struct pc *pc)
{
	if (pc->config.rng)
		pc->rng = virtio_rng_create(pc->guest, &pc->pci, PCI_DEVFN(PC_RNG_SLOT, 0), pc->config.group);
	return pc->config.rng && !pc->rng ? ERR_NOMEM : 0;
}

struct pc *pc_create(struct guest *g, const struct pc_config *cfg)
{
	struct apic_sinks sinks = {.extint_ack = pic_ack, .eoi = ioapic_eoi, .nmi_source = ioapic_nmi_source};
	struct pc *pc = heap_alloc(sizeof(*pc));

	if (!pc) {
		log_error("%s: no memory for its devices", guest_name(g));
		return NULL;
	}
	pc->guest = g;
	pc->config = *cfg;
	pc_init_devices(pc);
	if (cfg->testdev && testdev_init(&pc->test, g, &pc->router, &pc->config)) {
		log_error("%s: no memory for its test device", guest_name(g));
		pc_destroy(pc);
		return NULL;
	}
	if (pc_register(pc) || pc_add_disks(pc) || pc_add_nics(pc) || pc_add_console(pc) || pc_add_rng(pc)) {
		pc_destroy(pc);
		return NULL;
	}
	sinks.extint_opaque = &pc->pic;
	sinks.eoi_opaque = &pc->ioapic;
	apic_set_sinks(g, &sinks);
	return pc;
}

u64 pc_usage(const struct pc *pc)
{
	u64 size = heap_size(pc) + heap_size(pc->test.memory) + ata_usage(pc->ata);

	for (unsigned i = 0; i < PC_MAX_DISKS; i++)
		size += (pc->disks[i] ? virtio_blk_usage(pc->disks[i]) : 0) +
			(pc->pv_disks[i] ? pv_disk_usage(pc->pv_disks[i]) : 0);
	for (unsigned i = 0; i < pc->config.nr_nics; i++)
		size += pc->nics[i] ? nic_types[pc->config.nics[i].model]->usage(pc->nics[i]) : 0;
	size += pc->console ? virtio_console_usage(pc->console) : 0;
	return size + (pc->rng ? virtio_rng_usage(pc->rng) : 0);
}

void pc_disk_meters(const struct pc *pc, unsigned i, struct device_meters *m)
{
	unsigned place = 0;

	*m = (struct device_meters){0};
	if (i >= pc->config.nr_disks)
		return;
	for (unsigned k = 0; k < i; k++)
		place += is_ide(&pc->config.disks[k]);
	if (is_ide(&pc->config.disks[i]))
		ata_meters(pc->ata, place, m);
	else if (pc->pv_disks[i])
		pv_disk_meters(pc->pv_disks[i], m);
	else
		virtio_blk_meters(pc->disks[i], m);
}

void pc_destroy(struct pc *pc)
{
	for (unsigned i = 0; i < PC_MAX_DISKS; i++) {
		virtio_blk_destroy(pc->disks[i]);
		pv_disk_destroy(pc->pv_disks[i]);
	}
	ata_destroy(pc->ata);
	for (unsigned i = 0; i < pc->config.nr_nics; i++)
		nic_types[pc->config.nics[i].model]->destroy(pc->nics[i]);
	virtio_console_destroy(pc->console);
	virtio_rng_destroy(pc->rng);
	pci_fini(&pc->pci);
	pc_unregister(pc);
	testdev_fini(&pc->test);
	pm_fini(&pc->pm);
	uart_fini(&pc->com1);
	if (pc->config.hpet)
		hpet_fini(&pc->hpet);
	rtc_fini(&pc->rtc);
	pit_fini(&pc->pit);
	heap_free(pc);
}

bool pc_quiet(struct pc *pc)
{
	bool quiet = true;

	for (unsigned i = 0; i < pc->config.nr_nics; i++) {
		const struct nic_type *type = nic_types[pc->config.nics[i].model];
		if (type->quiet && pc->nics[i])
			quiet &= type->quiet(pc->nics[i]);
	}
	return quiet;
}

/* The interrupt chips last: they keep the levels that the devices have left. */
void pc_reset(struct pc *pc)
{
	for (unsigned i = 0; i < pc->config.nr_disks; i++) {
		if (pc->disks[i])
			virtio_blk_reset(pc->disks[i]);
		if (pc->pv_disks[i])
			pv_disk_reset(pc->pv_disks[i]);
	}
	ata_reset(pc->ata);
	for (unsigned i = 0; i < pc->config.nr_nics; i++)
		nic_types[pc->config.nics[i].model]->reset(pc->nics[i]);
	if (pc->console)
		virtio_console_reset(pc->console);
	if (pc->rng)
		virtio_rng_reset(pc->rng);
	pci_reset(&pc->pci);
	if (pc->config.testdev)
		testdev_reset(&pc->test);
	pm_reset(&pc->pm);
	i8042_reset(&pc->kbc);
	uart_reset(&pc->com1);
	if (pc->config.hpet)
		hpet_reset(&pc->hpet);
	rtc_reset(&pc->rtc);
	pit_reset(&pc->pit);
	ioapic_reset(&pc->ioapic);
	pic_reset(&pc->pic);
}

/* Of the slave 8259: bit 0 is interrupt 8. */
#define BIOS_ELCR (BIT(PM_SCI_GSI - 8) | BIT(IRQ_PCI_ISA(0) - 8) | BIT(IRQ_PCI_ISA(1) - 8))

/* Vectors 8 and 70h; timer, keyboard, cascade and diskette, clock, mouse, coprocessor and disk unmasked;
 * 18.2 ticks a second; the keyboard interrupts. Level triggered: the SCI and the two PCI interrupts. What is
 * in memory belongs to vm/bios.c. */
void pc_bios_state(struct pc *pc)
{
	static const u8 master[] = {0x11, 0x08, 0x04, 0x01, 0xb8}, slave[] = {0x11, 0x70, 0x02, 0x01, 0x8e};

	for (unsigned i = 0; i < ARRAY_SIZE(master); i++) {
		pic_write(&pc->pic.chip[0], i != 0, 1, master[i]);
		pic_write(&pc->pic.chip[1], i != 0, 1, slave[i]);
	}
	pic_elcr_write(&pc->pic, 1, 1, BIOS_ELCR);
	pit_write(&pc->pit, 3, 1, 0x36); /* channel 0: both bytes, mode 3, binary */
	pit_write(&pc->pit, 0, 1, 0);
	pit_write(&pc->pit, 0, 1, 0);
	i8042_write_command(&pc->kbc, 0, 1, 0x60);
	i8042_write_data(&pc->kbc, 0, 1, 0x65); /* translate, no auxiliary port, self test passed, IRQ 1 */
	pci_assign(&pc->pci);
	ata_bios_state(pc->ata);
}

struct net_meters pc_nic_meters(const struct pc *pc, unsigned n)
{
	return net_port_meters(nic_types[pc->config.nics[n].model]->port(pc->nics[n]));
}

void pc_nic_device_meters(const struct pc *pc, unsigned n, struct device_meters *m)
{
	*m = (struct device_meters){0};
	if (n < pc->config.nr_nics)
		nic_types[pc->config.nics[n].model]->meters(pc->nics[n], m);
}

size_t pc_console_input(struct pc *pc, const u8 *buf, size_t n)
{
	return pc->console ? virtio_console_input(pc->console, buf, n) : uart_input(&pc->com1, buf, n);
}

void pc_set_paused(struct pc *pc, bool paused)
{
	irq_rest(&pc->router, paused);
}

void pc_power_button(struct pc *pc)
{
	pm_power_button(&pc->pm);
}

struct pv_bus *pc_pv(struct pc *pc)
{
	return &pc->pv;
}
