/* SPDX-License-Identifier: Apache-2.0 */
/* Split virtqueues (virtio 1.2, 2.7): descriptor table, available ring, used ring. */
#include "virtq_ring.h"

/* Whether there is one. ERR_INVAL: the driver's index is not where it can be, for it has no more than size
 * descriptors out at once, and takes none back. */
static __attribute__((noinline)) int look_again(struct virtq *q)
{
	u16 index;

	index = virtq_load16(&q->driver, AREA_INDEX);
	if ((u16)(index - q->next_used) > q->size)
		return ERR_INVAL;
	if ((u16)(index - q->next_avail) > q->size)
		return ERR_INVAL;
	q->seen = index;
	return index != q->next_avail;
}

static inline int look(struct virtq *q)
{
	return likely(q->seen != q->next_avail) ? 1 : look_again(q);
}

/* A direct chain, at whose end an indirect table may stand (2.7.5.3.2). */
static int chain_read(struct virtq *q, struct virtq_chain *c, u16 head)
{
	u32 i = head, hops = 0;
	struct virtq_desc d;
	int rc;

	do {
		if (hops++ == q->size || i >= q->size)
			return ERR_INVAL;
		d = virtq_load_desc(virtq_at(&q->desc, i * VIRTQ_DESC_BYTES));
		if (d.split.flags & VIRTQ_DESC_INDIRECT)
			return d.split.flags & VIRTQ_DESC_NEXT
				   ? ERR_INVAL
				   : virtq_chain_table(q, c, d.addr, d.len, VIRTQ_HOPS_MAX - hops + 1);
		rc = virtq_chain_add(q, c, d.addr, d.len, d.split.flags & VIRTQ_DESC_WRITE);
		if (rc)
			return rc;
		i = d.split.next;
	} while (d.split.flags & VIRTQ_DESC_NEXT);
	return 0;
}

/* One buffer, in a large page that was used before: most chains are such ones. False: it is none. */
static inline bool pop_plain(struct virtq *q, struct virtq_chain *c)
{
	const u8 *ring = q->driver.base, *descs = q->desc.base;
	u32 mask = q->size - 1u;
	struct virtq_desc d;
	bool write;
	u16 id;
	u8 *base;

	if (unlikely(!ring || !descs || !c->room))
		return false;
	id = __atomic_load_n((const u16 *)(ring + AREA_RING) + (q->next_avail & mask), __ATOMIC_RELAXED);
	if (unlikely(id > mask))
		return false;
	d = virtq_load_desc(descs + id * VIRTQ_DESC_BYTES);
	write = d.split.flags & VIRTQ_DESC_WRITE;
	base = virtq_known(q, d.addr, d.len, write);
	if (unlikely(d.split.flags & (VIRTQ_DESC_NEXT | VIRTQ_DESC_INDIRECT) || !base))
		return false;
	*c->segments = (struct piece){base, d.len};
	c->nr_read = !write;
	c->nr_write = write;
	c->read_bytes = write ? 0 : d.len;
	c->write_bytes = write ? d.len : 0;
	c->too_long = false;
	c->id = id;
	c->descs = 1;
	q->next_avail++;
	return true;
}

static __attribute__((noinline)) int pop_any(struct virtq *q, struct virtq_chain *c)
{
	int rc;

	c->id = virtq_load16(&q->driver, AREA_RING + 2 * virtq_slot_of(q, q->next_avail));
	c->descs = 1;
	q->next_avail++;
	virtq_chain_begin(c);
	rc = chain_read(q, c, c->id);
	return rc ? virtq_break(q, rc) : 1;
}

int virtq_split_pop(struct virtq *q, struct virtq_chain *c)
{
	int rc = look(q);

	if (unlikely(rc <= 0))
		return rc ? virtq_break(q, rc) : 0;
	if (likely(pop_plain(q, c)))
		return 1;
	return pop_any(q, c);
}

bool virtq_split_interrupt(struct virtq *q)
{
	if (!q->event_idx)
		return !(virtq_load16(&q->driver, AREA_FLAGS) & AVAIL_NO_INTERRUPT);
	return virtq_split_passed(virtq_load16(&q->driver, AREA_RING + 2u * q->size), q->next_used, q->since);
}

/* What is wrong is the next pop's to say. */
bool virtq_split_waiting(const struct virtq *q)
{
	return q->seen != q->next_avail || virtq_load16(&q->driver, AREA_INDEX) != q->next_avail;
}

/* With event indices the driver looks at them alone, and the last one that it got stays behind. */
void virtq_split_kicks_off(struct virtq *q)
{
	if (!q->event_idx)
		virtq_store16(&q->device, AREA_FLAGS, USED_NO_NOTIFY);
}

bool virtq_split_kicks_on(struct virtq *q)
{
	if (q->event_idx)
		virtq_store16(&q->device, AREA_RING + USED_BYTES * q->size, q->next_avail);
	else
		virtq_store16(&q->device, AREA_FLAGS, 0);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return virtq_split_waiting(q);
}
