/* SPDX-License-Identifier: Apache-2.0 */
/* M67, M76: guests that make trouble with page flips: pages that are pinned, posted twice, rings, written by
 * other CPUs meanwhile; requests that are wrong; rings closed and VMs destroyed in the middle. */
#include <pthread.h>

#include "devices/pv_net_internal.h"
#include "pv_flip_board.h"

static void bad_requests(void **state)
{
	static const struct {
		unsigned ring;
		u8 flags;
		u32 length;
		gpa_t gpa;
		int status;
	} rows[] = {
	    {TX, SOCLE_RING_FLIP, 100, FRAMES + 16, SOCLE_EINVAL},
	    {TX, SOCLE_RING_FLIP, 1519, FRAMES, SOCLE_E2BIG},
	    {TX, SOCLE_RING_FLIP | SOCLE_RING_CLEAN, 100, FRAMES, SOCLE_EINVAL},
	    {TX, SOCLE_RING_CLEAN, 100, FRAMES, SOCLE_EINVAL},
	    {TX, SOCLE_RING_FLIP | SOCLE_RING_BARRIER, 100, FRAMES, SOCLE_EINVAL},
	    {TX, SOCLE_RING_FLIP, 100, SIDE_RAM + PAGE_SIZE, SOCLE_EFAULT},
	    {RX, SOCLE_RING_FLIP, 1518, ROOMS, SOCLE_EINVAL},
	    {RX, SOCLE_RING_FLIP, PAGE_SIZE, ROOMS + 64, SOCLE_EINVAL},
	    {RX, SOCLE_RING_CLEAN, 1500, ROOMS, SOCLE_EINVAL},
	    {RX, SOCLE_RING_FLIP, PAGE_SIZE, SIDE_ROM, SOCLE_EFAULT},
	    {RX, 0, PAGE_SIZE, ROOMS, SOCLE_E2BIG},
	};
	struct socle_response r;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		put(a, rows[i].ring, rows[i].length, rows[i].gpa, rows[i].flags);
		assert_int_equal(pv_doorbell(&a->bus, 0, TX), 0);
		peer_send(a->address, 60);
		assert_true(answered(a, rows[i].ring, &r));
		assert_int_equal(r.status, rows[i].status);
	}
	/* Rings that were opened without it know no such flags. */
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pv_close(&a->bus, 0, i), 0);
	side_open(a, TX, RING_OF(TX), SIZE);
	side_open(a, RX, RING_OF(RX), SIZE);
	put(a, TX, 100, FRAMES, SOCLE_RING_FLIP);
	put(a, RX, PAGE_SIZE, ROOMS, SOCLE_RING_FLIP);
	assert_int_equal(pv_doorbell(&a->bus, 0, TX), 0);
	peer_send(a->address, 60);
	for (unsigned i = 0; i < 2; i++) {
		assert_true(answered(a, i, &r));
		assert_int_equal(r.status, SOCLE_EINVAL);
	}
	assert_int_equal(pv_open(&b->bus, 0, TX, RING_OF(TX), SIZE | (u64)1 << 33, 0), ERR_EXIST);
	assert_int_equal(pv_close(&b->bus, 0, TX), 0);
	assert_int_equal(pv_open(&b->bus, 0, TX, RING_OF(TX), SIZE | (u64)1 << 33, 0), ERR_INVAL);
}

static u64 tick; /* for each look at the clock */
/* Another vCPU of this side pins the page of a frame, or of a buffer, as soon as the buffer is at hand. */
static struct side *pins_too;

u64 tsc_now(void)
{
	struct side *s = pins_too;

	if (s && *gmem_pin_count(&b->mem, side_at(b, ROOMS, 1)) == 1) {
		++*gmem_pin_count(&s->mem, side_at(s, s == a ? FRAMES : ROOMS, 1));
		pins_too = NULL;
	}
	return shim_tsc += tick;
}

static struct sched_group group_b;
static u64 b_paid;

static void pay(struct sched_group *g, u64 ticks)
{
	b_paid += g == &group_b ? ticks : 0;
}

