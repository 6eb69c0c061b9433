/* SPDX-License-Identifier: Apache-2.0 */
/* A PCI bus on a board of fakes: I/O tables, interrupt wires, the reset register. Defines what
 * devices/pci*.c call, so one file of a program includes it. */
#pragma once

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "devices/irq.h"
#include "devices/pci.h"
#include "devices/pm.h"
#include "pc.h"
#include "shim.h"

static struct pci_bus bus;
static struct guest *const guest = (struct guest *)&bus; /* only handed through */
static struct irq_router router;
static struct pm pm;

/* ---- fakes: the I/O tables, the wires, the reset register ---- */
static struct {
	bool port;
	u64 base, length;
	void *opaque;
} table[16];
static unsigned nr_table, refuse_after;
static u32 wires;
static int reset_written;

static int table_add(bool port, const struct io_region *r)
{
	if (refuse_after && nr_table >= refuse_after)
		return ERR_NOMEM;
	for (unsigned i = 0; i < nr_table; i++)
		if (table[i].port == port && r->base < table[i].base + table[i].length &&
		    table[i].base < r->base + r->length)
			return ERR_EXIST;
	assert_true(nr_table < ARRAY_SIZE(table));
	table[nr_table].port = port;
	table[nr_table].base = r->base;
	table[nr_table].length = r->length;
	table[nr_table++].opaque = r->opaque;
	return 0;
}

static int table_remove(bool port, u64 base, void *opaque)
{
	for (unsigned i = 0; i < nr_table; i++) {
		if (table[i].port != port || table[i].base != base || table[i].opaque != opaque)
			continue;
		table[i] = table[--nr_table];
		return 0;
	}
	fail_msg("a region that is not there was removed");
	return ERR_NOENT;
}

int io_register_port(struct guest *g, const struct io_region *r)
{
	assert_ptr_equal(g, guest);
	return table_add(true, r);
}

int io_register_mem(struct guest *g, const struct io_region *r)
{
	assert_ptr_equal(g, guest);
	return table_add(false, r);
}

int io_unregister_port(struct guest *g, u64 base, void *opaque)
{
	assert_ptr_equal(g, guest);
	return table_remove(true, base, opaque);
}

int io_unregister_mem(struct guest *g, u64 base, void *opaque)
{
	assert_ptr_equal(g, guest);
	return table_remove(false, base, opaque);
}

void irq_set(struct irq_router *r, unsigned gsi, bool level)
{
	assert_ptr_equal(r, &router);
	assert_in_range(gsi, 16, 23);
	assert_int_not_equal(wires >> gsi & 1, level); /* only changes are reported */
	wires = (wires & ~(1u << gsi)) | (u32)level << gsi;
}

u64 pm_reset_read(void *opaque, u64 offset, unsigned size)
{
	(void)offset;
	(void)size;
	assert_ptr_equal(opaque, &pm);
	return 0x5a;
}

void pm_reset_write(void *opaque, u64 offset, unsigned size, u64 value)
{
	(void)offset;
	(void)size;
	assert_ptr_equal(opaque, &pm);
	reset_written = (int)value;
}
