/* SPDX-License-Identifier: Apache-2.0 */
/* A quota that several VMs share, over simulated CPUs (M90). */
#include "sched_sim.h"

static struct sched_quota tenant;

static struct sched_group *tenant_vm(u64 weight)
{
	struct sched_group *g = sim_vm(weight);
	sched_group_share(g, &tenant);
	return g;
}

static double got(const struct sched_group *g, double seconds)
{
	return sim_got(g) / (seconds * SECOND);
}

static void setup(const char *name, unsigned cpus, u64 cap)
{
	sim_setup(name, cpus);
	sched_quota_init(&tenant);
	assert_int_equal(sched_quota_set(&tenant, cap), 0);
}

/* Together they get what the quota gives, each by its weight; what is left is the others'. */
static void a_quota_is_for_all(void **state)
{
	(void)state;
	for (unsigned p = 0; p < ARRAY_SIZE(sim_policies); p++)
		for (unsigned cpus = 1; cpus <= 2; cpus++) {
			setup(sim_policies[p], cpus, 45 * cpus);
			struct sched_group *a = tenant_vm(256), *b = tenant_vm(512), *other = sim_vm(256);
			for (unsigned i = 0; i < cpus; i++) {
				sim_vcpu(a, 0, 0);
				sim_vcpu(b, 0, 0);
				sim_vcpu(other, 0, 0);
			}
			sim_run(SECOND);
			sim_mark();
			sim_run(10 * SECOND);
			expect_near(got(a, 10) + got(b, 10), 0.45 * cpus, 0.01 * cpus);
			expect_near(got(b, 10) / got(a, 10), 2, 0.1);
			expect_near(got(other, 10), 0.55 * cpus, 0.01 * cpus);
			sim_teardown();
		}
}

/* Who leaves its part of the quota leaves it to the others that share it. */
static void what_one_leaves_another_gets(void **state)
{
	(void)state;
	for (unsigned p = 0; p < ARRAY_SIZE(sim_policies); p++) {
		setup(sim_policies[p], 1, 40);
		struct sched_group *sleeper = tenant_vm(256), *spinner = tenant_vm(256), *other = sim_vm(256);
		sim_vcpu(sleeper, MS / 2, 10 * MS);
		sim_vcpu(spinner, 0, 0);
		sim_vcpu(other, 0, 0);
		sim_run(SECOND);
		sim_mark();
		sim_run(10 * SECOND);
		expect_near(got(sleeper, 10) + got(spinner, 10), 0.4, 0.01);
		assert_true(got(spinner, 10) > 0.34);
		sim_teardown();
	}
}

/* The smaller of a VM's own cap and what the tenant has left. */
static void both_caps_count(void **state)
{
	(void)state;
	for (unsigned p = 0; p < ARRAY_SIZE(sim_policies); p++) {
		setup(sim_policies[p], 1, 50);
		struct sched_group *small = tenant_vm(256), *large = tenant_vm(256);
		set(small, "cap", 10);
		sim_vcpu(small, 0, 0);
		sim_vcpu(large, 0, 0);
		sim_run(SECOND);
		sim_mark();
		sim_run(10 * SECOND);
		expect_near(got(small, 10), 0.1, 0.01);
		expect_near(got(large, 10), 0.4, 0.01);
		set(small, "cap", 0); /* the tenant's stays */
		sim_run(SECOND);
		sim_mark();
		sim_run(10 * SECOND);
		expect_near(got(small, 10), 0.25, 0.02);
		expect_near(got(large, 10), 0.25, 0.02);
		sim_teardown();
	}
}

static void changed_while_it_counts(void **state)
{
	(void)state;
	for (unsigned p = 0; p < ARRAY_SIZE(sim_policies); p++) {
		setup(sim_policies[p], 1, 0);
		struct sched_group *a = tenant_vm(256), *b = tenant_vm(256);
		sim_vcpu(a, 0, 0);
		sim_vcpu(b, 0, 0);
		sim_mark();
		sim_run(2 * SECOND);
		expect_near(got(a, 2) + got(b, 2), 1, 0.01);
		sched_quota_set(&tenant, 20);
		sim_mark();
		sim_run(10 * SECOND);
		expect_near(got(a, 10) + got(b, 10), 0.2, 0.01);
		sched_quota_set(&tenant, 0);
		sim_run(SECOND);
		sim_mark();
		sim_run(2 * SECOND);
		expect_near(got(a, 2) + got(b, 2), 1, 0.01);
		assert_int_equal(sched_quota_set(&tenant, SCHED_CAP_MAX + 1), ERR_INVAL);
		sim_teardown();
	}
}

