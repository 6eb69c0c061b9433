/* SPDX-License-Identifier: Apache-2.0 */
/* The Socle ring, both sides: every state that small rings can have, index wrap included (M70), ids (M71),
 * order (M72), what hostile guests write (M67, M70), buffers by address (M69), notification (M84), and both
 * sides at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <pthread.h>

#include "fake_ringmem.h"
#include "pv_ring.h"

#define BASE (2 * PAGE_SIZE - 128) /* the header ends a page */

static struct pv_ring ring;
static struct socle_driver driver;
/* The guest sees its ring in one piece, which the fake memory's pages are not: so rings of a page here. */
static struct socle_ring *shared;

static void board(u32 size, u32 start)
{
	ram_init();
	gpa_t base = PAGE_SIZE;

	shared = (struct socle_ring *)ram_page[1];
	assert_in_range(size, 1, 64);
	assert_int_equal(pv_ring_init(&ring, &ram, base, size), 0);
	assert_int_equal(shared->request_event, 1);
	socle_driver_init(&driver, shared, size);
	/* As if so many requests had gone through. */
	ring.request_consumer = ring.request_seen = ring.response_producer = ring.response_published = start;
	driver.request_producer = driver.response_consumer = start;
	shared->request_producer = shared->response_producer = start;
	shared->request_event = shared->response_event = start + 1;
}

/* ---- every sequence of steps of a small ring, against a model that knows no indices ---- */

#define STEPS 8

struct model {
	u32 made, seen, answered; /* requests by number */
	u32 gotten;
	u32 id_of[STEPS]; /* of request number n */
	bool open[STEPS]; /* seen and not answered */
	u32 answers[STEPS];
};

static struct world {
	struct pv_ring ring;
	struct socle_driver driver;
	struct model m;
	u8 memory[128 + 8 * 32];
} worlds[STEPS + 1];
static u64 visited;

static void step_put(struct model *m)
{
	struct socle_request r = {.operation = SOCLE_RING_READ, .sector = m->made};
	u32 before = driver.request_producer;
	int id = socle_driver_put(&driver, &r), asked;

	if (m->made - m->gotten == ring.size) {
		assert_int_equal(id, -1);
		return;
	}
	assert_in_range(id, 0, ring.size - 1);
	for (u32 n = 0; n < m->made; n++) {
		bool back = false;

		for (u32 k = 0; k < m->gotten; k++)
			back = back || m->answers[k] == n;
		assert_true(back || m->id_of[n] != (u32)id); /* no other that is unanswered has it */
	}
	m->id_of[m->made++] = (u32)id;
	asked = socle_driver_push(&driver);
	assert_int_equal(asked, shared->request_event == before + 1);
}

static void step_next(struct model *m)
{
	struct socle_request r;
	int got = pv_ring_next(&ring, &r);

	assert_int_equal(got, m->seen < m->made);
	if (got) {
		assert_int_equal(r.sector, m->seen); /* in order */
		assert_int_equal(r.id, m->id_of[m->seen]);
		m->open[m->seen++] = true;
	}
	assert_int_equal(pv_ring_rest(&ring), m->seen < m->made);
}

static void step_answer(struct model *m, bool newest)
{
	u32 n = newest ? m->seen - 1 : 0, before = ring.response_published;

	while (n < m->seen && !m->open[n])
		n += newest ? ~0u : 1;
	if (n >= m->seen) {
		assert_false(pv_ring_publish(&ring));
		return;
	}
	assert_int_equal(pv_ring_respond(&ring, m->id_of[n], -(int)n, n), 0);
	assert_int_equal(pv_ring_respond(&ring, m->id_of[n], 0, 0), ERR_INVAL); /* once */
	m->open[n] = false;
	m->answers[m->answered++] = n;
	assert_int_equal(pv_ring_publish(&ring), shared->response_event == before + 1);
}

