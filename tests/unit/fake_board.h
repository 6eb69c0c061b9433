/* SPDX-License-Identifier: Apache-2.0 */
/* What surrounds a struct pc: I/O tables, local APICs, guest memory and a guest's end, as fakes that
 * remember. Defines functions, so one file of a program includes it. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block.h"
#include "board_io.h"
#include "fake_timer.h"
#include "gmem.h"
#include "guest.h"
#include "host.h"
#include "io.h"
#include "lapic.h"
#include "must.h"
#include "pc.h"

static struct {
	int fail_heap; /* >= 0: the allocation after that many fails */
	long heap_blocks;
	struct apic_sinks sinks;
	bool extint;
	struct apic_msg msg; /* the last one delivered */
	unsigned messages;
	int stopped;
	u32 stop_code;
	gpa_t hidden;
	unsigned hides;
	u64 meter;
	u32 meter_asked;
	char console[256], debug[256];
	unsigned console_n, debug_n, rooms;
	bool rng, virtio_console, hpet;    /* of the next PC */
	struct block *disks[PC_MAX_DISKS]; /* of the next PC; none behind the first that is NULL */
	enum disk_model models[PC_MAX_DISKS];
} board;

static inline void board_init(void)
{
	memset(&board, 0, sizeof(board));
	board_io_init();
	board.fail_heap = -1;
	board.hidden = ~0ULL;
}

void *heap_alloc(size_t size)
{
	if (board.fail_heap == 0)
		return NULL;
	board.fail_heap -= board.fail_heap > 0;
	board.heap_blocks++;
	return calloc(1, size);
}

void heap_free(void *p)
{
	board.heap_blocks -= p != NULL;
	free(p);
}

int io_set_port_string(struct guest *g, u64 base, void *opaque, io_string_fn fn)
{
	MUST(g == BOARD_GUEST && base && opaque && fn);
	return 0;
}

static inline const struct io_region *board_find(bool mem, u64 address)
{
	const struct io_region *table = mem ? board_io.mem : board_io.port;
	for (unsigned i = 0; i < (mem ? board_io.nr_mems : board_io.nr_ports); i++)
		if (address - table[i].base < table[i].length)
			return &table[i];
	return NULL;
}

/* Wide or straddling accesses are split into bytes, which is the hardest case for a device. */
static inline u64 board_read(bool mem, u64 address, unsigned size)
{
	const struct io_region *r = board_find(mem, address);
	u64 v = 0, ones = ~0ULL >> (64 - 8 * size);
	if (r && size <= r->width && address + size <= r->base + r->length)
		return r->read(r->opaque, address - r->base, size) & ones;
	if (size == 1)
		return ones;
	for (unsigned i = 0; i < size; i++)
		v |= board_read(mem, address + i, 1) << (8 * i);
	return v;
}

static inline void board_write(bool mem, u64 address, unsigned size, u64 value)
{
	const struct io_region *r = board_find(mem, address);
	if (r && size <= r->width && address + size <= r->base + r->length)
		r->write(r->opaque, address - r->base, size, value & ~0ULL >> (64 - 8 * size));
	else
		for (unsigned i = 0; size > 1 && i < size; i++)
			board_write(mem, address + i, 1, value >> (8 * i));
}

void apic_set_sinks(struct guest *g, const struct apic_sinks *s)
{
	MUST(g == BOARD_GUEST);
	board.sinks = *s;
}

void apic_set_extint(struct guest *g, bool asserted)
{
	MUST(g == BOARD_GUEST && asserted != board.extint);
	board.extint = asserted;
}

unsigned apic_deliver(struct guest *g, const struct apic_msg *msg)
{
	MUST(g == BOARD_GUEST);
	board.msg = *msg;
	board.messages++;
	return 1;
}

void guest_stop(struct guest *g, enum guest_stop why, u32 code)
{
	MUST(g == BOARD_GUEST && why != GUEST_RUNNING);
	board.stopped = (int)why;
	board.stop_code = code;
}

const char *guest_name(const struct guest *g)
{
	MUST(g == BOARD_GUEST);
	return "board";
}

struct gmem *guest_mem(struct guest *g)
{
	MUST(g == BOARD_GUEST);
	return (struct gmem *)&board.hidden;
}

int gmem_hide(struct gmem *m, gpa_t gpa)
{
	MUST(m == (struct gmem *)&board.hidden);
	board.hidden = gpa;
	board.hides++;
	return gpa < 16 << 20 ? 0 : ERR_FAULT;
}

u64 guest_meter(const struct guest *g, u32 which)
{
	MUST(g == BOARD_GUEST);
	board.meter_asked = which;
	return board.meter;
}