/* A VM that starts anew again and again gets no more of its tenant's time. */
static void to_start_again_gives_no_quota(void **state)
{
	struct sched_group past;
	(void)state;
	for (unsigned p = 0; p < ARRAY_SIZE(sim_policies); p++) {
		setup(sim_policies[p], 1, 30);
		struct sched_group *a = tenant_vm(256);
		u64 sum = 0;
		for (unsigned i = 0; i < 20; i++) {
			struct sim_task *t = sim_vcpu(a, 0, 0);
			sim_run(SECOND / 4);
			sum += task_times(&t->task).run;
			while (sim_current(0) != t)
				sim_run(MS);
			t->ends = shim_tsc + 1;
			t->sleep = 1000 * SECOND; /* it ends */
			sim_run(2);
			timer_cancel(&t->alarm);
			past = *a;
			sched_group_succeed(a, &past);
			sched_group_share(a, &tenant);
		}
		expect_near((double)sum / (20.0 * SECOND / 4), 0.3, 0.06);
		sim_teardown();
	}
}

/* However often somebody looks: what a tick gives is not rounded. */
static void a_look_costs_nothing(void **state)
{
	(void)state;
	setup("bvt", 1, 1);
	struct sched_group *a = tenant_vm(256);
	set(a, "cap", 1);
	shim_tsc += SECOND;
	assert_true(group_budget(a, shim_tsc) > 0);
	group_spend(a, 10 * MS, shim_tsc);
	i64 own = a->quota.budget, shared = tenant.budget;
	for (unsigned i = 0; i < 10000; i++) {
		shim_tsc += 33;
		group_budget(a, shim_tsc);
	}
	assert_int_equal(a->quota.budget - own, 33 * 10000);
	assert_int_equal(tenant.budget - shared, 33 * 10000);
	sim_teardown();
}

/* Where what one waits for is spent by another meanwhile, it does not look ever more often. */
static void waits_are_few(void **state)
{
	(void)state;
	for (unsigned p = 0; p < ARRAY_SIZE(sim_policies); p++) {
		setup(sim_policies[p], 2, 150);
		struct sched_group *light = tenant_vm(1), *heavy = tenant_vm(65535);
		sim_vcpu(light, 0, 0);
		sim_vcpu(heavy, 0, 0);
		sim_run(SECOND);
		unsigned looks = tenant.lock.next;
		sim_mark();
		sim_run(10 * SECOND);
		expect_near(got(heavy, 10), 1, 0.01);
		expect_near(got(light, 10), 0.5, 0.01);
		assert_in_range(tenant.lock.next - looks, 1, 40000);
		sim_teardown();
	}
}

/* It begins when it is set, and a change counts from then on. */
static void nothing_was_saved_before(void **state)
{
	(void)state;
	setup("bvt", 1, 0);
	struct sched_group *a = tenant_vm(256);
	shim_tsc += 10 * SECOND;
	assert_int_equal(sched_quota_set(&tenant, 100), 0);
	shim_tsc += MS;
	group_budget(a, shim_tsc);
	assert_int_equal(tenant.budget, 100 * MS);
	group_spend(a, 500 * MS, shim_tsc);
	shim_tsc += 100 * MS;
	assert_int_equal(sched_quota_set(&tenant, 6400), 0);
	group_budget(a, shim_tsc);
	assert_int_equal(tenant.budget, -100 * (i64)(399 * MS));
	/* Without a cap what is owed is paid by time, as in the next life of a VM. */
	assert_int_equal(sched_quota_set(&tenant, 0), 0);
	shim_tsc += 10 * MS;
	assert_int_equal(sched_quota_set(&tenant, 100), 0);
	assert_int_equal(tenant.budget, -100 * (i64)(389 * MS));
	sim_teardown();
}

