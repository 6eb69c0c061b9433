/* SPDX-License-Identifier: Apache-2.0 */
/* What a bridge could not forward at one go goes on beside the guests of the CPU that does so, and takes no
 * more of it than those whose frames they are may have (M35, M42). */
#include "bridge.h"
#include "sched_sim.h"

#define SENDERS 4
#define FRAMES 400 /* of a sender, more than are forwarded between two refills */
#define COST 1000  /* ticks that a frame takes */

static struct bridge bridge;

static struct sender {
	struct net_port port;
	struct sched_group *group;
	struct piece piece;
	u8 bytes[64];
	struct net_frame frame[FRAMES];
	struct net_frame *back[FRAMES];
	unsigned nr_back;
	u64 forwarded;
} sender[SENDERS];
static struct net_port sink;
static struct timer refill;
static unsigned senders;

static unsigned room(struct net_port *p, u32 length, struct piece *pieces)
{
	static u8 buffer[64];

	assert_ptr_equal(p, &sink);
	assert_int_equal(length, sizeof(buffer));
	*pieces = (struct piece){buffer, sizeof(buffer)};
	shim_tsc += COST;
	return 1;
}

static void received(struct net_port *p, u32 length, const struct net_offload *o)
{
	(void)p, (void)length, (void)o;
}

static void ready(struct net_port *p)
{
	(void)p;
}

static const struct net_port_ops ops = {.room = room, .received = received, .ready = ready};

static void complete(struct net_frame *f, bool delivered)
{
	for (unsigned i = 0; i < senders; i++)
		if (f >= sender[i].frame && f < sender[i].frame + FRAMES) {
			sender[i].back[sender[i].nr_back++] = f;
			sender[i].forwarded += delivered;
		}
}

/* The senders, on CPUs of their own, keep their queues full. */
static void fill(void *opaque)
{
	(void)opaque;
	for (unsigned i = 0; i < senders; i++)
		while (sender[i].nr_back)
			net_send(&sender[i].port, sender[i].back[--sender[i].nr_back]);
	timer_set(&refill, shim_tsc + 100 * COST);
}

static void join(struct sender *s, unsigned i, struct sched_group *g)
{
	const struct bridge_nic nic = {.bridge = &bridge, .address = {2, 0, 0, 0, 0, (u8)i}, .payer = g};

	memset(s, 0, sizeof(*s));
	s->group = g;
	assert_int_equal(bridge_join(&nic, &s->port, &ops), 0);
	memcpy(s->bytes, sink.address, NET_ADDRESS);
	memcpy(s->bytes + NET_ADDRESS, nic.address, NET_ADDRESS);
	s->piece = (struct piece){s->bytes, sizeof(s->bytes)};
	for (unsigned k = 0; k < FRAMES; k++) {
		s->frame[k] = (struct net_frame){
		    .pieces = &s->piece, .nr_pieces = 1, .length = sizeof(s->bytes), .complete = complete};
		s->back[s->nr_back++] = &s->frame[k];
	}
}

static void bridge_begin(unsigned nr)
{
	const struct bridge_nic nic = {.bridge = &bridge, .address = {2, 0, 0, 0, 1, 0}};

	bridge_init(&bridge, 1);
	assert_int_equal(bridge_join(&nic, &sink, &ops), 0);
	senders = nr;
	for (unsigned i = 0; i < nr; i++)
		join(&sender[i], i, sim_vm(256));
	timer_init(&refill, fill, NULL, NULL);
	fill(NULL);
}

static void bridge_end(void)
{
	timer_destroy(&refill);
	for (unsigned i = 0; i < senders; i++)
		bridge_leave(&bridge, &sender[i].port);
	bridge_leave(&bridge, &sink);
	bridge_fini(&bridge);
	sim_teardown();
}

static void a_guest_beside_it(void **state)
{
	(void)state;
	sim_setup("bvt", 1);
	struct sched_group *a = sim_vm(256);
	sim_vcpu(a, 0, 0);
	sim_run(MS);
	bridge_begin(1);
	bridge_run(&bridge);
	sim_mark();
	u64 start = shim_tsc, before = sender[0].forwarded;
	sim_run(SECOND);
	double wall = (double)(shim_tsc - start);
	expect_near(sim_got(a) / wall, 0.5, 0.02);
	expect_near((double)(sender[0].forwarded - before) * COST / wall, 0.5, 0.02);
	assert_true(sender[0].group->billed > 480 * MS);
	/* To run it again is no way around the rest. */
	assert_true(timer_cancel(&bridge.later));
	bridge.at = ~(u64)0;
	sched_go_on(sender[0].group, MS, shim_tsc);
	bridge_run(&bridge);
	u64 rests = sched_rests_until(sender[0].group, shim_tsc);
	assert_true(rests > shim_tsc + MS / 2 && bridge.later.armed && bridge.later.deadline == rests);
	/* Nor do others' turns end it. */
	sched_go_on(NULL, MS, shim_tsc);
	before = sender[0].forwarded;
	sim_run(rests + MS / 2 - shim_tsc);
	assert_int_equal(sender[0].forwarded, before);
	bridge_end();
}

/* Where nobody else wants the CPU it does not rest. */
static void an_idle_cpu(void **state)
{
	(void)state;
	sim_setup("bvt", 1);
	bridge_begin(1);
	bridge_run(&bridge);
	u64 start = shim_tsc, before = sender[0].forwarded;
	for (unsigned i = 0; i < 1000; i++)
		timer_run(++shim_tsc);
	assert_true(shim_tsc > start + 10 * MS);
	expect_near((double)(sender[0].forwarded - before) * COST / (double)(shim_tsc - start), 1, 0.02);
	bridge_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_guest_beside_it),
	    cmocka_unit_test(an_idle_cpu),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
