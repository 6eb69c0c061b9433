/* SPDX-License-Identifier: Apache-2.0 */
/* A PCI IDE controller with up to four drives, at the level of its ports: it does what the specifications
 * let a real one do, and fails the test where the driver breaks a rule. Commands are done when the test
 * says so. Memory below 4 GiB is what fake_low() gives; all else is out of the devices' reach. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "host.h"
#include "host/dma.h"
#include "host/ide.h"
#include "include/fake_cpu.h"
#include "shim.h"

#define FAKE_MASTER_BASE 0xc040
#define FAKE_ARENA (8u << 20)

enum fake_fault {
	FAKE_FINE,
	FAKE_BAD_SECTOR, /* the drive reports an error */
	FAKE_BAD_DMA,    /* the bus master does */
	FAKE_HANGS,      /* no answer until a reset */
	FAKE_DIES,       /* nor after it */
	FAKE_DEAF,       /* the interrupt is lost */
	FAKE_LIES,       /* an interrupt, and the drive is busy still */
};

struct fake_drive {
	u8 *medium;
	u64 sectors; /* 0: there is none */
	bool atapi, no_lba48, no_flush, no_dma;
	u64 reads, writes, flushes, ext; /* commands */
};

struct fake_channel {
	struct fake_drive drives[2];
	u8 count[2], low[2], mid[2], high[2]; /* the last written, and the one before */
	u8 device, status, control, error;
	u8 command; /* that is being done, 0: none */
	u8 bm_command, bm_status;
	u32 bm_table;
	u16 words[256];
	unsigned word; /* the next to be read */
	bool intrq;
	enum fake_fault fault; /* of the commands from now on */
	unsigned resets;
};

static struct fake_ide {
	struct fake_channel channels[2];
	u32 pci_address, pci_command, class, bar;
	irq_fn irq[16];
	void *irq_opaque[16];
	u8 *arena;
	u32 arena_used;
	u64 prds; /* of the last transfer */
} fake;

/* ---- memory ---- */

static inline void *fake_low(u32 bytes)
{
	void *p = fake.arena + fake.arena_used;

	fake.arena_used += bytes;
	assert_true(fake.arena_used <= FAKE_ARENA);
	return p;
}

bool dma_address(const void *base, u64 length, u32 *address)
{
	*address = (u32)(uintptr_t)base;
	return (uintptr_t)base + length <= BIT(32);
}

void *dma_alloc(unsigned order, u32 *address)
{
	u32 size = 4096u << order, start = (u32)(uintptr_t)fake.arena;

	fake.arena_used = ALIGN_UP(start + fake.arena_used, size) - start;
	void *p = fake_low(size);
	*address = (u32)(uintptr_t)p;
	return p;
}

void dma_free(void *base, unsigned order)
{
	(void)base, (void)order;
}

/* ---- interrupts ---- */

void irq_register(u8 vector, irq_fn fn, void *opaque)
{
	fake.irq[vector - IRQ_VECTOR_FIRST] = fn;
	fake.irq_opaque[vector - IRQ_VECTOR_FIRST] = opaque;
}

int irq_route_isa(unsigned isa_irq, u8 vector)
{
	assert_int_equal(vector, IRQ_VECTOR_FIRST + isa_irq);
	return 0;
}

static inline void fake_interrupt(unsigned channel)
{
	struct fake_channel *c = &fake.channels[channel];

	if (c->control & IDE_CONTROL_NIEN)
		return;
	c->intrq = true;
	c->bm_status |= IDE_BM_INTERRUPT;
	if (c->fault != FAKE_DEAF && fake.irq[14 + channel])
		fake.irq[14 + channel](fake.irq_opaque[14 + channel]);
}

/* ---- commands ---- */

static inline struct fake_drive *fake_selected(struct fake_channel *c)
{
	return &c->drives[c->device & IDE_DEVICE_SLAVE ? 1 : 0];
}

static inline bool fake_is_ext(u8 command)
{
	return command == IDE_READ_DMA_EXT || command == IDE_WRITE_DMA_EXT;
}

static inline u64 fake_lba(const struct fake_channel *c)
{
	u64 lba = c->low[0] | (u64)c->mid[0] << 8 | (u64)c->high[0] << 16;

	if (!fake_is_ext(c->command))
		return lba | (u64)(c->device & 0xf) << 24;
	return lba | (u64)c->low[1] << 24 | (u64)c->mid[1] << 32 | (u64)c->high[1] << 40;
}

static inline u32 fake_count(const struct fake_channel *c)
{
	u32 n = c->count[0];

	if (fake_is_ext(c->command)) {
		n |= (u32)c->count[1] << 8;
		return n ? n : 65536;
	}
	return n ? n : 256;
}

