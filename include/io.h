/* SPDX-License-Identifier: Apache-2.0 */
/* One contract for guest I/O ports and guest memory-mapped I/O (owner: vcpu/). A device registers
 * regions when its VM is built; lookup takes no lock. What nobody claims reads as all-ones, its
 * writes are dropped, and it is logged once. */
#pragma once

#include "types.h"

struct guest;

struct io_region {
	u64 base;         /* port number or guest-physical address */
	u64 length;       /* in ports or bytes */
	unsigned width;   /* widest access the device takes: 1, 2, 4 or 8 bytes; wider ones are split,
			     lowest address first */
	const char *name; /* static string, for logs and statistics */
	/* offset = address - base; size 1, 2, 4, 8 and offset + size <= length. Values are
	 * zero-extended; bits above size are ignored. */
	u64 (*read)(void *opaque, u64 offset, unsigned size);
	void (*write)(void *opaque, u64 offset, unsigned size, u64 value);
	void *opaque;
	u64 accesses; /* counted by vcpu/, from 0; several vCPUs at once may lose some */
};

/* Calls fn for each region, ports first. */
void io_for_each(const struct guest *g, void (*fn)(void *opaque, bool port, const struct io_region *r),
		 void *opaque);
/* The region is copied. ERR_EXIST: overlaps another; ERR_NOMEM: table full; ERR_INVAL. */
int io_register_port(struct guest *g, const struct io_region *r);
int io_register_mem(struct guest *g, const struct io_region *r);
/* Optional, after io_register_port(): INS and OUTS with REP hand the region whole runs of items. fn moves up
 * to count items (at least 1; they lie in one page of the guest's memory, which may change meanwhile) of size
 * bytes from the device into buf (in) or from buf into it, and returns how many: the rest comes again, or one
 * by one through read and write when it returns 0. offset and size as for those. ERR_NOENT: no such region.
 */
typedef u32 (*io_string_fn)(void *opaque, u64 offset, unsigned size, bool in, u8 *buf, u32 count);
int io_set_port_string(struct guest *g, u64 base, void *opaque, io_string_fn fn);
/* Takes a region away again (PCI BARs move); identified by base and opaque. */
int io_unregister_port(struct guest *g, u64 base, void *opaque);
int io_unregister_mem(struct guest *g, u64 base, void *opaque);