/* M42: who posts what is no buffer pays for the looks at it, whether the frame gets one in the end or not;
 * and for nothing else. */
static void refused_buffers(void **state)
{
	struct socle_response r;

	(void)state;
	((struct pv_net *)b->nic)->group = &group_b;
	fake_on_charge = pay;
	for (unsigned way = 0; way < 2; way++) {
		u8 flags = way ? SOCLE_RING_FLIP : 0;
		u32 length = way ? PAGE_SIZE : 1518;

		for (unsigned bad = 0; bad < 3; bad++) {
			compose(a, b->address, FRAMES, 100, 1);
			for (unsigned i = 0; i < bad; i++)
				put(b, RX, length, SIDE_RAM + PAGE_SIZE, flags);
			put(b, RX, length, ROOMS, flags);
			b_paid = 0;
			tick = 100;
			send(a, 100, FRAMES, flags);
			tick = 0;
			assert_int_equal(b_paid, bad ? 100 : 0);
			wait_a_while();
			for (unsigned i = 0; i < bad; i++)
				assert_true(answered(b, RX, &r) && r.status == SOCLE_EFAULT);
			assert_true(answered(b, RX, &r) && r.status == 0 && r.length == 100);
			assert_true(answered(a, TX, &r));
		}
	}
	fake_on_charge = NULL;
}

/* What is in flight for something else, too, is copied: the pages stay where they are. */
static void pinned(void **state)
{
	struct socle_response r;

	(void)state;
	/* The same page posted twice; then another request has it. */
	compose(a, b->address, FRAMES, 100, 1);
	post(b, ROOMS, SOCLE_RING_FLIP);
	send(a, 100, FRAMES, SOCLE_RING_FLIP);
	assert_int_equal(both_answered(a, b, 100), SOCLE_RING_FLIPPED);
	compose(a, b->address, FRAMES, 100, 1);
	post(b, ROOMS, SOCLE_RING_FLIP);
	post(b, ROOMS, SOCLE_RING_FLIP);
	side_lag(b);
	send(a, 100, FRAMES, SOCLE_RING_FLIP); /* the second buffer is not looked at yet */
	compose(a, b->address, FRAMES + PAGE_SIZE, 101, 1);
	send(a, 101, FRAMES + PAGE_SIZE, SOCLE_RING_FLIP);
	b->lags = false;
	wait_a_while();
	assert_true(answered(b, RX, &r));
	assert_int_equal(r.flags, SOCLE_RING_FLIPPED);
	assert_true(answered(b, RX, &r));
	assert_int_equal(r.flags, 0);
	assert_int_equal(r.length, 101);
	while (answered(a, TX, &r))
		;
	/* The page of a ring, at either end: it stays a ring. */
	hpa_t ring = frame_of(b, RING_OF(RX));
	post(b, ROOMS + PAGE_SIZE, 0); /* too long without the flag: refused */
	put(b, RX, PAGE_SIZE, RING_OF(TX), SOCLE_RING_FLIP);
	compose(a, b->address, FRAMES, 100, 1);
	send(a, 100, FRAMES, SOCLE_RING_FLIP);
	wait_a_while();
	assert_int_equal(frame_of(b, RING_OF(RX)), ring);
	assert_true(answered(b, RX, &r));
	assert_int_equal(r.status, SOCLE_E2BIG);
	assert_true(answered(b, RX, &r));
	assert_int_equal(r.flags, 0);
	post(b, ROOMS + 2 * PAGE_SIZE, SOCLE_RING_FLIP);
	ring = frame_of(a, RING_OF(TX));
	send(a, 100, RING_OF(TX), SOCLE_RING_FLIP); /* no frame of its own address: spoofed, dropped */
	send(a, 100, FRAMES, SOCLE_RING_FLIP);
	wait_a_while();
	assert_int_equal(frame_of(a, RING_OF(TX)), ring);
}

/* M42: a page that cannot move is not cleared first. Where it turns out only then, the clearing is at the
 * expense of the receiver, whose buffer it is; but not where it is the sender's page that stays. */
