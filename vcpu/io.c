/* SPDX-License-Identifier: Apache-2.0 */
/* Guest I/O: who owns which port and which memory, and the port exits. Ports are found by two loads,
 * memory by binary search; tables change only while no vCPU runs or by the vCPU itself. */
#include "io.h"

#include "emulation.h"
#include "exit.h"
#include "host.h"
#include "io_map.h"
#include "log.h"

#define UNKNOWN_LOG_LINES 24

bool guest_log_unknown(struct guest *g)
{
	if (g->unknown_logged > UNKNOWN_LOG_LINES)
		return false;
	if (++g->unknown_logged <= UNKNOWN_LOG_LINES)
		return true;
	log_warn("%s: no more lines about what nobody claims", g->name);
	return false;
}

/* All-ones of a size in bytes. */
static inline u64 ones(unsigned size)
{
	return ~(u64)0 >> (64 - 8 * size);
}

/* Nobody owns any byte of this access: remembered, and logged once. */
static void unclaimed(struct guest *g, bool port, u64 address, unsigned size, bool write, u64 value)
{
	const char *kind = port ? "port" : "memory";
	if (io_map_first_miss(g->io, port, address, size) && guest_log_unknown(g)) {
		if (write)
			log_debug("%s: %u-byte write of 0x%lx to %s 0x%lx dropped", g->name, size, value,
				  kind, address);
		else
			log_debug("%s: %u-byte read of %s 0x%lx answered with all-ones", g->name, size, kind,
				  address);
	}
}

/* An access that reaches beyond its region, or is wider than the device takes: in pieces, lowest
 * address first, each to whoever owns it. */
static u64 access_split(struct guest *g, bool port, u64 address, unsigned size, bool write, u64 value)
{
	u64 result = 0;
	bool claimed = false;
	for (unsigned done = 0; done < size;) {
		struct io_region *r =
		    port ? io_port_find(g->io, address + done) : io_mem_find(g->io, address + done);
		unsigned piece = r ? MIN(size - done, r->width) : 1;
		while (piece & (piece - 1) || (r && address + done + piece > r->base + r->length))
			piece--;
		u64 part = write ? value >> (8 * done) & ones(piece) : ones(piece);
		claimed |= r != NULL;
		if (r)
			r->accesses++;
		if (r && write)
			r->write(r->opaque, address + done - r->base, piece, part);
		else if (r)
			part = r->read(r->opaque, address + done - r->base, piece) & ones(piece);
		result |= part << (8 * done);
		done += piece;
	}
	if (!claimed)
		unclaimed(g, port, address, size, write, value);
	return result;
}

static inline bool fits(const struct io_region *r, u64 address, unsigned size)
{
	return size <= r->width && address + size <= r->base + r->length;
}

u64 io_read(struct guest *g, bool port, u64 address, unsigned size)
{
	struct io_region *r = port ? io_port_find(g->io, address) : io_mem_find(g->io, address);
	if (likely(r && fits(r, address, size))) {
		r->accesses++;
		return r->read(r->opaque, address - r->base, size);
	}
	if (likely(!r && io_map_known_miss(g->io, port, address, size)))
		return ones(size);
	return access_split(g, port, address, size, false, 0);
}

void io_write(struct guest *g, bool port, u64 address, unsigned size, u64 value)
{
	struct io_region *r = port ? io_port_find(g->io, address) : io_mem_find(g->io, address);
	if (likely(r && fits(r, address, size))) {
		r->accesses++;
		r->write(r->opaque, address - r->base, size, value);
	} else if (r || !io_map_known_miss(g->io, port, address, size))
		access_split(g, port, address, size, true, value);
}

u32 io_string(struct guest *g, u64 port, unsigned size, bool in, u8 *buf, u32 count)
{
	struct io_region *r = io_port_find(g->io, port);
	io_string_fn fn = r ? g->io->port_string[r - g->io->port] : NULL;
	if (!fn || !fits(r, port, size))
		return 0;
	u32 moved = fn(r->opaque, port - r->base, size, in, buf, count);
	r->accesses += moved;
	return moved;
}

/* Exit qualification for I/O instructions, SDM volume 3, table 28-5. */
#define IO_SIZE(q) (((unsigned)(q)&7) + 1)
#define IO_IN BIT(3)
#define IO_STRING BIT(4)
#define IO_PORT(q) ((u16)((q) >> 16))

void exit_io(struct vcpu *v)
{
	u64 q = vmread(EXIT_QUALIFICATION);
	unsigned size = IO_SIZE(q);
	u64 *rax = &v->regs[REG_RAX];
	if (unlikely(q & IO_STRING)) {
		emulation_string_io(v, q);
		return;
	}
	if (q & IO_IN) {
		u64 value = io_read(v->guest, true, IO_PORT(q), size);
		/* A 32-bit result clears the upper half, smaller ones leave it alone. */
		if (size == 1)
			*(u8 *)rax = (u8)value;
		else if (size == 2)
			*(u16 *)rax = (u16)value;
		else
			*rax = (u32)value;
	} else {
		static const u64 mask[] = {[1] = 0xff, [2] = 0xffff, [4] = 0xffffffff, [8] = 0};
		io_write(v->guest, true, IO_PORT(q), size, *rax & mask[size]);
	}
	vcpu_skip();
}
