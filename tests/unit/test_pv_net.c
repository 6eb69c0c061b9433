/* SPDX-License-Identifier: Apache-2.0 */
/* A network interface behind Socle rings, on a bridge with a peer: frames both ways by address, thresholds,
 * what guests do wrong, closing with frames on their way (M67, M70, M73, M74, M77, M84). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "devices/nic.h"
#include "fake_ringmem.h"
#include "fake_timer.h"
#include "guest.h"

#define SIZE 16u
#define EVENT 9u
#define DATA 8u

static struct pv_bus bus;
static struct bridge bridge;
static void *nic;
static struct socle_driver tx, rx;
static unsigned events[2];
static const u8 own[6] = {2, 0, 0, 0, 0, 0x11}, other[6] = {2, 0, 0, 0, 0, 0x22};

struct gmem *guest_mem(struct guest *g)
{
	(void)g;
	return &ram;
}

const char *guest_name(const struct guest *g)
{
	(void)g;
	return "test";
}

/* Nothing is flipped here: see test_pv_flip.c. */
u64 guest_flush_seen(const struct guest *g)
{
	(void)g;
	return ~(u64)0;
}

int gmem_exchange(struct gmem_page *a, struct gmem_page *b)
{
	(void)a, (void)b;
	return ERR_AGAIN;
}

static void event(void *opaque, u32 number)
{
	assert_ptr_equal(opaque, &bus);
	assert_in_range(number, EVENT, EVENT + 1);
	events[number - EVENT]++;
}

/* ---- the peer keeps what it gets ---- */
static struct {
	struct net_port port;
	u8 bytes[2048];
	u32 length;
	unsigned frames, completed;
	struct net_frame frame;
	struct piece piece;
} peer;

static unsigned peer_room(struct net_port *p, u32 length, struct piece *pieces)
{
	(void)p, (void)length;
	pieces[0] = (struct piece){peer.bytes, sizeof(peer.bytes)};
	return 1;
}

static void peer_received(struct net_port *p, u32 length, const struct net_offload *o)
{
	(void)p, (void)o;
	peer.length = length;
	peer.frames++;
}

static void peer_complete(struct net_frame *f, bool delivered)
{
	(void)f, (void)delivered;
	peer.completed++;
}

static void peer_send(u8 *bytes, u32 length)
{
	memcpy(bytes, own, 6);
	memcpy(bytes + 6, other, 6);
	peer.piece = (struct piece){bytes, length};
	peer.frame = (struct net_frame){
	    .pieces = &peer.piece, .nr_pieces = 1, .length = length, .complete = peer_complete};
	net_send(&peer.port, &peer.frame);
	bridge_run(&bridge);
}

/* ---- the board ---- */
static void open_rings(void)
{
	for (unsigned i = 0; i < 2; i++) {
		memset(ram_page[1 + i], 0, PAGE_SIZE);
		assert_int_equal(pv_open(&bus, 0, i, (1 + i) * PAGE_SIZE, SIZE, EVENT + i), 0);
		socle_driver_init(i ? &rx : &tx, (struct socle_ring *)ram_page[1 + i], SIZE);
	}
}

static void board(u64 rate)
{
	static const struct net_port_ops ops = {.room = peer_room, .received = peer_received};
	struct nic_setup setup = {.port = {.bridge = &bridge, .flags = NET_ANTI_SPOOF, .rate = rate},
				  .pv = &bus,
				  .id = "net1",
				  .event = event,
				  .opaque = &bus,
				  .polled = shim_polling};
	struct bridge_nic peer_nic = {.bridge = &bridge};

	shim_tsc = 1000;
	ram_init();
	memset(&bus, 0, sizeof(bus));
	memset(&peer, 0, sizeof(peer));
	memset(events, 0, sizeof(events));
	bridge_init(&bridge, 1);
	memcpy(setup.port.address, own, 6);
	memcpy(peer_nic.address, other, 6);
	assert_int_equal(bridge_join(&peer_nic, &peer.port, &ops), 0);
	nic = pv_net_nic.create((struct guest *)&bus, NULL, 0, &setup);
	assert_non_null(nic);
	open_rings();
}

static void off(void)
{
	pv_net_nic.destroy(nic);
	bridge_leave(&bridge, &peer.port);
	bridge_fini(&bridge);
	assert_int_equal(fake_timers_armed(), 0);
	assert_int_equal(ram.pinned_pages, 0);
	ram_free();
}

static int put(struct socle_driver *d, u8 op, u32 length, gpa_t at)
{
	const struct socle_request r = {.operation = op, .length = length, .address = at};

	return socle_driver_put(d, &r);
}

static void frame(gpa_t at, u32 length, u8 seed)
{
	for (u32 i = 0; i < length; i++)
		*(u8 *)gmem_ptr(&ram, at + i, 1) = i < 6 ? other[i] : i < 12 ? own[i - 6] : (u8)(seed + i);
}

