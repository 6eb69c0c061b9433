/* SPDX-License-Identifier: Apache-2.0 */
/* The virtio network interface: who is told when (M84), how long a turn is, whose fault a drop is (M42), and
 * how much may leave it. */
#include "devices/virtio_net_internal.h"
#include "virtio_net_board.h"

static u8 frame[PEER_BUFFER];

static unsigned burst_back;

static void burst_complete(struct net_frame *f, bool delivered)
{
	(void)f;
	burst_back += delivered;
}

/* Buffers are never told of, but for the first that the driver has. A burst is one interrupt. */
static void receiver_is_told(void **state)
{
	static struct net_frame f[40];
	struct header h;

	(void)state;
	for (unsigned l = 0; l < 2; l++) {
		create(l);
		go(layout(l));
		unsigned kicks = 0;
		for (unsigned i = 0; i < 1000; i++) {
			rx_post(1, 2048);
			kicks += driver_kick(&rx);
			peer_send(mac_nic, 60, (struct net_offload){0});
			assert_int_equal(rx_take(&h, frame), 60);
		}
		assert_in_range(kicks, 0, 1);
		board.messages = burst_back = 0;
		driver_want_event(&rx, 0);
		rx_post(40, 2048);
		for (unsigned i = 0; i < 40; i++) {
			peer.piece = (struct piece){peer.sent, 60};
			f[i] = (struct net_frame){
			    .pieces = &peer.piece, .nr_pieces = 1, .length = 60, .complete = burst_complete};
			net_send(&peer.port, &f[i]);
		}
		bridge_run(&bridge);
		assert_int_equal(burst_back, 40);
		assert_int_equal(board.messages, 1);
		for (unsigned i = 0; i < 40; i++)
			assert_int_equal(rx_take(&h, frame), 60);
		destroy();
	}
}

/* The driver tells of the first of what it has, and is told once. */
static void sender_is_told(void **state)
{
	u16 id;
	u32 len;

	(void)state;
	for (unsigned l = 0; l < 2; l++) {
		unsigned kicks = 0;
		create(l);
		go(layout(l));
		tx_prepare(&(struct header){0}, mac_peer, mac_nic, 60, 1);
		for (unsigned round = 0; round < 10; round++) {
			driver_want_event(&tx, 0);
			for (unsigned i = 0; i < 60; i++)
				tx_add(60);
			if (driver_kick(&tx)) {
				kicks++;
				doorbell(TX);
			}
			for (unsigned i = 0; i < 60; i++)
				assert_true(driver_used(&tx, &id, &len));
		}
		assert_int_equal(kicks, 10);
		assert_int_equal(board.messages, 10);
		assert_int_equal(peer.frames, 600);
		assert_in_range(peer.told, 10, 30);
		/* Who wants to be told of nothing is not. */
		driver_want_event(&tx, 200);
		for (unsigned i = 0; i < 60; i++)
			tx_add(60);
		tx_ring();
		assert_int_equal(board.messages, 10);
		assert_int_equal(fake_timers_armed(), 0);
		destroy();
	}
}

static void one_more(void)
{
	tx_add(60);
	assert_true(driver_kick(&tx));
	doorbell(TX);
	assert_int_equal(peer.frames, 1);
}

/* While the switch runs, after the last look at the queue, another CPU tells of one: the driver will not tell
 * again, and who runs the switch goes on. */
static void a_doorbell_behind_the_last_look(void **state)
{
	(void)state;
	for (unsigned l = 0; l < 2; l++) {
		create(l);
		go(layout(l));
		tx_prepare(&(struct header){0}, mac_peer, mac_nic, 60, 1);
		tx_add(60);
		peer_meanwhile = one_more;
		tx_ring();
		assert_int_equal(peer.frames, 2);
		assert_int_equal(fake_timers_armed(), 0);
		destroy();
	}
}

static void turns_end(void **state)
{
	u16 id;
	u32 len;

	(void)state;
	for (unsigned l = 0; l < 2; l++) {
		create(l);
		go(layout(l));
		tx_prepare(&(struct header){0}, mac_peer, mac_nic, 60000, 1);
		for (unsigned i = 0; i < 60; i++)
			tx_add(60000);
		tx_ring();
		/* Half a megabyte, a little more; then others have their turn. */
		assert_in_range(peer.frames, 8, 16);
		assert_int_equal(fake_timers_armed(), 1);
		for (unsigned i = 0; i < 10 && fake_timers_armed(); i++)
			fake_run_until(++shim_tsc);
		assert_int_equal(peer.frames, 60);
		for (unsigned i = 0; i < 60; i++)
			assert_true(driver_used(&tx, &id, &len));
		destroy();
	}
}

