/* SPDX-License-Identifier: Apache-2.0 */
/* Owns the arithmetic of blocks. The first page of every block says in one byte whether the block is
 * free or allocated, and its order; the pages inside say nothing. A free block's own first bytes are
 * its list node, so the allocator costs one byte a page. */
#include "buddy.h"

#include "host.h"
#include "log.h"

#define STATE_INSIDE 0x00u /* not the first page of a block, or no RAM */
#define STATE_FREE 0x40u
#define STATE_USED 0x80u

static u64 frame_of(hpa_t pa)
{
	return pa >> PAGE_SHIFT;
}

static struct list *node_of(u64 frame)
{
	return phys_to_virt(frame << PAGE_SHIFT);
}

static u8 *state_of(const struct buddy *b, u64 frame)
{
	return frame - b->first < b->count ? &b->state[frame - b->first] : NULL;
}

void buddy_init(struct buddy *b, u64 first, u64 count, u8 *state)
{
	b->first = first;
	b->count = count;
	b->state = state;
	b->nr_free = 0;
	memset(state, STATE_INSIDE, count);
	for (unsigned i = 0; i < BUDDY_ORDERS; i++)
		list_init(&b->free[i]);
}

/* Puts a block on its list, joined with its free buddies as far as that goes. */
static void block_release(struct buddy *b, u64 frame, unsigned order)
{
	b->nr_free += BIT(order);
	for (; order < BUDDY_ORDERS - 1; order++) {
		u64 buddy = frame ^ BIT(order);
		u8 *state = state_of(b, buddy);

		if (!state || *state != (STATE_FREE | order))
			break;
		list_remove(node_of(buddy));
		*state = STATE_INSIDE;
		*state_of(b, frame) = STATE_INSIDE;
		frame &= ~BIT(order);
	}
	*state_of(b, frame) = (u8)(STATE_FREE | order);
	list_insert(b->free[order].next, node_of(frame));
}

void buddy_add(struct buddy *b, hpa_t base, u64 length)
{
	u64 frame = frame_of(ALIGN_UP(base, PAGE_SIZE)), end = frame_of(base + length);

	if (frame == 0)
		frame = 1; /* address 0 means that there is no page */
	while (frame < end) {
		unsigned order = bit_first(frame);

		order = MIN(order, BUDDY_ORDERS - 1u);
		order = MIN(order, bit_last(end - frame));
		ASSERT(state_of(b, frame) && state_of(b, frame + BIT(order) - 1));
		block_release(b, frame, order);
		frame += BIT(order);
	}
}

/* A block of that order out of the free one of order `have`. */
static hpa_t block_take(struct buddy *b, struct list *node, unsigned have, unsigned order)
{
	u64 frame = frame_of(virt_to_phys(node));

	ASSERT(*state_of(b, frame) == (STATE_FREE | have));
	list_remove(node);
	while (have > order) { /* keep the lower half, release the upper one */
		u64 upper = frame + BIT(--have);

		*state_of(b, upper) = (u8)(STATE_FREE | have);
		list_insert(&b->free[have], node_of(upper));
	}
	*state_of(b, frame) = (u8)(STATE_USED | order);
	b->nr_free -= BIT(order);
	return frame << PAGE_SHIFT;
}

hpa_t buddy_alloc(struct buddy *b, unsigned order)
{
	unsigned have = order;

	while (have < BUDDY_ORDERS && list_empty(&b->free[have]))
		have++;
	if (have >= BUDDY_ORDERS)
		return PAGE_NONE;
	return block_take(b, b->free[have].next, have, order);
}

hpa_t buddy_alloc_below(struct buddy *b, unsigned order, hpa_t limit)
{
	for (unsigned have = order; have < BUDDY_ORDERS; have++)
		list_for_each(n, &b->free[have]) if (virt_to_phys(n) + (PAGE_SIZE << order) <=
						     limit) return block_take(b, n, have, order);
	return PAGE_NONE;
}

hpa_t buddy_alloc_pages(struct buddy *b, unsigned order)
{
	hpa_t pa = buddy_alloc(b, order);

	if (pa != PAGE_NONE)
		memset(state_of(b, frame_of(pa)), STATE_USED, BIT(order));
	return pa;
}

int buddy_order(const struct buddy *b, hpa_t pa)
{
	const u8 *state = state_of(b, frame_of(pa));

	return state && *state & STATE_USED ? (int)(*state & ~STATE_USED) : ERR_NOENT;
}

/* Cuts the allocated block around a frame, where there is one, down to pieces until one of them begins
 * there with the wanted order. */
static void block_cut(struct buddy *b, u64 frame, unsigned order)
{
	unsigned have = order + 1;
	u8 *head;

	for (; have < BUDDY_ORDERS; have++) {
		head = state_of(b, frame & ~(BIT(have) - 1));
		if (head && *head == (STATE_USED | have))
			break;
	}
	for (; have > order && have < BUDDY_ORDERS; have--) {
		u64 lower = frame & ~(BIT(have) - 1);

		*state_of(b, lower) = (u8)(STATE_USED | (have - 1));
		*state_of(b, lower + BIT(have - 1)) = (u8)(STATE_USED | (have - 1));
	}
}

void buddy_free(struct buddy *b, hpa_t pa, unsigned order)
{
	u8 *state = state_of(b, frame_of(pa));

	if (state && IS_ALIGNED(pa, PAGE_SIZE << order) && *state != (STATE_USED | order))
		block_cut(b, frame_of(pa), order);
	if (!state || !IS_ALIGNED(pa, PAGE_SIZE << order) || *state != (STATE_USED | order))
		panic("freeing a block that is not allocated: address %#lx, order %u", pa, order);
	block_release(b, frame_of(pa), order);
}
