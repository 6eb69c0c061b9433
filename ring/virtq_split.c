/* SPDX-License-Identifier: Apache-2.0 */
/* Split virtqueues (virtio 1.2, 2.7): descriptor table, available ring, used ring. */
#include "virtq_ring.h"

/* The driver's area, 2.7.6, and the device's, 2.7.8: flags, index, ring, event index of the other side. */
#define AREA_FLAGS 0u
#define AREA_INDEX 2u
#define AREA_RING 4u
#define AVAIL_NO_INTERRUPT 1u
#define USED_NO_NOTIFY 1u
#define USED_BYTES 8u /* id, then length */

static u32 slot_of(const struct virtq *q, u16 index)
{
	return index & (q->size - 1u);
}

/* Whether there is one. ERR_INVAL: the driver's index is not where it can be, for it has no more than size
 * descriptors out at once, and takes none back. */
static int look(struct virtq *q)
{
	u16 index;

	if (q->seen != q->next_avail)
		return 1;
	index = virtq_load16(&q->driver, AREA_INDEX);
	if ((u16)(index - q->next_used) > q->size)
		return ERR_INVAL;
	if ((u16)(index - q->next_avail) > q->size)
		return ERR_INVAL;
	q->seen = index;
	return index != q->next_avail;
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

int virtq_split_pop(struct virtq *q, struct virtq_chain *c)
{
	int rc = look(q);

	if (rc <= 0)
		return rc ? virtq_break(q, rc) : 0;
	c->id = virtq_load16(&q->driver, AREA_RING + 2 * slot_of(q, q->next_avail));
	c->descs = 1;
	q->next_avail++;
	virtq_chain_begin(c);
	rc = chain_read(q, c, c->id);
	return rc ? virtq_break(q, rc) : 1;
}

void virtq_split_push_hidden(struct virtq *q, u16 id, u32 written)
{
	u32 at = AREA_RING + USED_BYTES * slot_of(q, q->next_used);

	/* Each is aligned; both together may cross a page. */
	__atomic_store_n((u32 *)virtq_at(&q->device, at), id, __ATOMIC_RELAXED);
	__atomic_store_n((u32 *)virtq_at(&q->device, at + 4), written, __ATOMIC_RELAXED);
	q->next_used++;
	q->since++;
}

void virtq_split_show(struct virtq *q)
{
	virtq_store16(&q->device, AREA_INDEX, q->next_used);
}

void virtq_split_push(struct virtq *q, u16 id, u32 written)
{
	virtq_split_push_hidden(q, id, written);
	virtq_split_show(q);
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