static void step_get(struct model *m)
{
	struct socle_response r;
	int got = socle_driver_get(&driver, &r);

	assert_int_equal(got, m->gotten < m->answered);
	if (got) {
		u32 n = m->answers[m->gotten++];

		assert_int_equal(r.id, m->id_of[n]);
		assert_int_equal(r.status, -(int)n);
		assert_int_equal(r.length, n);
	}
	assert_int_equal(socle_driver_arm(&driver, 1), m->gotten < m->answered);
}

static void explore(unsigned depth)
{
	struct world *w = &worlds[depth];
	size_t bytes = 128 + ring.size * 32;

	visited++;
	assert_int_equal(ring.broken, 0);
	if (depth == STEPS)
		return;
	w->ring = ring;
	w->driver = driver;
	memcpy(w->memory, shared, bytes);
	for (unsigned i = 0; i < 5; i++) {
		struct model *m = &worlds[depth + 1].m;

		*m = w->m;
		ring = w->ring;
		driver = w->driver;
		memcpy(shared, w->memory, bytes);
		if (i == 0)
			step_put(m);
		else if (i == 1)
			step_next(m);
		else if (i < 4)
			step_answer(m, i == 3);
		else
			step_get(m);
		explore(depth + 1);
	}
}

static void every_state_of_small_rings(void **state)
{
	(void)state;
	for (u32 size = 1; size <= 4; size *= 2) {
		board(size, size == 1 ? 0 : ~0u - 1); /* the indices wrap within the steps */
		memset(worlds, 0, sizeof(worlds));
		explore(0);
	}
	assert_int_equal(visited, 3ull * 488281); /* (5^9 - 1) / 4 */
}

/* Every producer that a guest could write, at every filling of the ring, across the wrap. */
static void every_producer(void **state)
{
	(void)state;
	static const u32 starts[] = {0, 1, 0x7ffffffe, ~0u - 3};
	struct socle_request r;

	for (u32 size = 1; size <= 8; size *= 2)
		for (u32 open = 0; open <= size; open++)
			for (unsigned s = 0; s < ARRAY_SIZE(starts); s++)
				for (i64 ahead = -20; ahead <= 20; ahead++) {
					board(size, starts[s] - open);
					for (u32 i = 0; i < open; i++) {
						((struct socle_request *)socle_ring_slot(
						     shared, size, starts[s] - open + i))
						    ->id = i;
						shared->request_producer++;
						assert_int_equal(pv_ring_next(&ring, &r), 1);
					}
					shared->request_producer = (u32)(starts[s] + ahead);
					struct socle_request *next = socle_ring_slot(shared, size, starts[s]);
					next->id = size - 1;
					int got = pv_ring_next(&ring, &r);
					bool fits = ahead >= 0 && ahead <= (i64)size - open;
					assert_int_equal(got, fits && ahead > 0);
					assert_int_equal(ring.broken, fits ? 0 : SOCLE_RING_BROKEN_PRODUCER);
					assert_int_equal(shared->broken, ring.broken);
				}
}

/* The comparison against one in numbers that do not wrap. */
static void every_event_index(void **state)
{
	(void)state;
	for (i64 origin = -40; origin <= 40; origin++)
		for (i64 moved = 0; moved <= 12; moved++)
			for (i64 event = -20; event <= 30; event++)
				assert_int_equal(socle_ring_crossed((u32)(origin + event), (u32)origin,
								    (u32)(origin + moved)),
						 event > 0 && event <= moved);
}

/* ---- hostile guests ---- */

static void put_raw(u32 index, struct socle_request r)
{
	memcpy(socle_ring_slot(shared, ring.size, index), &r, sizeof(r));
	shared->request_producer = index + 1;
}

