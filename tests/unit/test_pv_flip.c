/* SPDX-License-Identifier: Apache-2.0 */
/* M76: receiving by page flip, between two VMs: contents both ways, what the sender sees of the receiver,
 * when either is told, what is copied instead; large pages. */
#include "pv_flip_board.h"

/* Every length; frames change places, nothing else does. */
static void flipped(void **state)
{
	struct socle_device d;
	u8 want[PAGE_SIZE];

	(void)state;
	assert_int_equal(pv_query(&a->bus, 0, &d), 0);
	assert_int_equal(d.flags, SOCLE_NET_FLIP);
	for (u32 i = 0, n = 14; n <= 1518; n += 94, i++) {
		gpa_t frame = FRAMES + i * PAGE_SIZE, place = ROOMS + i * PAGE_SIZE;
		u64 pages[2] = {a->mem.populated_pages, b->mem.populated_pages};
		hpa_t given, got;

		fill(a, frame, 0x77);
		compose(a, b->address, frame, n, (u8)i);
		memcpy(want, side_at(a, frame, PAGE_SIZE), PAGE_SIZE);
		post(b, place, SOCLE_RING_FLIP | (i & 1 ? SOCLE_RING_CLEAN : 0));
		given = frame_of(a, frame);
		got = frame_of(b, place);
		pages[0] = a->mem.populated_pages;
		pages[1] = b->mem.populated_pages;
		send(a, n, frame, SOCLE_RING_FLIP);
		assert_int_equal(both_answered(a, b, n), SOCLE_RING_FLIPPED);
		assert_int_equal(frame_of(a, frame), got);
		assert_int_equal(frame_of(b, place), given);
		assert_memory_equal(side_at(b, place, PAGE_SIZE), want, PAGE_SIZE);
		/* What the receiver had there is hidden, unless it says that it need not be. */
		page_is(a, frame, 0, i & 1 ? SECRET : 0);
		assert_int_equal(a->mem.populated_pages, pages[0]);
		assert_int_equal(b->mem.populated_pages, pages[1]);
		assert_int_equal(a->mem.pinned_pages, 2);
		assert_int_equal(b->mem.pinned_pages, 2);
	}
}

/* Neither is told before all vCPUs of both have noticed. */
static void told_when_noticed(void **state)
{
	struct socle_response r;

	(void)state;
	for (unsigned late = 0; late < 2; late++) {
		send_to_laggard(late);
		wait_a_while();
		assert_false(answered(a, TX, &r));
		assert_false(answered(b, RX, &r));
		assert_int_equal(a->mem.pinned_pages, 3);
		assert_int_equal(b->mem.pinned_pages, 3);
		side[late].lags = false;
		assert_int_equal(both_answered(a, b, 100), SOCLE_RING_FLIPPED);
	}
	assert_int_equal(a->events[0], 1);
	assert_int_equal(b->events[1], 1);
}

/* A vCPU of the sender that has not noticed writes on: what was checked of the frame is what arrives. */
static void header_is_what_was_checked(void **state)
{
	u8 *stale;

	(void)state;
	compose(a, b->address, FRAMES, 200, 9);
	post(b, ROOMS, SOCLE_RING_FLIP);
	stale = side_at(a, FRAMES, PAGE_SIZE);
	side_lag(a);
	send(a, 200, FRAMES, SOCLE_RING_FLIP);
	memset(stale, 0xee, 80); /* another source address, for one */
	a->lags = false;
	assert_int_equal(both_answered(a, b, 200), SOCLE_RING_FLIPPED);
	const u8 *p = side_at(b, ROOMS, PAGE_SIZE);
	assert_memory_equal(p, b->address, 6);
	assert_memory_equal(p + 6, a->address, 6);
	for (u32 i = 12; i < 200; i++)
		assert_int_equal(p[i], i >= 64 && i < 80 ? 0xee : (u8)(9 + i * 3));
}

/* One of them did not ask, or the frame goes to many: one copy, and each keeps its page. */
static void copied(void **state)
{
	static const struct {
		u8 send, post;
		bool all;
	} rows[] = {{0, SOCLE_RING_FLIP, false}, {SOCLE_RING_FLIP, SOCLE_RING_FLIP, true}};
	static const u8 everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		compose(a, rows[i].all ? everybody : b->address, FRAMES, 300, 5);
		post(b, ROOMS, rows[i].post);
		hpa_t was = frame_of(b, ROOMS);
		send(a, 300, FRAMES, rows[i].send);
		assert_int_equal(both_answered(a, b, 300), 0);
		assert_int_equal(frame_of(b, ROOMS), was);
		assert_memory_equal(side_at(a, FRAMES, 300), side_at(b, ROOMS, 300), 300);
	}
	/* Posted without the flag, smaller. */
	compose(a, b->address, FRAMES, 300, 5);
	put(b, RX, 1518, ROOMS, 0);
	send(a, 300, FRAMES, SOCLE_RING_FLIP);
	assert_int_equal(both_answered(a, b, 300), 0);
	/* To a port that knows no pages. */
	compose(a, peer_address, FRAMES, 300, 5);
	send(a, 300, FRAMES, SOCLE_RING_FLIP);
	assert_int_equal(peer.length, 300);
	assert_int_equal(a->mem.pinned_pages, 2);
}

