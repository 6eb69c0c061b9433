/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes Socle's side of the Socle ring with a guest that writes anything anywhere in its ring at any
 * moment: ids stay unique, what is handed on lies in the guest's RAM, and a broken ring stays broken. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pv_ring.h"
#include "tests/unit/fake_ringmem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds, const char *what)
{
	if (!holds) {
		fprintf(stderr, "broken promise: %s\n", what);
		abort();
	}
}
#define REQUIRE(cond) require(cond, #cond)

static struct {
	const uint8_t *data;
	size_t left;
} input;
static struct pv_ring ring;
static gpa_t base;
static struct socle_request open[SOCLE_RING_MAX];
static u32 nr_open;

static u64 take(unsigned bytes)
{
	u64 value = 0;
	for (; bytes && input.left; bytes--, input.left--)
		value = value << 8 | *input.data++;
	return value;
}

/* Most writes are near to what a driver would write, or nothing would ever get past the first check. */
static void guest_writes(void)
{
	u64 kind = take(1);
	struct socle_ring *h = gmem_ptr(&ram, base, sizeof(*h));
	u32 index = h->request_producer;
	u64 at = base + 128 + (index & (ring.size - 1)) * 32ull;
	struct socle_request *slot = gmem_ptr(&ram, at, 32);

	if (kind % 4 == 0) {
		void *to = gmem_ptr(&ram, base + take(2) % (128 + ring.size * 32), 1);
		*(u8 *)to = (u8)take(1);
	} else if (kind % 4 == 1) {
		h->request_producer = index + 1;
	} else if (kind % 4 == 2) {
		*slot = (struct socle_request){.id = (u32)take(1),
					       .operation = (u8)take(1),
					       .nr_segments = (u16)take(1),
					       .length = (u32)take(kind & 0x80 ? 4 : 2),
					       .address = take(kind & 0x40 ? 8 : 3)};
		h->request_producer = index + 1;
	} else {
		struct socle_segment *s = gmem_ptr(&ram, 30 * PAGE_SIZE + take(1) * 16, 16);
		*s = (struct socle_segment){take(kind & 0x40 ? 8 : 3), (u32)take(kind & 0x80 ? 4 : 2), 0};
	}
}

static void check_pieces(const struct piece *pieces, int n, u32 length, bool to_guest)
{
	u64 sum = 0;

	for (int i = 0; i < n; i++) {
		unsigned page = 0;

		while (page < RAM_PAGES && !(ram_page[page] && pieces[i].base >= ram_page[page] &&
					     pieces[i].base < ram_page[page] + PAGE_SIZE))
			page++;
		REQUIRE(page < RAM_PAGES);
		REQUIRE(pieces[i].length && pieces[i].length <= ram_page[page] + PAGE_SIZE - pieces[i].base);
		REQUIRE(!to_guest || page != RAM_ROM);
		sum += pieces[i].length;
	}
	REQUIRE(sum == length);
}

static void socle_reads(void)
{
	struct piece pieces[40];
	struct socle_request r;
	bool to_guest = take(1) & 1;
	u32 before = ring.broken;

	if (!pv_ring_next(&ring, &r))
		return;
	REQUIRE(!before && nr_open < ring.size && r.id < ring.size);
	for (u32 i = 0; i < nr_open; i++)
		REQUIRE(open[i].id != r.id);
	open[nr_open++] = r;
	int n = pv_ring_segments(&ring, &r, to_guest, pieces, 40);
	REQUIRE(n <= 40);
	if (n > 0) {
		check_pieces(pieces, n, r.length, to_guest);
		pv_ring_unpin(&ring, pieces, (u32)n);
	}
}

static void socle_answers(void)
{
	u64 pick = take(1);

	if (nr_open == 0) {
		REQUIRE(pv_ring_respond(&ring, (u32)pick, 0, 0) == ERR_INVAL);
		return;
	}
	pick %= nr_open;
	int err = pv_ring_respond(&ring, open[pick].id, 0, 0);
	REQUIRE(err == (ring.broken ? ERR_FAULT : 0));
	if (!err)
		open[pick] = open[--nr_open];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool ready;

	if (!ready)
		ram_init();
	ready = true;
	for (unsigned i = 0; i < RAM_PAGES; i++)
		if (ram_page[i])
			memset(ram_page[i], 0, i == 30 || i < 4 ? PAGE_SIZE : 0);
	input.data = data;
	input.left = size;
	nr_open = 0;
	base = 2 * PAGE_SIZE - take(1) % 8 * 128;
	ram.pinned_pages = 0;
	memset(ram.pins, 0, sizeof(ram.pins));
	if (pv_ring_init(&ring, &ram, base, (u64)1 << take(1) % 9))
		return 0;
	if (take(1) & 1) { /* near the wrap of the indices */
		struct socle_ring *h = gmem_ptr(&ram, base, sizeof(*h));

		ring.request_consumer = ring.request_seen = ring.response_producer = ring.response_published =
		    ~0u - 2;
		h->request_producer = h->response_producer = ~0u - 2;
	}
	while (input.left) {
		u32 broken = ring.broken;
		u64 op = take(1);

		if (op % 8 < 4)
			guest_writes();
		else if (op % 8 == 4)
			socle_reads();
		else if (op % 8 == 5)
			socle_answers();
		else if (op % 8 == 6)
			pv_ring_publish(&ring);
		else
			pv_ring_rest(&ring);
		REQUIRE(!broken || ring.broken == broken);
		REQUIRE(ring.request_consumer - ring.response_producer == nr_open);
	}
	pv_ring_fini(&ring);
	REQUIRE(ram.pinned_pages == 0);
	return 0;
}