static void ring_tx(void)
{
	if (socle_driver_push(&tx))
		assert_int_equal(pv_doorbell(&bus, 0, 0), 0);
}

static int status_of(struct socle_driver *d, u32 *length)
{
	struct socle_response r;

	assert_int_equal(socle_driver_get(d, &r), 1);
	if (length)
		*length = r.length;
	return r.status;
}

static void what_it_is(void **state)
{
	struct socle_device d;

	(void)state;
	board(0);
	assert_int_equal(pv_query(&bus, 0, &d), 0);
	assert_int_equal(d.kind, SOCLE_DEVICE_NETWORK);
	assert_int_equal(d.nr_rings, 2);
	assert_int_equal(d.max_length, 1518);
	assert_memory_equal(d.mac, own, 6);
	assert_string_equal(d.name, "net1");
	assert_int_equal(pv_open(&bus, 0, 2, PAGE_SIZE, SIZE, 0), ERR_NOENT);
	assert_int_equal(pv_open(&bus, 0, 0, PAGE_SIZE, SIZE, 0), ERR_EXIST);
	assert_int_equal(pv_doorbell(&bus, 0, 1), 0);
	assert_true(pv_net_nic.usage(nic) > 0);
	off();
}

/* Every length, across pages; told at the threshold. */
static void sending(void **state)
{
	(void)state;
	board(0);
	for (u32 n = 14; n <= 1518; n += 47) {
		gpa_t at = (DATA + 1) * PAGE_SIZE - n / 2;

		frame(at, n, (u8)n);
		put(&tx, SOCLE_RING_SEND, n, at);
		ring_tx();
		assert_int_equal(status_of(&tx, NULL), 0);
		assert_int_equal(peer.length, n);
		for (u32 i = 12; i < n; i++)
			assert_int_equal(peer.bytes[i], (u8)(n + i));
		assert_int_equal(ram.pinned_pages, 2);
	}
	assert_int_equal(peer.frames, 33);
	events[0] = 0;
	socle_driver_arm(&tx, 8);
	for (unsigned i = 0; i < 8; i++)
		put(&tx, SOCLE_RING_SEND, 60, DATA * PAGE_SIZE);
	ring_tx();
	assert_int_equal(events[0], 1);
	assert_int_equal(events[1], 0);
	off();
}

static void receiving(void **state)
{
	static u8 bytes[1518];
	u32 length;

	(void)state;
	board(0);
	peer_send(bytes, 100); /* there is no buffer */
	assert_int_equal(peer.completed, 1);
	for (unsigned i = 0; i < 4; i++)
		put(&rx, SOCLE_RING_RECEIVE, 600 + i * 300, (DATA + i) * PAGE_SIZE + 3800);
	socle_driver_push(&rx);
	socle_driver_arm(&rx, 2);
	for (u32 i = 0; i < sizeof(bytes); i++)
		bytes[i] = (u8)(i * 3);
	peer_send(bytes, 600);
	assert_int_equal(events[1], 0);
	peer_send(bytes, 901); /* too much for the next, which stays */
	peer_send(bytes, 900);
	assert_int_equal(events[1], 1);
	peer_send(bytes, 1200);
	peer_send(bytes, 1500);
	peer_send(bytes, 60);
	for (u32 i = 0; i < 4; i++) {
		assert_int_equal(status_of(&rx, &length), 0);
		assert_int_equal(length, 600 + i * 300);
		for (u32 k = 0; k < length; k++)
			assert_int_equal(*(u8 *)gmem_ptr(&ram, (DATA + i) * PAGE_SIZE + 3800 + k, 1),
					 bytes[k]);
	}
	assert_int_equal(ram.pinned_pages, 2);
	assert_int_equal(peer.completed, 7);
	off();
}

static void bad_requests(void **state)
{
	static const struct {
		u8 op;
		u32 length;
		gpa_t at;
		int status[2]; /* of a frame, of a buffer */
	} rows[] = {
	    {SOCLE_RING_READ, 512, DATA * PAGE_SIZE, {SOCLE_ENOTSUP, SOCLE_ENOTSUP}},
	    {0, 0, DATA * PAGE_SIZE, {SOCLE_EINVAL, SOCLE_EINVAL}},
	    {0, 1519, DATA * PAGE_SIZE, {SOCLE_E2BIG, SOCLE_E2BIG}},
	    {0, ~0u, DATA * PAGE_SIZE, {SOCLE_E2BIG, SOCLE_E2BIG}},
	    {0, 100, RAM_HOLE * PAGE_SIZE - 50, {SOCLE_EFAULT, SOCLE_EFAULT}},
	    {0, 100, ~0ull - 20, {SOCLE_EFAULT, SOCLE_EFAULT}},
	    {0, 100, RAM_ROM * PAGE_SIZE, {0, SOCLE_EFAULT}},
	};
	static u8 bytes[64];

	(void)state;
	board(0);
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		put(&tx, rows[i].op ? rows[i].op : SOCLE_RING_SEND, rows[i].length, rows[i].at);
		ring_tx();
		assert_int_equal(status_of(&tx, NULL), rows[i].status[0]);
		put(&rx, rows[i].op ? rows[i].op : SOCLE_RING_RECEIVE, rows[i].length, rows[i].at);
	}
	socle_driver_push(&rx);
	peer_send(bytes, 60);
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(status_of(&rx, NULL), rows[i].status[1]);
	assert_int_equal(ram.pinned_pages, 2);
	/* Rings that break, each by itself. */
	tx.ring->request_producer += 99;
	assert_int_equal(pv_doorbell(&bus, 0, 0), 0);
	assert_int_equal(tx.ring->broken, SOCLE_RING_BROKEN_PRODUCER);
	assert_int_equal(rx.ring->broken, 0);
	rx.ring->request_producer += 99;
	events[1] = 0;
	peer_send(bytes, 60);
	peer_send(bytes, 60);
	assert_int_equal(rx.ring->broken, SOCLE_RING_BROKEN_PRODUCER);
	assert_int_equal(events[1], 1);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pv_close(&bus, 0, i), 0);
	assert_int_equal(ram.pinned_pages, 0);
	peer_send(bytes, 60);
	off();
}