static void ids_are_checked(void **state)
{
	(void)state;
	struct socle_request r;

	board(8, 0);
	put_raw(0, (struct socle_request){.id = 8});
	assert_int_equal(pv_ring_next(&ring, &r), 0);
	assert_int_equal(shared->broken, SOCLE_RING_BROKEN_ID);
	assert_false(pv_ring_rest(&ring));
	board(8, 0);
	put_raw(0, (struct socle_request){.id = 7});
	put_raw(1, (struct socle_request){.id = 7});
	assert_int_equal(pv_ring_next(&ring, &r), 1);
	assert_int_equal(pv_ring_next(&ring, &r), 0);
	assert_int_equal(ring.broken, SOCLE_RING_BROKEN_ID);
	assert_int_equal(pv_ring_respond(&ring, 7, 0, 0), ERR_FAULT); /* nothing goes to a broken ring */
	assert_false(pv_ring_publish(&ring));
	assert_int_equal(shared->response_producer, 0);
	board(64, 0);
	put_raw(0, (struct socle_request){.id = ~0u});
	assert_int_equal(pv_ring_next(&ring, &r), 0);
	board(64, 0);
	put_raw(0, (struct socle_request){.id = 63});
	assert_int_equal(pv_ring_next(&ring, &r), 1);
	assert_int_equal(pv_ring_respond(&ring, 62, 0, 0), ERR_INVAL);
	assert_int_equal(pv_ring_respond(&ring, 64, 0, 0), ERR_INVAL);
	assert_int_equal(pv_ring_respond(&ring, 63, 0, 0), 0);
}

static void rings_lie_in_ram(void **state)
{
	(void)state;
	ram_init();
	assert_int_equal(pv_ring_init(&ring, &ram, PAGE_SIZE, 0), ERR_INVAL);
	assert_int_equal(pv_ring_init(&ring, &ram, PAGE_SIZE, 3), ERR_INVAL);
	assert_int_equal(pv_ring_init(&ring, &ram, PAGE_SIZE, SOCLE_RING_MAX * 2), ERR_INVAL);
	assert_int_equal(pv_ring_init(&ring, &ram, PAGE_SIZE + 64, 8), ERR_INVAL);
	assert_int_equal(pv_ring_init(&ring, &ram, ~0ull - 127, 8), ERR_INVAL);
	assert_int_equal(pv_ring_init(&ring, &ram, RAM_HOLE * PAGE_SIZE, 8), ERR_FAULT);
	assert_int_equal(pv_ring_init(&ring, &ram, RAM_ROM * PAGE_SIZE, 8), ERR_FAULT);
	/* The last slots would be in the hole. */
	assert_int_equal(pv_ring_init(&ring, &ram, RAM_HOLE * PAGE_SIZE - 128 - 32 * 4, 8), ERR_FAULT);
	assert_int_equal(pv_ring_init(&ring, &ram, RAM_HOLE * PAGE_SIZE - 128 - 32 * 4, 4), 0);
	assert_int_equal(pv_ring_init(&ring, &ram, BASE, SOCLE_RING_MAX), 0);
	pv_ring_fini(&ring);
	assert_int_equal(pv_ring_init(&ring, &ram, RAM_PAGES * PAGE_SIZE, 1), ERR_FAULT);
	assert_int_equal(ram.pinned_pages, 1); /* of the other that began */
}

static int pieces_of(gpa_t address, u32 length, u16 nr, bool to_guest, struct piece *out, u32 max)
{
	struct socle_request r = {.address = address, .length = length, .nr_segments = nr};

	return pv_ring_segments(&ring, &r, to_guest, out, max);
}