/* A frame that is copied waits behind one that is flipped. */
static void in_order(void **state)
{
	struct socle_response r;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		compose(a, b->address, FRAMES + i * PAGE_SIZE, 100 + i, 1);
		post(b, ROOMS + i * PAGE_SIZE, SOCLE_RING_FLIP);
	}
	side_lag(b);
	for (unsigned i = 0; i < 4; i++)
		send(a, 100 + i, FRAMES + i * PAGE_SIZE, i & 1 ? 0 : SOCLE_RING_FLIP);
	wait_a_while();
	assert_false(answered(b, RX, &r));
	b->lags = false;
	wait_a_while();
	for (unsigned i = 0; i < 4; i++) {
		assert_true(answered(b, RX, &r));
		assert_int_equal(r.length, 100 + i);
		assert_int_equal(r.flags, i & 1 ? 0 : SOCLE_RING_FLIPPED);
	}
}

/* Two interfaces of one VM: its pages change places among themselves, but not one with itself. */
static void same_memory(void **state)
{
	struct gmem_page p = {.mem = &a->mem, .gpa = FRAMES}, q = {.mem = &a->mem, .gpa = ROOMS};
	struct gmem_tlb tlb;
	void *host;

	(void)state;
	fill(a, FRAMES, 1);
	fill(a, ROOMS, 2);
	gmem_tlb_reset(&tlb);
	assert_int_equal(gmem_pin(&a->mem, &tlb, FRAMES, PAGE_SIZE, true, &host), 0);
	p.host = host;
	assert_int_equal(gmem_exchange(&p, &p), ERR_AGAIN);
	assert_int_equal(gmem_pin(&a->mem, &tlb, ROOMS, PAGE_SIZE, true, &host), 0);
	q.host = host;
	if (gmem_pin_count(&a->mem, p.host) != gmem_pin_count(&a->mem, q.host)) {
		gmem_hold(&a->mem, true);
		assert_int_equal(gmem_exchange(&p, &q), ERR_AGAIN);
		gmem_hold(&a->mem, false);
		assert_int_equal(gmem_exchange(&p, &q), 0);
		page_is(a, FRAMES, 0, 2);
		page_is(a, ROOMS, 0, 1);
	} else {
		assert_int_equal(gmem_exchange(&p, &q), ERR_AGAIN);
	}
	gmem_unpin(&a->mem, p.host);
	gmem_unpin(&a->mem, q.host);
}

/* Large pages are split; when no table can be had, the frame is copied. */
static void large_pages(void **state)
{
	struct gmem_page p, q;
	struct gmem_tlb tlb;
	void *host;

	(void)state;
	sides_create(0, 0);
	side_destroy(b);
	side_create(b, 1, 9, 0, 0);
	struct side *s = b;
	MUST(gmem_add_slot(&s->mem, 2 * PAGE_SIZE_2M, PAGE_SIZE_2M, 0) == 0);
	gmem_tlb_reset(&tlb);
	p = (struct gmem_page){.mem = &a->mem, .gpa = FRAMES};
	q = (struct gmem_page){.mem = &s->mem, .gpa = 2 * PAGE_SIZE_2M + 5 * PAGE_SIZE};
	fill(s, q.gpa, 0x31);
	fill(s, q.gpa + PAGE_SIZE, 0x32);
	fill(a, p.gpa, 0x33);
	assert_int_equal(gmem_pin(&s->mem, &tlb, q.gpa, PAGE_SIZE, true, &host), 0);
	q.host = host;
	gmem_tlb_reset(&tlb);
	assert_int_equal(gmem_pin(&a->mem, &tlb, p.gpa, PAGE_SIZE, false, &host), 0);
	p.host = host;
	struct ept_leaf leaf;
	assert_int_equal(ept_lookup(&s->ept, q.gpa, &leaf), 0);
	assert_int_equal(leaf.size, PAGE_SIZE_2M);
	shim_fail_after = 0;
	assert_int_equal(gmem_exchange(&p, &q), ERR_NOMEM);
	shim_fail_after = -1;
	u64 gens[] = {a->ept.flush_gen, s->ept.flush_gen};
	assert_int_equal(gmem_exchange(&p, &q), 0);
	assert_int_equal(a->ept.flush_gen, gens[0] + 1);
	assert_int_equal(s->ept.flush_gen, gens[1] + 1);
	assert_int_equal(ept_lookup(&s->ept, q.gpa, &leaf), 0);
	assert_int_equal(leaf.size, PAGE_SIZE);
	assert_int_equal(leaf.perms, EPT_RWX);
	assert_true(leaf.dirty && leaf.accessed);
	page_is(s, q.gpa, 0, 0x33);
	page_is(s, q.gpa + PAGE_SIZE, 0, 0x32);
	page_is(a, p.gpa, 0, 0x31);
	/* Back: what was split is one page again. */
	assert_int_equal(gmem_exchange(&p, &q), 0);
	gmem_unpin(&a->mem, p.host);
	gmem_unpin(&s->mem, q.host);
	assert_true(ept_merge(&s->ept, 2 * PAGE_SIZE_2M, PAGE_SIZE_2M));
	sides_destroy();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(flipped, setup, teardown),
	    cmocka_unit_test_setup_teardown(told_when_noticed, setup, teardown),
	    cmocka_unit_test_setup_teardown(header_is_what_was_checked, setup, teardown),
	    cmocka_unit_test_setup_teardown(copied, setup, teardown),
	    cmocka_unit_test_setup_teardown(in_order, setup, teardown),
	    cmocka_unit_test_setup_teardown(same_memory, setup, teardown),
	    cmocka_unit_test(large_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