/* Walks the table as a bus master does; to_memory: from the medium. */
static inline void fake_transfer(struct fake_channel *c, u8 *medium, u32 bytes, bool to_memory)
{
	const struct ide_prd *prd = (void *)(uintptr_t)c->bm_table;

	assert_int_equal(c->bm_table & 3, 0);
	fake.prds = 0;
	for (u32 done = 0; done < bytes; prd++) {
		u32 n = prd->length ? prd->length : 65536;
		u8 *at = (void *)(uintptr_t)prd->address;

		assert_false(prd->address & 1 || n & 1);
		assert_true((prd->address & 0xffff) + n <= 0x10000);
		assert_true(at >= fake.arena && at + n <= fake.arena + FAKE_ARENA);
		assert_true(n <= bytes - done);
		if (to_memory)
			memcpy(at, medium + done, n);
		else
			memcpy(medium + done, at, n);
		done += n;
		fake.prds++;
		assert_int_equal(prd->flags, done == bytes ? IDE_PRD_END : 0);
	}
}

static inline void fake_do(struct fake_channel *c, struct fake_drive *d)
{
	bool read = c->command == IDE_READ_DMA || c->command == IDE_READ_DMA_EXT;
	u64 lba = fake_lba(c);
	u32 n = fake_count(c);

	if (c->command == IDE_FLUSH || c->command == IDE_FLUSH_EXT) {
		assert_false(d->no_flush);
		d->flushes++;
		return;
	}
	assert_true(c->bm_command & IDE_BM_START);
	assert_int_equal(!!(c->bm_command & IDE_BM_TO_MEMORY), read);
	assert_true(lba < d->sectors && n <= d->sectors - lba);
	assert_false(d->no_lba48 && fake_is_ext(c->command));
	/* No medium is as large as the addresses: it repeats. */
	fake_transfer(c, d->medium + lba % 4096 * BLOCK_SECTOR, n * BLOCK_SECTOR, read);
	d->reads += read;
	d->writes += !read;
	d->ext += fake_is_ext(c->command);
}

/* The channel's command is over, well or badly. False: there is none. */
static inline bool fake_step(unsigned channel)
{
	struct fake_channel *c = &fake.channels[channel];

	if (!c->command || c->fault == FAKE_HANGS || c->fault == FAKE_DIES)
		return false;
	c->status = IDE_STATUS_DRDY;
	if (c->fault == FAKE_BAD_SECTOR)
		c->status |= IDE_STATUS_ERR;
	else if (c->fault == FAKE_BAD_DMA)
		c->bm_status |= IDE_BM_ERROR;
	else if (c->fault == FAKE_LIES)
		c->status |= IDE_STATUS_BSY;
	else
		fake_do(c, fake_selected(c));
	c->command = 0;
	fake_interrupt(channel);
	return true;
}

static inline void fake_identify(struct fake_channel *c, const struct fake_drive *d)
{
	static const char model[] = "FAKE DISK                               ";

	if (d->atapi) {
		c->status = IDE_STATUS_DRDY | IDE_STATUS_ERR;
		c->mid[0] = 0x14;
		c->high[0] = 0xeb;
		return;
	}
	memset(c->words, 0, sizeof(c->words));
	for (unsigned i = 0; i < 20; i++)
		c->words[27 + i] = (u16)((u8)model[2 * i] << 8 | (u8)model[2 * i + 1]);
	u64 small = MIN(d->sectors, BIT(28) - 1);
	c->words[49] = d->no_dma ? 0x200 : 0x300;
	c->words[60] = (u16)small;
	c->words[61] = (u16)(small >> 16);
	c->words[83] = (u16)(0x4000 | (d->no_lba48 ? 0 : 0x400) | (d->no_flush ? 0 : 0x1000) |
			     (d->no_flush || d->no_lba48 ? 0 : 0x2000));
	for (unsigned i = 0; i < 4; i++)
		c->words[100 + i] = d->no_lba48 ? 0 : (u16)(d->sectors >> 16 * i);
	c->word = 0;
	c->status = IDE_STATUS_DRDY | IDE_STATUS_DRQ;
}

static inline void fake_command(struct fake_channel *c, u8 command)
{
	struct fake_drive *d = fake_selected(c);

	assert_false(c->status & (IDE_STATUS_BSY | IDE_STATUS_DRQ));
	if (command == IDE_IDENTIFY) {
		fake_identify(c, d);
		return;
	}
	assert_true(d->sectors && c->device & 0x40);
	assert_false(c->bm_command & IDE_BM_START); /* the table first, then the command, then the start */
	c->command = command;
	c->status = IDE_STATUS_BSY;
}

/* ---- ports ---- */

static inline u32 fake_pci_read(void)
{
	u32 function = fake.pci_address >> 8 & 0xffff, reg = fake.pci_address & 0xff;

	if (!(fake.pci_address >> 31))
		return ~0u;
	if (reg == 0x0c)
		return function == 0x08 ? 0x800000 : 0;
	if (function == 0)
		return reg == 0 ? 0x12378086 : reg == 8 ? 0x06000000 : 0;
	if (function == 0x08)
		return reg == 0 ? 0x70008086 : reg == 8 ? 0x06010000 : 0;
	if (function != 0x09)
		return ~0u;
	return reg == 0      ? 0x70108086
	       : reg == 4    ? fake.pci_command
	       : reg == 8    ? fake.class
	       : reg == 0x20 ? fake.bar
			     : 0;
}