static void buffers_are_pointers(void **state)
{
	(void)state;
	struct piece out[SOCLE_RING_SEGMENTS];
	struct socle_segment *list;

	board(8, 0);
	assert_int_equal(pieces_of(5 * PAGE_SIZE + 4000, 200, 0, true, out, 4), 2);
	assert_ptr_equal(out[0].base, ram_page[5] + 4000);
	assert_int_equal(out[0].length, 96);
	assert_ptr_equal(out[1].base, ram_page[6]);
	assert_int_equal(out[1].length, 104);
	list = (struct socle_segment *)(ram_page[9] + PAGE_SIZE - 3 * sizeof(*list));
	list[0] = (struct socle_segment){20 * PAGE_SIZE, 512, 0};
	list[1] = (struct socle_segment){RAM_ROM * PAGE_SIZE + 8, 500, 0};
	list[2] = (struct socle_segment){21 * PAGE_SIZE - 4, 12, 0};
	gpa_t at = 10 * PAGE_SIZE - 3 * sizeof(*list);
	assert_int_equal(pieces_of(at, 1024, 3, false, out, 4), 4);
	assert_ptr_equal(out[1].base, ram_page[RAM_ROM] + 8);
	assert_ptr_equal(out[3].base, ram_page[21]);
	assert_int_equal(out[3].length, 8);
	assert_int_equal(pieces_of(at, 1024, 3, true, out, 4), ERR_FAULT); /* into ROM */
	assert_int_equal(pieces_of(at, 1024, 3, false, out, 3), ERR_TOOLONG);
	assert_int_equal(pieces_of(at, 1025, 3, false, out, 4), ERR_INVAL);
	assert_int_equal(pieces_of(at, 1023, 3, false, out, 4), ERR_INVAL);
	assert_int_equal(pieces_of(at, 1024, 4, false, out, 9), ERR_INVAL); /* the list leaves its page */
	assert_int_equal(pieces_of(at + 8, 1024, 2, false, out, 4), ERR_INVAL);
	assert_int_equal(pieces_of(at, 1024, SOCLE_RING_SEGMENTS + 1, false, out, 4), ERR_TOOLONG);
	assert_int_equal(pieces_of(RAM_HOLE * PAGE_SIZE, 1024, 2, false, out, 4), ERR_FAULT);
	list[1].length = 0;
	assert_int_equal(pieces_of(at, 524, 3, false, out, 4), ERR_INVAL);
	list[1].length = ~0u;
	list[2].length = 1025;
	assert_int_equal(pieces_of(at, 1536, 3, false, out, 4), ERR_INVAL); /* not by the sum of 32 bits */
	assert_int_equal(pieces_of(7, 0, 0, false, out, 4), ERR_INVAL);
	assert_int_equal(pieces_of(0, ~0u, 0, false, out, 4), ERR_TOOLONG);
	assert_int_equal(pieces_of(~0ull - 10, 100, 0, false, out, 4), ERR_FAULT);
	assert_int_equal(pieces_of(RAM_HOLE * PAGE_SIZE - 1, 2, 0, false, out, 4), ERR_FAULT);
	assert_int_equal(pieces_of(1ull << 52, 1, 0, true, out, 4), ERR_FAULT);
	/* What came back in pieces is in flight, the ring is, and nothing that failed (M74, M79). */
	assert_int_equal(ram.pinned_pages, 2 + 4 + 1);
	ram.pinned_limit = 8;
	assert_int_equal(pieces_of(PAGE_SIZE * 5, PAGE_SIZE + 1, 0, false, out, 4), ERR_AGAIN);
	assert_int_equal(ram.pinned_pages, 7);
	assert_int_equal(pieces_of(PAGE_SIZE * 5, PAGE_SIZE, 0, false, out, 4), 1);
	pv_ring_unpin(&ring, out, 1);
	assert_int_equal(pv_ring_init(&ring, &ram, BASE, SOCLE_RING_MAX), ERR_AGAIN);
	assert_int_equal(ram.pinned_pages, 7);
}

/* ---- thresholds ---- */

