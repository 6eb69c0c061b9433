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

/* Of VMs of these weights, 0: no more. */
static void bridge_begin(const u64 *weights)
{
	const struct bridge_nic nic = {.bridge = &bridge, .address = {2, 0, 0, 0, 1, 0}};

	bridge_init(&bridge, 1);
	assert_int_equal(bridge_join(&nic, &sink, &ops), 0);
	for (senders = 0; weights[senders]; senders++)
		join(&sender[senders], senders, sim_vm(weights[senders]));
	timer_init(&refill, fill, NULL, NULL);
	fill(NULL);
	bridge_run(&bridge);
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

/* What the guest got, then what each of the senders did, as parts of a second; and what they are billed. */
static void second(const struct sched_group *a, double *guest, double *of)
{
	u64 start = shim_tsc, before[SENDERS], billed[SENDERS];

	for (unsigned i = 0; i < senders; i++) {
		before[i] = sender[i].forwarded;
		billed[i] = sender[i].group->billed;
	}
	sim_mark();
	sim_run(SECOND);
	double wall = (double)(shim_tsc - start);
	*guest = sim_got(a) / wall;
	for (unsigned i = 0; i < senders; i++) {
		of[i] = (double)(sender[i].forwarded - before[i]) * COST / wall;
		expect_near((double)(sender[i].group->billed - billed[i]) / wall, of[i], 0.01);
	}
}

static void guests_beside_it(void **state)
{
	static const u64 weights[][SENDERS + 1] = {{256}, {256, 256}, {256, 256, 256, 256}, {128, 512, 256}};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(weights); i++) {
		double guest, of[SENDERS], all = 256;

		sim_setup("bvt", 1);
		struct sched_group *a = sim_vm(256);
		sim_vcpu(a, 0, 0);
		sim_run(MS);
		bridge_begin(weights[i]);
		sim_run(SECOND / 10);
		second(a, &guest, of);
		for (unsigned k = 0; k < senders; k++)
			all += (double)weights[i][k];
		expect_near(guest, 256 / all, 0.02);
		for (unsigned k = 0; k < senders; k++)
			expect_near(of[k], (double)weights[i][k] / all, 0.02);
		bridge_end();
	}
}

/* Who rests on this CPU does so whoever runs the switch, and until his rest is over. */
static void no_way_around(void **state)
{
	(void)state;
	sim_setup("bvt", 2);
	assert_int_equal(task_set_affinity(&sim_vcpu(sim_vm(256), 0, 0)->task, BIT(0)), 0);
	sim_run(MS);
	bridge_begin((const u64[]){256, 256, 0});
	sim_on(0);
	while (sched_rests_until(sender[0].group, shim_tsc) == shim_tsc ||
	       sched_rests_until(sender[1].group, shim_tsc) == shim_tsc)
		bridge_run(&bridge);
	assert_int_equal(sched_go_on(sender[0].group, MS, shim_tsc) > shim_tsc + MS / 2, true);
	sched_go_on(sender[1].group, 3 * MS, shim_tsc);
	u64 rests = sched_rests_until(sender[0].group, shim_tsc), before[2];
	for (unsigned i = 0; i < 2; i++)
		before[i] = sender[i].forwarded;
	assert_true(timer_cancel(&bridge.later));
	bridge.at = ~(u64)0;
	for (unsigned i = 0; i < 10; i++)
		bridge_run(&bridge);
	assert_int_equal(sender[0].forwarded, before[0]);
	assert_int_equal(sender[1].forwarded, before[1]);
	assert_true(bridge.later.armed);
	assert_in_range(bridge.later.deadline, rests, rests + 10);
	/* The one whose rest is over first goes on. */
	shim_tsc = rests;
	bridge_run(&bridge);
	assert_true(sender[0].forwarded > before[0]);
	assert_int_equal(sender[1].forwarded, before[1]);
	/* On another CPU, which nobody wants, there is no need to rest. */
	sim_on(1);
	bridge_run(&bridge);
	assert_true(sender[1].forwarded > before[1]);
	sim_on(0);
	bridge_end();
}

/* A guest rings its doorbell all the time, so that its CPU forwards what another VM sends: that one gets its
 * own share of this CPU and no more, and the third one keeps his. */
static struct sched_group *rings;
static struct timer doorbell;

static void ring(void *opaque)
{
	(void)opaque;
	if (sim_current(0) && sim_current(0)->task.group == rings)
		bridge_run(&bridge);
	timer_set(&doorbell, shim_tsc + 5 * COST);
}

static void for_each_other(void **state)
{
	double guest, of[SENDERS];

	(void)state;
	sim_setup("bvt", 1);
	rings = sim_vm(256);
	struct sched_group *a = sim_vm(256);
	sim_vcpu(rings, 0, 0);
	sim_vcpu(a, 0, 0);
	sim_run(MS);
	bridge_begin((const u64[]){256, 0});
	timer_init(&doorbell, ring, NULL, NULL);
	ring(NULL);
	sim_run(SECOND / 10);
	second(a, &guest, of);
	expect_near(guest, 1.0 / 3, 0.02);
	expect_near(of[0], 1.0 / 3, 0.02);
	timer_destroy(&doorbell);
	bridge_end();
}

/* Where nobody else wants the CPU it does not rest. */
static void an_idle_cpu(void **state)
{
	(void)state;
	sim_setup("bvt", 1);
	bridge_begin((const u64[]){256, 0});
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
	    cmocka_unit_test(guests_beside_it),
	    cmocka_unit_test(no_way_around),
	    cmocka_unit_test(for_each_other),
	    cmocka_unit_test(an_idle_cpu),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
