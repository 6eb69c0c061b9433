/* SPDX-License-Identifier: Apache-2.0 */
/* Work for a VM beside its tasks (M35, M42): it rests between its turns as its share wants it, so that a
 * guest that keeps its devices busy takes no more of a CPU from others than one that computes. */
#include "devices/later.h"
#include "sched_sim.h"

#define TURN (MS / 4)

/* Turns of work for g, one after the other as soon as each may be, for that long; how much of the time they
 * took. */
static double flood(struct sched_group *g, u64 time)
{
	u64 start = shim_tsc, next = start, worked = 0;

	while (next < start + time) {
		sim_run(MAX(next - shim_tsc, 1000u)); /* slices end meanwhile */
		sim_on(0);
		shim_tsc += TURN; /* in the timer's interrupt */
		sched_charge(g, TURN);
		worked += TURN;
		next = sched_go_on(g, TURN, shim_tsc);
		assert_true(next >= shim_tsc);
	}
	sim_run(start + time > shim_tsc ? start + time - shim_tsc : 0);
	return (double)worked / (double)(shim_tsc - start);
}

static void others_have_their_share(void **state)
{
	static const u64 weights[] = {64, 256, 768};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(weights); i++) {
		sim_setup("bvt", 1);
		struct sched_group *a = sim_vm(256), *b = sim_vm(weights[i]);
		sim_vcpu(a, 0, 0);
		double share = (double)weights[i] / (double)(256 + weights[i]), got = flood(b, 4 * SECOND);
		assert_true(got > share * 0.98 && got < share * 1.02);
		sim_teardown();
	}
}

/* What its own vCPU has of the CPU is not beside that, but in it. */
static void with_a_task_of_its_own(void **state)
{
	(void)state;
	struct sched_group *a, *b;
	sim_two_alike(&a, &b);
	u64 start = shim_tsc;
	flood(b, 4 * SECOND);
	double wall = (double)(shim_tsc - start), of_a = (double)sim_got(a);
	assert_true(of_a > wall * 0.48 && of_a < wall * 0.52);
	sim_teardown();
}

static void where_nobody_else_waits(void **state)
{
	(void)state;
	sim_setup("bvt", 1);
	struct sched_group *b = sim_vm(256), *a = sim_vm(256);
	assert_int_equal(sched_go_on(b, SECOND, shim_tsc), shim_tsc); /* the CPU is idle */
	assert_true(flood(b, SECOND) > 0.99);
	sim_vcpu(b, 0, 0);
	sim_run(MS);
	assert_int_equal(sched_go_on(b, SECOND, shim_tsc), shim_tsc); /* its own task runs */
	assert_int_equal(sched_go_on(NULL, SECOND, shim_tsc), shim_tsc);
	assert_int_equal(sched_go_on(a, MS, shim_tsc), shim_tsc + MS);
	sim_teardown();
}

/* Several devices, on several CPUs: each turn counts; and no weight makes it wait too long. */
static void all_turns_count(void **state)
{
	char why[80];

	(void)state;
	sim_setup("bvt", 2);
	struct sched_group *a = sim_vm(256), *b = sim_vm(256);
	sim_vcpu(a, 0, 0);
	sim_vcpu(a, 0, 0);
	sim_run(MS);
	sim_on(0);
	u64 now = shim_tsc;
	assert_int_equal(sched_go_on(b, MS, now), now + MS);
	sim_on(1);
	assert_int_equal(sched_go_on(b, MS, now), now + 2 * MS);
	assert_int_equal(sched_set(a, "weight", 65535, why, sizeof(why)), 0);
	assert_int_equal(sched_set(b, "weight", 1, why, sizeof(why)), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(sched_go_on(b, 10 * MS, now), now + 100 * MS);
	sim_on(0);
	sim_teardown();
}

/* A cap holds for it, too, and lasts as long as what is owed. */
static void capped(void **state)
{
	char why[80];

	(void)state;
	sim_setup("bvt", 1);
	struct sched_group *b = sim_vm(256);
	assert_int_equal(sched_set(b, "cap", 10, why, sizeof(why)), 0);
	shim_tsc += SECOND;
	assert_int_equal(sched_go_on(b, MS, shim_tsc), shim_tsc);
	group_spend_budget(b, SECOND, shim_tsc);
	assert_true(sched_go_on(b, MS, shim_tsc) > shim_tsc);
	/* Nor does a new life help. */
	struct sched_group again;
	sched_group_succeed(&again, b);
	assert_int_equal(again.rests_until, b->rests_until);
	sim_teardown();
}

/* ---- several VMs, each with a device whose guest keeps it busy from elsewhere ---- */
#define DEVICES 40

struct device {
	struct later later;
	bool ends; /* each turn does all there is; the next doorbell comes at once */
	struct timer doorbell;
	u64 worked, last, longest; /* when it had a turn last, and the longest wait between two */
};
static struct device device[DEVICES];

static u64 turn(void *opaque)
{
	struct device *d = opaque;

	d->longest = MAX(d->longest, shim_tsc - d->last);
	shim_tsc += TURN;
	d->worked += TURN;
	d->last = shim_tsc;
	if (d->ends)
		timer_set(&d->doorbell, shim_tsc);
	return d->ends ? LATER_NEVER : 0;
}

static void doorbell(void *opaque)
{
	struct device *d = opaque;

	later_promise(&d->later);
	later_keep(&d->later, 0);
}

static void device_init(unsigned i, struct sched_group *g, bool ends)
{
	struct device *d = &device[i];

	*d = (struct device){.ends = ends, .last = shim_tsc};
	later_init(&d->later, turn, d, g);
	timer_init(&d->doorbell, doorbell, d, NULL);
	doorbell(d);
}

static void devices_end(unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		timer_destroy(&device[i].doorbell);
		later_destroy(&device[i].later);
	}
	sim_teardown();
}