static void guest_sets_its_threshold(void **state)
{
	(void)state;
	struct socle_request r = {.operation = SOCLE_RING_WRITE};
	struct socle_response answer;
	unsigned told = 0;

	board(16, ~0u - 5);
	for (unsigned i = 0; i < 16; i++)
		socle_driver_put(&driver, &r);
	assert_int_not_equal(socle_driver_push(&driver), 0);
	assert_int_equal(socle_driver_arm(&driver, 8), 0);
	while (pv_ring_next(&ring, &r)) {
		assert_int_equal(pv_ring_respond(&ring, r.id, 0, 0), 0);
		told += pv_ring_publish(&ring);
		assert_int_equal(told, ring.responses >= 8);
	}
	assert_int_equal(ring.responses, 16);
	while (socle_driver_get(&driver, &answer))
		;
	/* Socle is not at rest: nothing to tell it. */
	socle_driver_put(&driver, &r);
	assert_int_equal(socle_driver_push(&driver), 0);
	assert_true(pv_ring_rest(&ring));
	assert_int_equal(pv_ring_next(&ring, &r), 1);
	assert_false(pv_ring_rest(&ring));
	socle_driver_put(&driver, &r);
	assert_int_not_equal(socle_driver_push(&driver), 0);
	assert_int_equal(ring.notifications, 1);
}

/* ---- both sides at once: each sleeps when it may, so that a notification that is lost stops the test ----
 */

#define ROUNDS 40000u

static int doorbell, upcall;

static void sleep_until(int *bell)
{
	while (!__atomic_exchange_n(bell, 0, __ATOMIC_ACQUIRE))
		usleep(1);
}

static void *socle_side(void *opaque)
{
	struct socle_request open[16], r;
	u32 nr_open = 0, served = 0;
	u64 x = 88172645463325252ull;

	(void)opaque;
	while (served < ROUNDS) {
		while (nr_open < 16 && pv_ring_next(&ring, &r))
			open[nr_open++] = r;
		assert_int_equal(ring.broken, 0);
		/* Some, in any order. */
		for (x = x * 6364136223846793005ull + 1; nr_open && (x >> 40) % 4;
		     x = x * 6364136223846793005ull + 1) {
			u32 pick = (u32)(x >> 33) % nr_open;

			assert_int_equal(pv_ring_respond(&ring, open[pick].id, 0, (u32)open[pick].sector), 0);
			open[pick] = open[--nr_open];
			served++;
		}
		if (pv_ring_publish(&ring))
			__atomic_store_n(&upcall, 1, __ATOMIC_RELEASE);
		if (!nr_open && !pv_ring_rest(&ring) && served < ROUNDS)
			sleep_until(&doorbell);
	}
	return NULL;
}

static void both_sides_at_once(void **state)
{
	(void)state;
	pthread_t thread;
	struct socle_response answer;
	u32 made = 0, gotten = 0, number[16];
	bool answered[16] = {false};

	board(16, ~0u - ROUNDS / 2);
	memset(number, 0, sizeof(number));
	alarm(120);
	assert_int_equal(pthread_create(&thread, NULL, socle_side, NULL), 0);
	while (gotten < ROUNDS) {
		for (u32 n = made % 7; made < ROUNDS && n < 7; n++) {
			struct socle_request r = {.operation = SOCLE_RING_SEND, .sector = made};
			int id = socle_driver_put(&driver, &r);

			if (id < 0)
				break;
			answered[id] = false;
			number[id] = made++;
		}
		if (socle_driver_push(&driver))
			__atomic_store_n(&doorbell, 1, __ATOMIC_RELEASE);
		while (socle_driver_get(&driver, &answer)) {
			assert_false(answered[answer.id]);
			answered[answer.id] = true;
			assert_int_equal(answer.length, number[answer.id]);
			gotten++;
		}
		if (driver.nr_free == 0 && !socle_driver_arm(&driver, 1 + made % 3))
			sleep_until(&upcall);
	}
	pthread_join(thread, NULL);
	alarm(0);
	assert_int_equal(ring.requests, ROUNDS);
	assert_true(ring.notifications < ROUNDS); /* not one for each */
}

static int end(void **state)
{
	(void)state;
	ram_free();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_state_of_small_rings), cmocka_unit_test(every_producer),
	    cmocka_unit_test(every_event_index),          cmocka_unit_test(ids_are_checked),
	    cmocka_unit_test(rings_lie_in_ram),           cmocka_unit_test(buffers_are_pointers),
	    cmocka_unit_test(guest_sets_its_threshold),   cmocka_unit_test(both_sides_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, end);
}
