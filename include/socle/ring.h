/* SPDX-License-Identifier: BSD-2-Clause */
/* The Socle ring: input and output between a guest and Socle without copying. Version 1.
 *
 * A ring is a piece of the guest's RAM: a header of 128 bytes (struct socle_ring) and after it `size` slots
 * of 32 bytes, size being a power of two, 1 to SOCLE_RING_MAX. It begins at a multiple of 128, is contiguous
 * in guest-physical memory, and both sides begin with all of it zero. A disk has one ring; a network
 * interface has two, one to transmit and one to receive.
 *
 * Requests and responses share the slots. Four indices say where they are; all count from 0 up and wrap at
 * 2^32; index i stands for slot i % size:
 *
 *   request producer    in the header, written by the guest: it has filled the slots before it
 *   request consumer    Socle's own: it has read the slots before it
 *   response producer   in the header, written by Socle: it has answered in the slots before it
 *   response consumer   the guest's own: it has read the answers before it
 *
 *   response consumer <= response producer <= request consumer <= request producer
 *                     <= response consumer + size
 *
 * So an answer goes into a slot whose request Socle has read, and a request into one whose answer the guest
 * has read. Responses come in any order: the id, 0 to size - 1, which no other unanswered request has, says
 * which request one belongs to. Each request gets one response.
 *
 * Slots hold guest-physical addresses, never data. What they point at belongs to Socle until the response; it
 * may be read or written at any moment until then. Requests are begun in the order of the ring and may be
 * done in any; a request with SOCLE_RING_BARRIER is begun after all before it are done and are on the medium,
 * and is so itself before any after it is begun. If it fails, those behind it that Socle has been shown
 * by then fail with SOCLE_ECANCELED: they could not keep their place.
 *
 * Notification. Each side says when it wants to hear of the other: the guest by response_event, Socle by
 * request_event. Who moves a producer from `before` to `after` reads the other's event index and notifies if
 * before < event <= after (socle_ring_crossed(): it is so for numbers that wrap). An event index that is
 * not moved gives no second notification. To sleep: set the event index to one's consumer + 1, or + n for
 * being told when n are there; full barrier; look at the producer once more. To write and then to look is
 * what both sides have to do: producer, full barrier, event; event, full barrier, producer.
 *
 * What is wrong in one request (operation, flag, address, length) is its response's status. What is wrong
 * with the ring (a request producer that claims more than the slots that are free, an id that is not there or
 * is in use) makes Socle set `broken`, notify the guest and look at the ring no more; requests that are on
 * their way get no response. To begin anew: SOCLE_CALL_RING_CLOSE, zero the ring, SOCLE_CALL_RING_OPEN.
 *
 * Page flip. A network interface with SOCLE_NET_FLIP may receive by exchanging pages instead of copying,
 * where sender and receiver both ask for it: each opens its ring with SOCLE_RING_OPEN_FLIP and gives requests
 * SOCLE_RING_FLIP. The sender offers the page that its frame is in, from the page's beginning on; the
 * receiver posts a whole page. If the response has SOCLE_RING_FLIPPED, the frames of host memory behind the
 * two pages have changed places: the receiver has the frame without a copy, and behind it whatever else the
 * sender's page held; the sender has the receiver's page, which is all zero, or, where the receiver posted it
 * with SOCLE_RING_CLEAN, as the receiver left it: it says by that that everybody may see what is there. Each
 * VM has as much memory as before. Without SOCLE_RING_FLIPPED the frame was copied, as always: because only
 * one of them asked, the frame went to several receivers, one of the pages is in flight for something else,
 * too (posted twice, a ring, the page of events), the guest may not write it, or one of the VMs uses what
 * cannot be combined with it (a virtio queue, an IDE disk, an 82540EM, SOCLE_CALL_CLOCK_VM), or Socle is
 * counting pages just then. As with every request, a page belongs to Socle until the response: what a guest
 * writes there by then may be lost, or go to the other; and Socle may have zeroed a page that was posted to
 * be flipped.
 *
 * A guest finds its devices with SOCLE_CALL_DEVICE_QUERY, shows Socle a ring with SOCLE_CALL_RING_OPEN,
 * notifies Socle with SOCLE_CALL_RING_DOORBELL, and is notified by an event (event.h): SOCLE_FEATURE_RING of
 * hypercall.h says that these calls are there. */
#ifndef SOCLE_RING_H
#define SOCLE_RING_H

#include <stdint.h>

#include "hypercall.h"

/* ---- Calls. Devices have numbers from 0 on, without a gap, the same as long as the VM lives. ---- */

/* RDI: device; RSI: guest-physical address of a struct socle_device, which Socle fills in; a multiple of 64.
 * 0; SOCLE_ENOENT: there is no device of that number, nor of a higher one; SOCLE_EINVAL; SOCLE_EFAULT: not in
 * RAM that the guest may write. */