/* Frames that wait for their rate, and a buffer that waits for a frame. */
static void closing(void **state)
{
	struct socle_response r;

	(void)state;
	board(1000);
	put(&rx, SOCLE_RING_RECEIVE, 100, DATA * PAGE_SIZE);
	put(&rx, SOCLE_RING_RECEIVE, 100, DATA * PAGE_SIZE);
	socle_driver_push(&rx);
	frame(DATA * PAGE_SIZE, 1500, 1);
	for (unsigned round = 0; round < 8; round++) {
		for (unsigned i = 0; i < SIZE; i++)
			put(&tx, SOCLE_RING_SEND, 1500, DATA * PAGE_SIZE);
		ring_tx();
		while (socle_driver_get(&tx, &r))
			;
	}
	assert_true(tx.ring->request_producer - tx.ring->response_producer > 0); /* they wait in the ring */
	assert_true(peer.frames > 40 && peer.frames < 100);                      /* what may be sent ahead */
	u32 answered = tx.ring->response_producer;
	peer_send(peer.bytes, 60);
	assert_int_equal(pv_close(&bus, 0, 0), 0);
	assert_int_equal(tx.ring->response_producer, answered);
	assert_int_equal(pv_doorbell(&bus, 0, 0), ERR_NOENT);
	assert_int_equal(pv_close(&bus, 0, 1), 0);
	assert_int_equal(pv_close(&bus, 0, 1), ERR_NOENT);
	assert_int_equal(ram.pinned_pages, 0);
	open_rings();
	pv_net_nic.reset(nic);
	assert_int_equal(pv_doorbell(&bus, 0, 1), ERR_NOENT);
	open_rings();
	off();
}

static unsigned looks; /* at the clock, as who runs the switch does */

u64 tsc_now(void)
{
	looks++;
	return shim_tsc;
}

static void look(void)
{
	assert_false(shim_poller->poll(shim_poller->opaque)); /* the bridge is paid, not the look */
}

static void nothing_there(void)
{
	unsigned before = looks, frames = peer.frames;

	look();
	assert_int_equal(looks, before);
	assert_int_equal(peer.frames, frames);
}

/* By a CPU that polls: the driver has nothing to tell of, from the first frame on. A ring that is broken is
 * noticed there, and said once. */
static void polled(void **state)
{
	(void)state;
	shim_polling = 1;
	board(0);
	assert_non_null(shim_poller);
	nothing_there();
	for (unsigned i = 0; i < 5 * SIZE; i++) {
		frame(DATA * PAGE_SIZE, 60 + i, (u8)i);
		put(&tx, SOCLE_RING_SEND, 60 + i, DATA * PAGE_SIZE);
		assert_false(socle_driver_push(&tx));
		assert_int_equal(peer.frames, i);
		look();
		assert_int_equal(peer.frames, i + 1);
		assert_memory_equal(peer.bytes, ram_page[DATA], 60 + i);
		assert_int_equal(status_of(&tx, NULL), 0);
		nothing_there();
	}
	put(&tx, SOCLE_RING_SEND, 60, DATA * PAGE_SIZE);
	(void)socle_driver_push(&tx);
	assert_int_equal(pv_close(&bus, 0, 0), 0);
	nothing_there();
	assert_int_equal(pv_close(&bus, 0, 1), 0);
	open_rings();
	events[0] = 0;
	tx.ring->request_producer += SIZE + 1;
	nothing_there();
	assert_int_equal(events[0], 1);
	nothing_there();
	assert_int_equal(events[0], 1);
	off();
	assert_null(shim_poller);
	shim_polling = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_it_is),   cmocka_unit_test(sending), cmocka_unit_test(receiving),
	    cmocka_unit_test(bad_requests), cmocka_unit_test(closing), cmocka_unit_test(polled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