static void paid_for_nothing(void **state)
{
	(void)state;
	((struct pv_net *)b->nic)->group = &group_b;
	fake_on_charge = pay;
	for (unsigned way = 0; way < 6; way++) {
		struct side *s = way & 1 ? a : b;
		const gpa_t page = way & 1 ? FRAMES : ROOMS;
		u32 *count = gmem_pin_count(&s->mem, side_at(s, page, 1));

		fill(b, ROOMS, SECRET);
		compose(a, b->address, FRAMES, 100, 1);
		post(b, ROOMS, SOCLE_RING_FLIP);
		s->mem.lent = way / 2 == 0;
		*count += way / 2 == 1;
		pins_too = way / 2 == 2 ? s : NULL;
		b_paid = 0;
		tick = 100;
		send(a, 100, FRAMES, SOCLE_RING_FLIP);
		tick = 0;
		assert_null(pins_too);
		assert_int_equal(both_answered(a, b, 100), 0);
		assert_int_equal(b_paid, way == 4 ? 100 : 0);
		page_is(b, ROOMS, 100, way / 2 == 2 ? 0 : SECRET);
		s->mem.lent = false;
		*count -= way / 2 != 0;
	}
	fake_on_charge = NULL;
}

/* M42: a sender's page that its guest may not write does not move, and nobody's is cleared for it. */
static void from_a_read_only_page(void **state)
{
	hpa_t was[2];

	(void)state;
	((struct pv_net *)b->nic)->group = &group_b;
	fake_on_charge = pay;
	for (unsigned way = 0; way < 2; way++) {
		compose(a, b->address, SIDE_ROM, 100, 1);
		post(b, ROOMS, SOCLE_RING_FLIP | (way ? SOCLE_RING_CLEAN : 0));
		was[0] = frame_of(a, SIDE_ROM);
		was[1] = frame_of(b, ROOMS);
		b_paid = 0;
		tick = 100;
		send(a, 100, SIDE_ROM, SOCLE_RING_FLIP);
		tick = 0;
		assert_int_equal(both_answered(a, b, 100), 0);
		assert_int_equal(b_paid, 0);
		assert_memory_equal(side_at(a, SIDE_ROM, 100), side_at(b, ROOMS, 100), 100);
		page_is(b, ROOMS, 100, SECRET);
		assert_int_equal(frame_of(a, SIDE_ROM), was[0]);
		assert_int_equal(frame_of(b, ROOMS), was[1]);
	}
	fake_on_charge = NULL;
}

/* M42: no memory for the table that a large page wants to be split: whose page it is has had the clearing. */
static void no_table(void **state)
{
	(void)state;
	for (unsigned large = 0; large < 2; large++) {
		struct ept_leaf leaf;

		sides_create(NET_ANTI_SPOOF, 0);
		side_destroy(&side[large]);
		side_create(&side[large], large, 9, NET_ANTI_SPOOF, 0);
		open_all(SOCLE_RING_OPEN_FLIP);
		((struct pv_net *)b->nic)->group = &group_b;
		compose(a, b->address, FRAMES, 100, 1);
		post(b, ROOMS, SOCLE_RING_FLIP);
		assert_int_equal(ept_lookup(&side[large].ept, large ? ROOMS : FRAMES, &leaf), 0);
		assert_int_equal(leaf.size, PAGE_SIZE_2M);
		fake_on_charge = pay;
		b_paid = 0;
		tick = 100;
		shim_fail_after = 0;
		send(a, 100, FRAMES, SOCLE_RING_FLIP);
		shim_fail_after = -1;
		tick = 0;
		fake_on_charge = NULL;
		assert_int_equal(both_answered(a, b, 100), 0);
		assert_int_equal(b_paid, large ? 100 : 0);
		sides_destroy();
	}
}

/* VMs with memory that is used without pins. */
static void lent(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		gmem_lend(&side[!i].mem);
		compose(a, b->address, FRAMES, 100, 1);
		post(b, ROOMS, SOCLE_RING_FLIP);
		send(a, 100, FRAMES, SOCLE_RING_FLIP);
		assert_int_equal(both_answered(a, b, 100), 0);
		side[!i].mem.lent = false;
	}
}