#define SOCLE_CALL_DEVICE_QUERY 32
/* RDI: device; RSI: which of its rings, below nr_rings; RDX: guest-physical address of the ring; R10: slots,
 * and of a network interface SOCLE_RING_OPEN_FLIP or not;
 * R8: the event that notifies the guest, allocated for itself with SOCLE_CALL_EVENT_ALLOC, or 0: none. Socle
 * looks at the ring from now on; what it holds already is seen with the first doorbell. 0; SOCLE_ENOENT: no
 * such device or ring; SOCLE_EBUSY: it is open, or was not closed to the end; SOCLE_EINVAL: size, alignment
 * or event; SOCLE_EFAULT: not in RAM that the guest may write; SOCLE_EDQUOT: too many pages in flight. */
#define SOCLE_CALL_RING_OPEN 33
#define SOCLE_RING_OPEN_FLIP (1ull << 32) /* requests may have SOCLE_RING_FLIP */
/* RDI: device; RSI: ring. From now on Socle writes nothing into the ring; requests that were read and are
 * not answered are ended. 0: it touches neither the ring nor a request's memory any more; SOCLE_EAGAIN: the
 * medium still has some of them; the ring's event comes when the last is back, then close again. Also of a
 * ring that is broken. SOCLE_ENOENT: no such device or ring, or it is not open. */
#define SOCLE_CALL_RING_CLOSE 34
/* RDI: device; RSI: ring. Socle looks at the ring. 0; SOCLE_ENOENT: no such device or ring, or it is not
 * open. */
#define SOCLE_CALL_RING_DOORBELL 35

struct socle_device {
	uint32_t kind;       /* SOCLE_DEVICE_ */
	uint32_t flags;      /* SOCLE_DISK_, SOCLE_NET_ */
	uint32_t nr_rings;   /* a disk: 1; a network interface: 0 transmits, 1 receives */
	uint32_t max_pages;  /* in flight at once, of all rings of the VM and the rings themselves */
	uint64_t sectors;    /* of a disk */
	uint32_t max_length; /* bytes of a request; of a disk's ZERO and DISCARD, as many sectors of 512 */
	uint32_t reserved0;
	char name[16]; /* as in the VM's configuration, for example disk1; ends with a 0 */
	uint8_t mac[6];
	uint8_t reserved1[10];
};

#define SOCLE_DEVICE_DISK 1u
#define SOCLE_DEVICE_NETWORK 2u
#define SOCLE_DISK_READ_ONLY 1u
/* What was written may be lost in a power cut until a FLUSH, a BARRIER or FUA; without it, nothing is. */
#define SOCLE_DISK_VOLATILE 2u
#define SOCLE_NET_FLIP 1u /* see page flip above */

/* ---- The ring ---- */

#define SOCLE_RING_MAX 256      /* slots */
#define SOCLE_RING_SEGMENTS 128 /* of one request */
#define SOCLE_RING_PAGES 257    /* that one request touches; one that two segments touch counts twice */

/* Two cache lines, so that each is written by one side only. */
struct socle_ring {
	/* The guest's. */
	uint32_t request_producer;
	uint32_t response_event;
	uint32_t reserved0[14];
	/* Socle's. */
	uint32_t response_producer;
	uint32_t request_event;
	uint32_t broken; /* SOCLE_RING_BROKEN_, or 0 */
	uint32_t reserved1[13];
};

#define SOCLE_RING_BROKEN_PRODUCER 1u /* more requests than free slots, or fewer than before */
#define SOCLE_RING_BROKEN_ID 2u       /* not less than size, or in use */

/* Operations. Of a disk, with the numbers of sectors of 512 bytes: */
#define SOCLE_RING_READ 1u
#define SOCLE_RING_WRITE 2u
#define SOCLE_RING_FLUSH 3u   /* every write that was answered before it was made is on the medium */
#define SOCLE_RING_DISCARD 4u /* `length` is in sectors here, and there is no address */
#define SOCLE_RING_ZERO 5u    /* likewise */
/* Of a transmit ring: one frame, without its checksum; answered when it needs its memory no more, delivered
 * or not. Of a receive ring: room for one frame, taken in the order of the ring; a frame that the next one
 * has no room for is dropped. A receive ring needs no doorbell. */
#define SOCLE_RING_SEND 6u
#define SOCLE_RING_RECEIVE 7u

#define SOCLE_RING_BARRIER 1u /* flag: see above; disks only */
#define SOCLE_RING_FUA 2u     /* flag of WRITE and ZERO: answered when it is on the medium */
/* Flags of networks: the page at `address`, a multiple of 4096, without segments, may be exchanged. Of
 * RECEIVE: the length is 4096. */
#define SOCLE_RING_FLIP 4u
#define SOCLE_RING_CLEAN 8u /* beside it, of RECEIVE: what the page holds need not be hidden */