/* M42: nobody's time but his who has no room. */
static void drops(void **state)
{
	struct header h;

	(void)state;
	for (unsigned l = 0; l < 2; l++) {
		create(l);
		go(layout(l));
		rx_post(10, 2048);
		for (unsigned i = 0; i < 25; i++)
			peer_send(mac_nic, 100, (struct net_offload){0});
		assert_int_equal(peer.completed, 25);
		assert_int_equal(peer.delivered, 10);
		struct net_meters m = net_port_meters(bridge.sw.ports[1]);
		assert_int_equal(m.rx_frames, 10);
		assert_int_equal(m.rx_dropped, 15);
		for (unsigned i = 0; i < 10; i++)
			assert_int_equal(rx_take(&h, frame), 100);
		/* And a peer that has none costs the sender nothing but the frame. */
		peer.refuses = true;
		assert_true(tx_send(mac_peer, 100, 1));
		m = net_port_meters(&peer.port);
		assert_int_equal(m.rx_dropped, 1);
		destroy();
	}
}

static void rate(void **state)
{
	u16 id;
	u32 len, back = 0;

	(void)state;
	for (unsigned l = 0; l < 2; l++) {
		create_with(l, NET_ANTI_SPOOF, 1000000);
		go(layout(l));
		tx_prepare(&(struct header){0}, mac_peer, mac_nic, 10000, 1);
		for (unsigned round = 0; round < 100; round++) {
			for (; tx.room; back--)
				tx_add(10000);
			tx_ring();
			fake_run_until(shim_tsc + ns_to_tsc(10000000));
			for (; driver_used(&tx, &id, &len); back++)
				;
		}
		/* A second: a megabyte, and what it may send ahead. */
		assert_in_range(peer.frames, 98, 110);
		peer.frames = 0;
		/* A reset does not wait for the rate. */
		virtio_net_nic.reset(nic);
		assert_int_equal(peer.frames, 0);
		destroy();
	}
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

/* What is looked at and not there costs a look. */
static void nothing_there(void)
{
	struct net_pair *p = ((struct virtio_net *)nic)->pair;
	unsigned frames = peer.frames, before = looks;

	assert_false(net_tx_poll(p));
	look();
	assert_int_equal(looks, before);
	assert_int_equal(peer.frames, frames);
}

/* By a CPU that polls: what is sent leaves with the next look, and after the first frame the driver has
 * nothing to tell of. */
static void polled(void **state)
{
	(void)state;
	shim_polling = 1;
	for (unsigned l = 0; l < 2; l++) {
		unsigned rung = 0, told;
		u16 id;
		u32 len;

		create(l);
		assert_ptr_equal(shim_poller->opaque, nic);
		nothing_there(); /* nor a queue */
		go(layout(l));
		nothing_there();
		tx_prepare(&(struct header){0}, mac_peer, mac_nic, 100, 1);
		for (unsigned i = 1; i <= 200; i++) {
			driver_want_event(&tx, i % 2 ? 0 : 5);
			told = board.messages;
			tx_add(100);
			rung += driver_kick(&tx);
			assert_int_equal(peer.frames, i - 1);
			look();
			assert_int_equal(peer.frames, i);
			assert_int_equal(peer.length, 100);
			assert_true(driver_used(&tx, &id, &len));
			assert_int_equal(board.messages - told, i % 2);
			nothing_there();
		}
		assert_in_range(rung, 0, 1);
		/* All that there is, in one look. */
		for (unsigned i = 0; i < 50; i++)
			tx_add(100);
		look();
		assert_int_equal(peer.frames, 250);
		/* Nobody looks into a queue that is off. */
		tx_add(100);
		common_set(0x14, 1, 0);
		nothing_there();
		destroy();
		assert_null(shim_poller);
	}
	shim_polling = 0;
}

static int run(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(receiver_is_told),
	    cmocka_unit_test(sender_is_told),
	    cmocka_unit_test(turns_end),
	    cmocka_unit_test(a_doorbell_behind_the_last_look),
	    cmocka_unit_test(drops),
	    cmocka_unit_test(rate),
	    cmocka_unit_test(polled),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
	return ram_both_ways(run);
}