/* What one CPU's put-off work takes in all is what its VMs' weights give them beside the guest there. */
static void several_beside_one(void **state)
{
	static const unsigned nr[] = {1, 2, 3, 12};

	(void)state;
	for (unsigned p = 0; p < ARRAY_SIZE(sim_policies); p++)
		for (unsigned i = 0; i < 2 * ARRAY_SIZE(nr); i++) {
			unsigned devices = nr[i / 2];
			sim_setup(sim_policies[p], 1);
			struct sched_group *a = sim_vm(256);
			sim_vcpu(a, 0, 0);
			for (unsigned k = 0; k < devices; k++)
				device_init(k, sim_vm(256), i & 1);
			sim_run(SECOND);
			sim_mark();
			u64 start = shim_tsc, worked = device[0].worked;
			sim_run(4 * SECOND);
			double wall = (double)(shim_tsc - start), fair = 1.0 / (devices + 1);
			expect_near(sim_got(a) / wall, fair, 0.02 * fair + 0.001);
			expect_near((double)(device[0].worked - worked) / wall, fair, 0.03 * fair);
			devices_end(devices);
		}
}

/* By their weights, as tasks do; and a VM with two devices has no more than one with one. */
static void several_by_weight(void **state)
{
	static const u64 weight[] = {128, 512, 256};

	(void)state;
	sim_setup("bvt", 1);
	struct sched_group *a = sim_vm(256), *twice = sim_vm(256);
	sim_vcpu(a, 0, 0);
	for (unsigned i = 0; i < 3; i++)
		device_init(i, sim_vm(weight[i]), i == 1);
	sim_mark();
	device_init(3, twice, false);
	device_init(4, twice, true);
	sim_run(4 * SECOND);
	double wall = (double)(shim_tsc - sim_started), all = 256 + 128 + 512 + 256 + 256;
	expect_near(sim_got(a) / wall, 256 / all, 0.01);
	for (unsigned i = 0; i < 3; i++)
		expect_near((double)device[i].worked / wall, (double)weight[i] / all, 0.01);
	expect_near((double)(device[3].worked + device[4].worked) / wall, 256 / all, 0.01);
	devices_end(5);
}

/* Not half of the CPU, because only one of them runs at a time. */
static void beside_several_guests(void **state)
{
	(void)state;
	sim_setup("bvt", 1);
	for (unsigned i = 0; i < 3; i++)
		sim_vcpu(sim_vm(256), 0, 0);
	device_init(0, sim_vm(256), false);
	sim_mark();
	sim_run(4 * SECOND);
	expect_near((double)device[0].worked / (double)(shim_tsc - sim_started), 0.25, 0.01);
	for (unsigned i = 0; i < 3; i++)
		expect_near(sim_got(&sim_group[i]) / (double)(shim_tsc - sim_started), 0.25, 0.01);
	devices_end(1);
}

/* However little its weight is, and however much others put off: its driver has a time-out. */
static void none_waits_for_ever(void **state)
{
	(void)state;
	sim_setup("bvt", 1);
	struct sched_group *a = sim_vm(65535);
	sim_vcpu(a, 0, 0);
	for (unsigned i = 0; i < DEVICES; i++)
		device_init(i, sim_vm(i ? 65535 : 1), false);
	sim_mark();
	sim_run(8 * SECOND);
	assert_true(device[0].longest > SECOND / 2 && device[0].longest < SECOND + 100 * MS);
	expect_near(sim_got(a) / (double)(shim_tsc - sim_started), 1.0 / DEVICES, 0.003);
	devices_end(DEVICES);
}

/* What rests does so no longer than until the CPU is idle, and goes to another CPU as it is. */
static void where_it_goes_on(void **state)
{
	(void)state;
	sim_setup("bvt", 3);
	struct sched_group *a = sim_vm(256), *b = sim_vm(256), *c = sim_vm(256);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(task_set_affinity(&sim_vcpu(a, 0, 0)->task, BIT(i)), 0);
	sim_run(MS);
	assert_true(sim_current(0) && sim_current(1) && !sim_current(2));
	sim_on(0);
	u64 now = shim_tsc;
	assert_int_equal(sched_rests_until(b, now), now);
	assert_int_equal(sched_go_on(b, MS, now), now + MS);
	assert_int_equal(sched_go_on(c, 2 * MS, now + 2 * MS), now + 4 * MS);
	/* c's work was no time for a. */
	assert_int_equal(sched_rests_until(b, now + 2 * MS), now + 3 * MS);
	sim_on(1);
	assert_int_equal(sched_rests_until(b, now + 2 * MS), now + 3 * MS);
	assert_int_equal(sched_go_on(b, MS, now + 3 * MS - 1), now + 4 * MS);
	assert_int_equal(sched_rests_until(b, now + 4 * MS), now + 4 * MS);
	assert_int_equal(sched_go_on(b, MS, now + 5 * MS), now + 6 * MS);
	sim_on(2);
	assert_int_equal(sched_rests_until(b, now + 5 * MS), now + 5 * MS);
	sim_on(0);
	sim_teardown();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(others_have_their_share),
	    cmocka_unit_test(with_a_task_of_its_own),
	    cmocka_unit_test(where_nobody_else_waits),
	    cmocka_unit_test(all_turns_count),
	    cmocka_unit_test(capped),
	    cmocka_unit_test(several_beside_one),
	    cmocka_unit_test(several_by_weight),
	    cmocka_unit_test(beside_several_guests),
	    cmocka_unit_test(none_waits_for_ever),
	    cmocka_unit_test(where_it_goes_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