struct socle_request {
	uint32_t id;
	uint8_t operation;
	uint8_t flags;
	/* 0: the data is `length` bytes at `address`. Else `address` is that of so many socle_segments (a
	 * multiple of 16, in one page), whose lengths add up to `length`. */
	uint16_t nr_segments;
	uint32_t length; /* bytes; of a disk's READ and WRITE a multiple of 512 */
	uint32_t reserved;
	uint64_t address; /* guest-physical, of any alignment */
	uint64_t sector;
};

struct socle_segment {
	uint64_t address;
	uint32_t length; /* bytes, not 0 */
	uint32_t reserved;
};

struct socle_response {
	uint32_t id;
	int32_t status;  /* 0, or an error of hypercall.h or of those below */
	uint32_t length; /* bytes that Socle has written into the guest's memory for it */
	uint32_t flags;  /* SOCLE_RING_FLIPPED */
	uint32_t reserved[4];
};

/* Of requests, beside SOCLE_EINVAL (operation, flag, length, alignment, or beyond the disk's end) and
 * SOCLE_EFAULT (an address that is not in RAM, or where the guest may not write). */
#define SOCLE_EIO (-5)         /* the medium failed */
#define SOCLE_E2BIG (-7)       /* more segments, pages or bytes than a request may have */
#define SOCLE_EROFS (-30)      /* the disk is read-only */
#define SOCLE_ENOTSUP (-95)    /* this device does not know the operation */
#define SOCLE_ECANCELED (-125) /* it stood behind a barrier that failed */

#define SOCLE_RING_FLIPPED 1u /* the page is another one now */

/* Not 0: a producer that went from before to after has reached event. */
static inline int socle_ring_crossed(uint32_t event, uint32_t before, uint32_t after)
{
	return after - event < after - before;
}

/* ---- A driver, for one thread at a time; it needs nothing but this header. ---- */

struct socle_driver {
	struct socle_ring *ring;
	uint32_t size;
	uint32_t request_producer; /* slots that are filled; the ring's own follows in socle_driver_push() */
	uint32_t response_consumer;
	uint32_t nr_free;
	uint16_t free_ids[SOCLE_RING_MAX];
};

static inline void *socle_ring_slot(struct socle_ring *ring, uint32_t size, uint32_t index)
{
	return (unsigned char *)ring + sizeof(struct socle_ring) + (uint64_t)(index & (size - 1)) * 32;
}

/* The ring's memory is zero. */
static inline void socle_driver_init(struct socle_driver *d, struct socle_ring *ring, uint32_t size)
{
	d->ring = ring;
	d->size = size;
	d->request_producer = d->response_consumer = 0;
	for (d->nr_free = 0; d->nr_free < size; d->nr_free++)
		d->free_ids[d->nr_free] = (uint16_t)(size - 1 - d->nr_free);
	__atomic_store_n(&ring->response_event, 1, __ATOMIC_SEQ_CST);
}

/* Fills the next slot with *r, whose id it chooses. Socle does not see it before socle_driver_push(). The id,
 * or -1: there is no free slot. */
static inline int socle_driver_put(struct socle_driver *d, const struct socle_request *r)
{
	struct socle_request *slot;

	if (d->nr_free == 0)
		return -1;
	slot = (struct socle_request *)socle_ring_slot(d->ring, d->size, d->request_producer++);
	*slot = *r;
	slot->id = d->free_ids[--d->nr_free];
	return (int)slot->id;
}

/* Shows Socle all that was put. Not 0: it wants to be notified. */
static inline int socle_driver_push(struct socle_driver *d)
{
	uint32_t before = d->ring->request_producer; /* nobody else writes it */

	/* The slots before the index; the index before the look at what Socle waits for. */
	__atomic_store_n(&d->ring->request_producer, d->request_producer, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return socle_ring_crossed(__atomic_load_n(&d->ring->request_event, __ATOMIC_RELAXED), before,
				  d->request_producer);
}

/* Takes a response. 0: there is none, or Socle's side makes no sense. */
static inline int socle_driver_get(struct socle_driver *d, struct socle_response *r)
{
	uint32_t produced = __atomic_load_n(&d->ring->response_producer, __ATOMIC_ACQUIRE);

	if (produced == d->response_consumer || d->nr_free == d->size)
		return 0;
	*r = *(struct socle_response *)socle_ring_slot(d->ring, d->size, d->response_consumer);
	if (r->id >= d->size)
		return 0;
	d->response_consumer++;
	d->free_ids[d->nr_free++] = (uint16_t)r->id;
	return 1;
}

/* Before sleeping: asks for a notification when n more responses are there; 1 to the number of requests that
 * have none yet, or it never comes. Not 0: so many are there already, get them first; a notification may come
 * all the same. */
static inline int socle_driver_arm(struct socle_driver *d, uint32_t n)
{
	__atomic_store_n(&d->ring->response_event, d->response_consumer + n, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return __atomic_load_n(&d->ring->response_producer, __ATOMIC_ACQUIRE) - d->response_consumer >= n;
}

#endif