static inline struct fake_channel *fake_at(u16 port, u16 *reg)
{
	for (unsigned i = 0; i < 2; i++) {
		u16 command = i ? 0x170 : 0x1f0, control = i ? 0x376 : 0x3f6;
		u16 master = (u16)(FAKE_MASTER_BASE + 8 * i);

		*reg = port & 7;
		if (port >= command && port < command + 8)
			return &fake.channels[i];
		*reg = 0x100;
		if (port == control)
			return &fake.channels[i];
		*reg = (u16)(0x200 + (port & 7));
		if (port >= master && port < master + 8)
			return &fake.channels[i];
	}
	return NULL;
}

static inline u8 fake_status(struct fake_channel *c)
{
	if (!c->drives[0].sectors && !c->drives[1].sectors)
		return 0xff;
	return fake_selected(c)->sectors || c->command ? c->status : 0;
}

static inline u32 fake_ide_in(u16 port, unsigned size)
{
	u16 reg;
	struct fake_channel *c = fake_at(port, &reg);

	shim_tsc += 500; /* nanoseconds */
	if (port == 0xcfc)
		return fake_pci_read();
	if (!c)
		return ~0u;
	if (fake_status(c) == 0xff)
		return reg < 0x200 ? ~0u : 0;
	switch (reg) {
	case IDE_DATA:
		assert_int_equal(size, 2);
		assert_true(c->status & IDE_STATUS_DRQ && c->word < 256);
		if (c->word == 255)
			c->status &= (u8)~IDE_STATUS_DRQ;
		return c->words[c->word++];
	case IDE_COUNT:
		return fake_selected(c)->sectors ? c->count[0] : 0;
	case IDE_LBA_LOW:
		return fake_selected(c)->sectors ? c->low[0] : 0;
	case IDE_STATUS:
		c->intrq = false;
		return fake_status(c);
	case 0x100:
		return fake_status(c);
	case 0x202:
		return c->bm_status;
	default:
		return 0;
	}
}

static inline void fake_control(struct fake_channel *c, u8 v)
{
	if (v & IDE_CONTROL_SRST && !(c->control & IDE_CONTROL_SRST)) {
		c->resets++;
		c->command = 0;
		c->status = IDE_STATUS_BSY;
	} else if (c->control & IDE_CONTROL_SRST && !(v & IDE_CONTROL_SRST)) {
		if (c->fault == FAKE_HANGS || c->fault == FAKE_LIES)
			c->fault = FAKE_FINE;
		c->status = c->fault == FAKE_DIES ? IDE_STATUS_BSY : IDE_STATUS_DRDY;
		c->device = 0;
	}
	c->control = v;
}

static inline void fake_shift(u8 reg[2], u32 v)
{
	reg[1] = reg[0];
	reg[0] = (u8)v;
}

static inline void fake_ide_out(u16 port, unsigned size, u32 v)
{
	u16 reg;
	struct fake_channel *c = fake_at(port, &reg);

	(void)size;
	if (port == 0xcf8)
		fake.pci_address = v;
	else if (port == 0xcfc && fake.pci_address == 0x80000904)
		fake.pci_command = v;
	if (!c)
		return;
	switch (reg) {
	case IDE_COUNT:
		fake_shift(c->count, v);
		break;
	case IDE_LBA_LOW:
		fake_shift(c->low, v);
		break;
	case IDE_LBA_MID:
		fake_shift(c->mid, v);
		break;
	case IDE_LBA_HIGH:
		fake_shift(c->high, v);
		break;
	case IDE_DEVICE:
		c->device = (u8)v;
		break;
	case IDE_STATUS:
		if (fake_selected(c)->sectors || fake_selected(c)->atapi)
			fake_command(c, (u8)v);
		break;
	case 0x100:
		fake_control(c, (u8)v);
		break;
	case 0x200:
		c->bm_command = (u8)v;
		break;
	case 0x202:
		c->bm_status = (u8)((v & 0x60) | (c->bm_status & ~v & 6));
		break;
	case 0x204:
		assert_int_equal(size, 4);
		c->bm_table = v;
		break;
	}
}

/* ---- life ---- */

static inline void fake_ide_end(void)
{
	for (unsigned i = 0; i < 4; i++)
		free(fake.channels[i / 2].drives[i % 2].medium);
}

static inline void fake_ide_init(void)
{
	u8 *arena = fake.arena;

	fake_ide_end();
	if (!arena)
		arena = mmap(NULL, FAKE_ARENA, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	assert_true(arena != MAP_FAILED);
	fake = (struct fake_ide){.arena = arena, .class = 0x01018000, .bar = FAKE_MASTER_BASE | 1};
	for (unsigned i = 0; i < 2; i++)
		fake.channels[i].status = IDE_STATUS_DRDY;
	fake_in = fake_ide_in;
	fake_out = fake_ide_out;
}

static inline struct fake_drive *fake_add(unsigned unit, u64 sectors)
{
	struct fake_drive *d = &fake.channels[unit / 2].drives[unit % 2];

	d->sectors = sectors;
	d->medium = calloc(MIN(sectors, 4096 + 256), BLOCK_SECTOR);
	return d;
}
