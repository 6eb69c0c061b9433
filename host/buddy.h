/* SPDX-License-Identifier: Apache-2.0 */
/* Buddy allocator: blocks of 2^order pages, each aligned to its size; two free halves of a block are
 * always joined. Pure logic over memory that phys_to_virt() reaches; page.c adds lock and regions. */
#pragma once

#include "list.h"

#define BUDDY_ORDERS 19 /* 0 .. 18: 4 KiB .. 1 GiB */

struct buddy {
	u64 first, count; /* page frame numbers covered */
	u8 *state;        /* one byte for each of them */
	u64 nr_free;      /* pages */
	struct list free[BUDDY_ORDERS];
};

/* All pages of [first, first + count) begin as not present. state has count bytes. */
void buddy_init(struct buddy *b, u64 first, u64 count, u8 *state);
/* Gives a range that is not present to the allocator. */
void buddy_add(struct buddy *b, hpa_t base, u64 length);
hpa_t buddy_alloc(struct buddy *b, unsigned order);
/* One that ends at the limit, or below. Looks at all free blocks. */
hpa_t buddy_alloc_below(struct buddy *b, unsigned order, hpa_t limit);
/* The same, as 2^order blocks of one page each. */
hpa_t buddy_alloc_pages(struct buddy *b, unsigned order);
/* A block comes back whole, or in aligned pieces of smaller order (a guest's large page after the EPT
 * split it). Panics when what comes back is not allocated. */
void buddy_free(struct buddy *b, hpa_t pa, unsigned order);
/* Order of the allocated block that begins at pa; negative when none does. */
int buddy_order(const struct buddy *b, hpa_t pa);
