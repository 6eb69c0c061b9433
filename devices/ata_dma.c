/* SPDX-License-Identifier: Apache-2.0 */
/* The bus master of an IDE channel: from physical region descriptors (PRDs) in the guest's memory to pieces
 * of host memory, which the disk reads or writes itself. Programming Interface for Bus Master IDE
 * Controller 1.0.
 *
 * Each descriptor is read once. A sector may lie in pieces of two bytes: what is gathered beyond the last
 * whole sector waits for the next request. */
#include "ata_internal.h"

#define PRD_BYTES 8u
#define PRD_REACH 0x10000u /* a table ends at a multiple of this */
#define PRD_END BIT(63)

/* ---- descriptors ---- */
static int prd_fetch(struct ata_channel *c)
{
	struct gmem *m = c->ata->mem;
	const u64 *p;
	u64 entry;

	if (!c->prds_left)
		return ERR_FAULT;
	/* As a rule it is aligned, and the page of the last one. */
	p = c->prd % PRD_BYTES ? NULL : gmem_tlb_ptr(m, &c->tlb, c->prd, PRD_BYTES);
	if (likely(p))
		entry = __atomic_load_n(p, __ATOMIC_RELAXED);
	else if (gmem_read(m, c->prd, &entry, PRD_BYTES))
		return ERR_FAULT;
	c->prd += PRD_BYTES;
	c->prds_left--;
	c->prd_base = entry & 0xfffffffe;
	c->prd_bytes = entry >> 32 & 0xfffe;
	if (!c->prd_bytes)
		c->prd_bytes = PRD_REACH;
	c->prd_end = entry & PRD_END;
	return 0;
}

/* Up to as many bytes; fewer where the table or the room for pieces ends. ERR_AGAIN: where the VM has too
 * many pages pinned. ERR_FAULT: the bus master fails. */
static int gather(struct ata_channel *c, u32 bytes)
{
	while (c->bytes < bytes && c->nr < ATA_SEGMENTS) {
		void *host;
		u32 part;
		int rc;

		if (!c->prd_bytes) {
			if (c->prd_end)
				return 0;
			if (prd_fetch(c))
				return ERR_FAULT;
		}
		part =
		    (u32)MIN((u64)MIN(c->prd_bytes, bytes - c->bytes), PAGE_SIZE - c->prd_base % PAGE_SIZE);
		rc = gmem_pin(c->ata->mem, &c->tlb, c->prd_base, part, !c->write, &host);
		if (rc)
			return rc;
		c->segments[c->nr++] = (struct piece){host, part};
		c->bytes += part;
		c->prd_base += part;
		c->prd_bytes -= part;
	}
	return 0;
}

/* ---- segments ---- */
/* Those before number n are given back; the two halves of one that was cut have one pin. */
static void unpin(struct ata_channel *c, u32 n)
{
	for (u32 i = 0; i < n; i++)
		if (!(c->shared && i == c->used - 1))
			gmem_unpin(c->ata->mem, c->segments[i].base);
	c->shared = false;
}

void ata_dma_forget(struct ata_channel *c)
{
	unpin(c, c->nr);
	c->nr = c->used = c->bytes = 0;
	c->restarted = false;
}

/* The first `bytes` become the request's; the last of its segments may have to be cut in two. */
static void segments_use(struct ata_channel *c, u32 bytes)
{
	struct piece *s = c->segments;
	u32 rest = c->bytes - bytes, i = c->nr;

	while (rest && rest >= s[i - 1].length)
		rest -= s[--i].length;
	c->used = i;
	if (!rest)
		return;
	memmove(&s[i + 1], &s[i], (c->nr - i) * sizeof(*s));
	s[i - 1].length -= rest;
	s[i] = (struct piece){s[i - 1].base + s[i - 1].length, rest};
	c->nr++;
	c->shared = true;
}

static void segments_used(struct ata_channel *c)
{
	unpin(c, c->used);
	c->nr -= c->used;
	if (c->nr)
		memmove(c->segments, c->segments + c->used, c->nr * sizeof(*c->segments));
	c->bytes -= c->request.count * BLOCK_SECTOR;
	c->used = 0;
}

/* ---- a transfer ---- */
/* The command is aborted, so that the driver need not wait for nothing. */
static void bus_error(struct ata_channel *c)
{
	ata_dma_forget(c);
	c->bm_status = (u8)((c->bm_status & ~BM_ACTIVE) | BM_ERROR);
	ata_fail_at(c, ATA_ABRT, c->sector);
}