/* Virtqueues find no RAM at all here: their tests have a board of their own. */
const struct gmem_slot *gmem_slot_of(const struct gmem *m, gpa_t gpa)
{
	(void)m, (void)gpa;
	return NULL;
}

int gmem_check(const struct gmem *m, gpa_t gpa, u64 n, u64 align)
{
	(void)m, (void)gpa, (void)n, (void)align;
	return ERR_FAULT;
}

void *gmem_ptr(struct gmem *m, gpa_t gpa, size_t n)
{
	(void)m, (void)gpa, (void)n;
	return NULL;
}

void *gmem_tlb_fill(struct gmem *m, struct gmem_tlb *t, gpa_t gpa, size_t n)
{
	(void)t;
	return gmem_ptr(m, gpa, n);
}

void gmem_tlb_reset(struct gmem_tlb *t)
{
	(void)t;
}

int gmem_read(struct gmem *m, gpa_t gpa, void *dst, size_t n)
{
	(void)m, (void)gpa, (void)dst, (void)n;
	return ERR_FAULT;
}

int gmem_pin_slowly(struct gmem *m, struct gmem_tlb *t, gpa_t gpa, size_t n, bool to_guest, void **host)
{
	(void)m, (void)t, (void)gpa, (void)n, (void)to_guest, (void)host;
	return ERR_FAULT;
}

/* ---- no page is exchanged here ---- */
void gmem_lend(struct gmem *m)
{
	(void)m;
}

int gmem_exchange(struct gmem_page *a, struct gmem_page *b)
{
	(void)a, (void)b;
	return ERR_AGAIN;
}

u64 guest_flush_seen(const struct guest *g)
{
	(void)g;
	return 0;
}

unsigned apic_deliver_msi(struct guest *g, u64 address, u32 data)
{
	(void)address, (void)data;
	MUST(g == BOARD_GUEST);
	board.messages++;
	return 1;
}

static inline void board_console(void *opaque, const u8 *buf, size_t n)
{
	MUST(opaque == &board);
	for (size_t i = 0; i < n; i++)
		board.console[board.console_n++ % sizeof(board.console)] = (char)buf[i];
}

static inline void board_debug(void *opaque, const u8 *buf, size_t n)
{
	MUST(opaque == &board);
	for (size_t i = 0; i < n; i++)
		board.debug[board.debug_n++ % sizeof(board.debug)] = (char)buf[i];
}

static inline void board_room(void *opaque)
{
	MUST(opaque == &board);
	board.rooms++;
}

static inline u64 board_meter(void *opaque, u32 which)
{
	MUST(opaque == &board);
	board.meter_asked = which;
	return board.meter + 1;
}

static inline struct pc *board_create(bool testdev)
{
	struct pc_config cfg = {
	    .ram_low = 64 << 20,
	    .vcpus = 1,
	    .testdev = testdev,
	    .rng = board.rng,
	    .hpet = board.hpet,
	    .virtio_console = board.virtio_console,
	    .console_output = board_console,
	    .debug_output = board_debug,
	    .console_room = board_room,
	    .meter = board_meter,
	    .opaque = &board,
	};
	while (cfg.nr_disks < PC_MAX_DISKS && board.disks[cfg.nr_disks]) {
		cfg.disks[cfg.nr_disks] = (struct pc_disk){
		    .disk = board.disks[cfg.nr_disks], .id = "id", .model = board.models[cfg.nr_disks]};
		cfg.nr_disks++;
	}
	return pc_create(BOARD_GUEST, &cfg);
}

static inline u32 pci_config(unsigned devfn, unsigned offset)
{
	board_write(false, 0xcf8, 4, 0x80000000u | devfn << 8 | offset);
	return (u32)board_read(false, 0xcfc, 4);
}

/* Every row of the table stands in the document. */
static inline void board_is_documented(void)
{
	static char text[20000];
	FILE *f = fopen("docs/guest-machine.md", "r");

	MUST(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = 0;
	fclose(f);
	for (unsigned i = 0; i < board_io.nr_ports + board_io.nr_mems; i++) {
		bool mem = i >= board_io.nr_ports;
		const struct io_region *r = mem ? &board_io.mem[i - board_io.nr_ports] : &board_io.port[i];
		unsigned long first = r->base, last = r->base + r->length - 1;
		char row[64];
		if (mem)
			snprintf(row, sizeof(row), "| 0x%08lx | 0x%08lx |", first, last);
		else if (r->length == 1)
			snprintf(row, sizeof(row), "| 0x%lx |", first);
		else
			snprintf(row, sizeof(row), "| 0x%lx\u20130x%lx |", first, last);
		if (!strstr(text, row)) {
			fprintf(stderr, "docs/guest-machine.md has no row \"%s\" (%s)\n", row, r->name);
			abort();
		}
	}
}