/* What a guest touches in the middle is its own new page, whatever became of it. */
static void closing(void **state)
{
	struct socle_response r;

	(void)state;
	for (unsigned late = 0; late < 2; late++) {
		send_to_laggard(late);
		/* Both want to close, and have to wait for the one that lags. */
		assert_int_equal(pv_close(&a->bus, 0, TX), ERR_AGAIN);
		assert_int_equal(pv_close(&b->bus, 0, RX), ERR_AGAIN);
		a->events[0] = b->events[1] = 0;
		wait_a_while();
		assert_int_equal(pv_close(&a->bus, 0, TX), ERR_AGAIN);
		assert_int_equal(pv_close(&b->bus, 0, RX), ERR_AGAIN);
		side[late].lags = false;
		wait_a_while();
		assert_int_equal(a->events[0], 1);
		assert_int_equal(b->events[1], 1);
		assert_int_equal(pv_close(&a->bus, 0, TX), 0);
		assert_int_equal(pv_close(&b->bus, 0, RX), 0);
		assert_false(answered(a, TX, &r));
		assert_false(answered(b, RX, &r));
		assert_int_equal(a->mem.pinned_pages, 1);
		assert_int_equal(b->mem.pinned_pages, 1);
		side_open(a, TX, RING_OF(TX), SIZE | SOCLE_RING_OPEN_FLIP);
		side_open(b, RX, RING_OF(RX), SIZE | SOCLE_RING_OPEN_FLIP);
	}
}

/* Who waits here waits for ever: no timer runs, and no vCPU that has its place on the same CPU. */
void cpu_poll_interrupts(void)
{
	assert_true(++shim_polls < 10000);
}

/* The other VM goes on, and time passes for it. */
static unsigned wait_until_quiet(struct side *s)
{
	unsigned asked = 0;

	for (; !pv_net_nic.quiet(s->nic); asked++) {
		assert_true(asked < 100);
		fake_run_until(shim_tsc + ns_to_tsc(100000));
		if (asked > 3)
			side[0].lags = side[1].lags = false;
	}
	return asked;
}

/* Either VM ends in the middle, with its vCPUs stopped wherever they were; the other one lags, too, for a
 * while. */
static void destroyed(void **state)
{
	struct socle_response r;

	(void)state;
	for (unsigned dies = 0; dies < 2; dies++)
		for (unsigned late = 0; late < 3; late++) {
			setup(NULL);
			compose(a, b->address, FRAMES, 100, 1);
			post(b, ROOMS, SOCLE_RING_FLIP);
			for (unsigned i = 0; i < 2; i++)
				if (late == i || late == 2)
					side_lag(&side[i]);
			send(a, 100, FRAMES, SOCLE_RING_FLIP);
			/* Its own vCPUs have stopped; what the other's have not seen has to wait. */
			unsigned asked = wait_until_quiet(&side[dies]);
			assert_true(asked > 0 || (dies && late == 1));
			shim_polls = 0;
			side_destroy(&side[dies]);
			assert_in_range(shim_polls, 0, 1);
			wait_a_while();
			assert_true(answered(&side[!dies], dies ? TX : RX, &r));
			assert_int_equal(r.flags, SOCLE_RING_FLIPPED);
			if (dies)
				page_is(a, FRAMES, 0, 0);
			else
				assert_memory_equal(side_at(b, ROOMS, 6), b->address, 6);
			teardown(NULL);
		}
}

/* More than the receiver has places for: what is too much is dropped, and all comes back. */
static void many(void **state)
{
	struct socle_response r;
	unsigned sent = 0, got = 0, flips = 0;

	(void)state;
	for (unsigned round = 0; round < 40; round++) {
		for (unsigned i = 0; i < 16; i++) {
			gpa_t at = FRAMES + i * PAGE_SIZE;

			compose(a, b->address, at, 60 + i, (u8)round);
			put(b, RX, PAGE_SIZE, ROOMS + i * PAGE_SIZE, SOCLE_RING_FLIP);
			put(a, TX, 60 + i, at, SOCLE_RING_FLIP);
		}
		if (round % 3 == 1)
			side_lag(b);
		assert_int_equal(pv_doorbell(&a->bus, 0, TX), 0);
		wait_a_while();
		b->lags = false;
		wait_a_while();
		for (unsigned i = 0; answered(b, RX, &r); i++, got++) {
			assert_int_equal(r.length, 60 + i);
			flips += r.flags;
		}
		while (answered(a, TX, &r))
			sent++;
	}
	assert_int_equal(sent, 640);
	assert_int_equal(got, 640);
	assert_true(flips > 500); /* some share a count of pins */
}