/* Drive and bus master are there, in whatever order they came, and agree on the direction. */
void ata_dma_go(struct ata_channel *c)
{
	u32 whole;
	int rc;

	c->starved = false;
	if (c->state != ATA_DMA || c->in_flight || c->ready || !(c->bm_status & BM_ACTIVE) ||
	    !(pci_get16(&c->ata->function, PCI_COMMAND) & PCI_COMMAND_MASTER))
		return;
	rc = gather(c, MIN(c->left, ATA_TURN) * BLOCK_SECTOR);
	if ((rc && rc != ERR_AGAIN) || c->write == !!(c->bm_command & BM_TO_MEMORY)) {
		bus_error(c);
		return;
	}
	whole = ALIGN_DOWN(c->bytes, (u32)BLOCK_SECTOR);
	if (whole) {
		segments_use(c, whole);
		ata_request(c, c->write ? BLOCK_WRITE : BLOCK_READ, whole / BLOCK_SECTOR, c->segments,
			    c->used);
	} else if (rc) {
		c->starved = true;
	} else { /* the table is too short: the drive waits for ever (1.0, 3.1, status) */
		ata_dma_forget(c);
		c->bm_status &= (u8)~BM_ACTIVE;
	}
}

void ata_dma_begin(struct ata_channel *c)
{
	c->state = ATA_DMA;
	c->restarted = false;
	c->selected->status = ATA_BSY;
	ata_dma_go(c);
}

void ata_dma_answered(struct ata_channel *c, bool well)
{
	if (c->restarted || !well)
		ata_dma_forget(c);
	else
		segments_used(c);
	if (!well)
		return;
	c->sector += c->request.count;
	c->left -= c->request.count;
	if (c->left) {
		ata_dma_go(c);
		return;
	}
	ata_dma_forget(c);
	if (c->prd_end && !c->prd_bytes)
		c->bm_status &= (u8)~BM_ACTIVE;
	ata_done(c);
}

/* ---- registers ---- */
/* A rising start bit begins at the table's beginning; a cleared one ends the transfer after what the disk has
 * in its hands. */
static void bm_command(struct ata_channel *c, u8 value)
{
	bool start = value & BM_START, rises = start && !(c->bm_command & BM_START);

	c->bm_command = value & (BM_START | BM_TO_MEMORY);
	if (!start)
		c->bm_status &= (u8)~BM_ACTIVE;
	if (!rises)
		return;
	c->bm_status |= BM_ACTIVE;
	c->prd = c->bm_table;
	c->prds_left = (PRD_REACH - c->bm_table % PRD_REACH) / PRD_BYTES;
	c->prd_bytes = 0;
	c->prd_end = false;
	if (c->in_flight) {
		c->restarted = true;
		return;
	}
	if (c->state == ATA_DMA) /* put off, and not begun: begins anew */
		c->ready = false;
	ata_dma_forget(c);
	ata_dma_go(c);
}

static void bm_byte(struct ata_channel *c, unsigned offset, u8 value)
{
	unsigned shift = 8 * (offset & 3);

	if (offset == 0)
		bm_command(c, value);
	else if (offset == 2)
		c->bm_status = (u8)((c->bm_status & ~(value & (BM_ERROR | BM_INTERRUPT)) & ~BM_CAPABLE) |
				    (value & BM_CAPABLE));
	else if (offset >= 4)
		c->bm_table = (c->bm_table & ~(0xffu << shift)) | ((u32)value << shift & ~3u);
}

u64 ata_bm_read(void *opaque, u64 offset, unsigned size)
{
	struct ata_channel *c = &((struct ata *)opaque)->channel[offset >> 3 & 1];
	u64 registers;

	spin_lock(&c->lock);
	c->selected->accesses++;
	registers = c->bm_command | (u64)c->bm_status << 16 | (u64)c->bm_table << 32;
	spin_unlock(&c->lock);
	return registers >> (8 * (offset & 7)) & (BIT(8 * size) - 1);
}

void ata_bm_write(void *opaque, u64 offset, unsigned size, u64 value)
{
	struct ata_channel *c = &((struct ata *)opaque)->channel[offset >> 3 & 1];
	bool pending;

	spin_lock(&c->lock);
	c->selected->accesses++;
	for (unsigned i = 0; i < size && (offset & 7) + i < 8; i++)
		bm_byte(c, (unsigned)(offset & 7) + i, (u8)(value >> (8 * i)));
	pending = ata_is_pending(c);
	spin_unlock(&c->lock);
	if (pending)
		ata_run(c);
}
