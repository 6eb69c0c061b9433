/* SPDX-License-Identifier: Apache-2.0 */
/* The test device; see testdev.h. */
#include "testdev.h"

#include "gmem.h"
#include "guest.h"
#include "host.h"
#include "irq.h"
#include "log.h"
#include "pc.h"

u64 testdev_latch_read(void *opaque, u64 offset, unsigned size)
{
	const struct testdev *t = opaque;
	u64 v = 0;

	memcpy(&v, t->latch + offset, size);
	return v;
}

void testdev_latch_write(void *opaque, u64 offset, unsigned size, u64 value)
{
	struct testdev *t = opaque;

	memcpy(t->latch + offset, &value, size);
}

u64 testdev_hide_read(void *opaque, u64 offset, unsigned size)
{
	(void)opaque, (void)offset, (void)size;
	return ~(u64)0; /* write only */
}

/* The frame and its contents stay: the next access is an EPT violation that brings them back. */
void testdev_hide_write(void *opaque, u64 offset, unsigned size, u64 value)
{
	struct testdev *t = opaque;

	if (offset != 0 || size != 4)
		return;
	if (gmem_hide(guest_mem(t->guest), ALIGN_DOWN((u32)value, PAGE_SIZE)) != 0)
		log_debug("%s: test device: no RAM to hide at 0x%x", guest_name(t->guest), (u32)value);
}

u64 testdev_meter_read(void *opaque, u64 offset, unsigned size)
{
	const struct testdev *t = opaque;
	u64 v = 0;

	memcpy(&v, (const u8 *)&t->meter + offset, size);
	return v;
}

void testdev_meter_write(void *opaque, u64 offset, unsigned size, u64 value)
{
	struct testdev *t = opaque;

	if (offset != 0 || size != 4)
		return;
	t->meter = value >= GUEST_METER_DEVICES ? t->config->meter(t->config->opaque, (u32)value)
						: guest_meter(t->guest, (u32)value);
}

u64 testdev_irq_read(void *opaque, u64 offset, unsigned size)
{
	(void)opaque, (void)offset, (void)size;
	return ~(u64)0;
}

/* The interrupt chips see the line at once, the vCPU before its next entry: that is the boundary
 * after this OUT. */
void testdev_irq_write(void *opaque, u64 offset, unsigned size, u64 value)
{
	struct testdev *t = opaque;
	bool level = value & 0xff;

	(void)size;
	t->raised = (t->raised & ~(1U << offset)) | (u32)level << offset;
	irq_set(t->irq, (unsigned)offset, level);
}

u64 testdev_memory_read(void *opaque, u64 offset, unsigned size)
{
	const struct testdev *t = opaque;
	u64 v = 0;

	memcpy(&v, t->memory + offset, size);
	return v;
}

void testdev_memory_write(void *opaque, u64 offset, unsigned size, u64 value)
{
	struct testdev *t = opaque;

	memcpy(t->memory + offset, &value, size);
}

void testdev_reset(struct testdev *t)
{
	for (unsigned i = 0; i < TESTDEV_IRQ_PORTS; i++)
		if (t->raised >> i & 1)
			irq_set(t->irq, i, false);
	t->raised = 0;
	memset(t->latch, 0, sizeof(t->latch));
	t->meter = 0;
	memset(t->memory, 0, PC_TEST_MMIO_SIZE);
}

int testdev_init(struct testdev *t, struct guest *g, struct irq_router *irq, const struct pc_config *config)
{
	*t = (struct testdev){.guest = g, .irq = irq, .config = config};
	t->memory = heap_alloc(PC_TEST_MMIO_SIZE);
	return t->memory ? 0 : ERR_NOMEM;
}

void testdev_fini(struct testdev *t)
{
	heap_free(t->memory);
	t->memory = NULL;
}