/* ---- a vCPU that writes while pages change: every word it writes is in its own page, old or new ---- */
#define WRITES 200000u
static bool writing, enough; /* atomic */
static unsigned written;

static void *writer(void *opaque)
{
	struct gmem_tlb tlb;

	(void)opaque;
	gmem_tlb_reset(&tlb);
	for (u32 i = 0; i < WRITES || !__atomic_load_n(&enough, __ATOMIC_RELAXED); i++) {
		void *p;

		if (gmem_pin(&a->mem, &tlb, FRAMES, PAGE_SIZE, true, &p))
			continue;
		*(volatile u8 *)p = 0xaa;
		assert_true(__atomic_load_n((u8 *)p + 8, __ATOMIC_RELAXED) == 0xaa);
		gmem_unpin(&a->mem, p);
		written++;
	}
	__atomic_store_n(&writing, false, __ATOMIC_RELEASE);
	return NULL;
}

/* The page that a has is marked by 0xaa at byte 8, that of b by 0xbb; pinned, neither changes under anybody.
 */
static void while_another_pins(void **state)
{
	struct gmem_tlb tlb[2];
	unsigned done = 0, refused = 0;
	pthread_t thread;

	(void)state;
	gmem_tlb_reset(&tlb[0]);
	gmem_tlb_reset(&tlb[1]);
	fill(a, FRAMES, 0xaa);
	fill(b, ROOMS, 0xbb);
	writing = true;
	pthread_create(&thread, NULL, writer, NULL);
	while (__atomic_load_n(&writing, __ATOMIC_ACQUIRE)) {
		struct gmem_page p = {.mem = &a->mem, .gpa = FRAMES}, q = {.mem = &b->mem, .gpa = ROOMS};
		void *host;

		assert_int_equal(gmem_pin(&a->mem, &tlb[0], FRAMES, PAGE_SIZE, true, &host), 0);
		p.host = host;
		assert_int_equal(gmem_pin(&b->mem, &tlb[1], ROOMS, PAGE_SIZE, true, &host), 0);
		q.host = host;
		/* The marks go with the places: set before, as long as both are held by us alone they are
		 * right at the next look; a writer that pins meanwhile makes the exchange fail. */
		__atomic_store_n(q.host + 8, 0xaa, __ATOMIC_SEQ_CST);
		if (gmem_exchange(&p, &q) == 0)
			done++;
		else
			refused++;
		__atomic_store_n(&enough, done > 10, __ATOMIC_RELAXED);
		__atomic_store_n(q.host + 8, 0xbb, __ATOMIC_SEQ_CST);
		gmem_unpin(&a->mem, p.host);
		gmem_unpin(&b->mem, q.host);
	}
	pthread_join(thread, NULL);
	assert_true(done > 10);
	print_message("%u exchanges, %u refused, %u writes\n", done, refused, written);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(bad_requests, setup, teardown),
	    cmocka_unit_test_setup_teardown(pinned, setup, teardown),
	    cmocka_unit_test_setup_teardown(refused_buffers, setup, teardown),
	    cmocka_unit_test_setup_teardown(paid_for_nothing, setup, teardown),
	    cmocka_unit_test_setup_teardown(from_a_read_only_page, setup, teardown),
	    cmocka_unit_test(no_table),
	    cmocka_unit_test_setup_teardown(lent, setup, teardown),
	    cmocka_unit_test_setup_teardown(closing, setup, teardown),
	    cmocka_unit_test(destroyed),
	    cmocka_unit_test_setup_teardown(many, setup, teardown),
	    cmocka_unit_test_setup_teardown(while_another_pins, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