/* All CPUs begin a slice with the same little that is left. It is paid back. */
static void many_cpus_spend_it_at_once(void **state)
{
	(void)state;
	setup("credit", SIM_CPUS, 1);
	for (unsigned i = 0; i < SIM_CPUS; i++)
		sim_vcpu(tenant_vm(256), 0, 0);
	sim_run(SECOND);
	sim_mark();
	sim_run(40 * SECOND);
	double sum = 0;
	for (unsigned i = 0; i < SIM_CPUS; i++)
		sum += got(&sim_group[i], 40);
	expect_near(sum, 0.01, 0.001);
	sim_teardown();
}

/* One that ran while the others slept does not wait for as long as all that took; with a small quota that
 * would be many seconds. */
static void to_run_alone_is_no_debt(void **state)
{
	(void)state;
	for (unsigned p = 0; p < ARRAY_SIZE(sim_policies); p++)
		for (unsigned i = 0; i < 2; i++) {
			setup(sim_policies[p], 1, i ? 10 : 1);
			struct sched_group *first = tenant_vm(256), *second = tenant_vm(256);
			struct sim_task *t = sim_vcpu(first, 150 * MS, SECOND);
			while (!t->wakes || !timer_is_known(&t->alarm))
				sim_run(MS);
			t->burst = 0;
			sim_run(SECOND / 2);
			sim_vcpu(second, 0, 0); /* while the first sleeps */
			sim_run(SECOND);
			sim_mark();
			sim_run(SECOND);
			expect_near(got(first, 1) / (got(first, 1) + got(second, 1)), 0.5, 0.1);
			sim_teardown();
		}
}

/* One that cannot use its turns, here for a cap of its own, does not make the others' equal. */
static void who_may_not_run_is_in_nobodys_way(void **state)
{
	(void)state;
	for (unsigned p = 0; p < ARRAY_SIZE(sim_policies); p++) {
		setup(sim_policies[p], 4, 120);
		struct sched_group *heavy = tenant_vm(512), *light = tenant_vm(256), *capped = tenant_vm(256);
		set(capped, "cap", 1);
		for (unsigned i = 0; i < 3; i++)
			sim_vcpu(&sim_group[i], 0, 0);
		sim_run(5 * SECOND);
		sim_mark();
		sim_run(10 * SECOND);
		expect_near(got(capped, 10), 0.01, 0.001);
		expect_near(got(heavy, 10), 0.793, 0.02);
		expect_near(got(light, 10), 0.397, 0.02);
		sim_teardown();
	}
}

/* Who sleeps for a moment now and then still comes before one of less weight that never does. */
static void a_nap_gives_no_share_away(void **state)
{
	(void)state;
	for (unsigned p = 0; p < ARRAY_SIZE(sim_policies); p++) {
		setup(sim_policies[p], 1, 50);
		struct sched_group *sleeper = tenant_vm(1024), *spinner = tenant_vm(256);
		sim_vcpu(sleeper, 20 * MS, MS);
		sim_vcpu(spinner, 0, 0);
		sim_run(5 * SECOND);
		sim_mark();
		sim_run(20 * SECOND);
		expect_near(got(sleeper, 20) + got(spinner, 20), 0.5, 0.01);
		expect_near(got(sleeper, 20), 0.395, 0.015);
		sim_teardown();
	}
}

/* After months all that was spent is counted from the least again. */
static void numbers_do_not_end(void **state)
{
	(void)state;
	setup("bvt", 1, 50);
	struct sched_group *a = tenant_vm(256), *b = tenant_vm(512);
	tenant.front = a->turns.key = b->turns.key = BIT(62) - 20 * MS;
	sim_vcpu(a, 0, 0);
	sim_vcpu(b, 0, 0);
	sim_vcpu(sim_vm(256), 0, 0);
	sim_run(5 * SECOND);
	assert_true(a->turns.key < BIT(40) && b->turns.key < BIT(40));
	sim_mark();
	sim_run(10 * SECOND);
	expect_near(got(a, 10), 0.167, 0.01);
	expect_near(got(b, 10), 0.333, 0.01);
	sim_teardown();
}

#define T(name) cmocka_unit_test(name)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(a_quota_is_for_all),      T(what_one_leaves_another_gets),      T(both_caps_count),
	    T(changed_while_it_counts), T(to_start_again_gives_no_quota),     T(a_look_costs_nothing),
	    T(waits_are_few),           T(nothing_was_saved_before),          T(many_cpus_spend_it_at_once),
	    T(to_run_alone_is_no_debt), T(who_may_not_run_is_in_nobodys_way), T(a_nap_gives_no_share_away),
	    T(numbers_do_not_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
