/* SPDX-License-Identifier: Apache-2.0 */
/* Work for a VM beside its tasks (M35, M42): it rests between its turns as its share wants it, so that a
 * guest that keeps its devices busy takes no more of a CPU from others than one that computes. */
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
	sim_setup("bvt", 1);
	struct sched_group *a = sim_vm(256), *b = sim_vm(256);
	sim_vcpu(a, 0, 0);
	sim_vcpu(b, 0, 0);
	sim_run(SECOND);
	sim_mark();
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(others_have_their_share),
	    cmocka_unit_test(with_a_task_of_its_own),
	    cmocka_unit_test(where_nobody_else_waits),
	    cmocka_unit_test(all_turns_count),
	    cmocka_unit_test(capped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
