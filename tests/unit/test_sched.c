/* SPDX-License-Identifier: Apache-2.0 */
/* The policies over simulated CPUs: shares, caps, latency, many CPUs (M29, M30, M32, M33, M34, M35). */
#include "sched_sim.h"

static double jain(void)
{
	double sum = 0, squares = 0;
	for (unsigned i = 0; i < sim_groups; i++) {
		double x = sim_got(&sim_group[i]);
		sum += x;
		squares += x * x;
	}
	return sum * sum / (sim_groups * squares);
}

/* Spinners, one vCPU each, of these weights; their shares by weight within the margin, in parts. */
static void spinners(const char *name, unsigned cpus, const unsigned *weights, unsigned n, double margin)
{
	double sum = 0;
	sim_setup(name, cpus);
	for (unsigned i = 0; i < n; i++) {
		sim_vcpu(sim_vm(weights[i]), 0, 0);
		sum += weights[i];
	}
	sim_mark();
	sim_run(10 * SECOND);
	for (unsigned i = 0; i < n; i++)
		expect_near(share(&sim_group[i]), weights[i] / sum, margin * weights[i] / sum);
	sim_teardown();
}

static void equal_spinners(void **state)
{
	static const unsigned weights[] = {256, 256, 256, 256};
	(void)state;
	for (unsigned p = 0; p < ARRAY_SIZE(sim_policies); p++) {
		spinners(sim_policies[p], 1, weights, 4, 0.01);
		sim_setup(sim_policies[p], 1);
		for (unsigned i = 0; i < 4; i++)
			sim_vcpu(sim_vm(256), 0, 0);
		sim_mark();
		sim_run(10 * SECOND);
		assert_true(jain() >= 0.999);
		sim_teardown();
	}
}

static void weighted_spinners(void **state)
{
	static const unsigned weights[] = {256, 512, 1024, 2048};
	(void)state;
	for (unsigned p = 0; p < ARRAY_SIZE(sim_policies); p++)
		spinners(sim_policies[p], 1, weights, 4, 0.01);
}

static void eight_on_four_cpus(void **state)
{
	static const unsigned equal[] = {256, 256, 256, 256, 256, 256, 256, 256};
	static const unsigned mixed[] = {256, 256, 512, 512, 768, 768, 1024, 1024};
	static const unsigned odd[] = {200, 250, 300, 350, 400};
	(void)state;
	for (unsigned p = 0; p < ARRAY_SIZE(sim_policies); p++) {
		spinners(sim_policies[p], 4, equal, 8, 0.02);
		spinners(sim_policies[p], 4, mixed, 8, 0.02);
		spinners(sim_policies[p], 3, odd, 5, 0.02);
	}
}

/* A weight that is worth more than one CPU gets one CPU; the rest is the others'. */
static void infeasible_weight(void **state)
{
	(void)state;
	for (unsigned p = 0; p < ARRAY_SIZE(sim_policies); p++) {
		sim_setup(sim_policies[p], 2);
		sim_vcpu(sim_vm(2000), 0, 0);
		sim_vcpu(sim_vm(100), 0, 0);
		sim_vcpu(sim_vm(100), 0, 0);
		sim_run(SECOND);
		sim_mark();
		sim_run(5 * SECOND);
		expect_near(share(&sim_group[0]), 0.5, 0.01);
		expect_near(share(&sim_group[1]), 0.25, 0.01);
		/* What it could not use is not owed to it: another of its size is not starved. */
		sim_vcpu(sim_vm(2000), 0, 0);
		sim_vcpu(sim_vm(2000), 0, 0);
		sim_run(SECOND);
		sim_mark();
		sim_run(5 * SECOND);
		expect_near(sim_got(&sim_group[0]) / sim_got(&sim_group[3]), 1, 0.05);
		sim_teardown();
	}
}

static void weight_belongs_to_the_vm(void **state)
{
	(void)state;
	for (unsigned p = 0; p < ARRAY_SIZE(sim_policies); p++) {
		sim_setup(sim_policies[p], 1);
		struct sched_group *one = sim_vm(256), *four = sim_vm(256);
		sim_vcpu(one, 0, 0);
		for (unsigned i = 0; i < 4; i++)
			sim_vcpu(four, 0, 0);
		sim_mark();
		sim_run(10 * SECOND);
		expect_near(share(one), 0.5, 0.005);
		sim_teardown();
	}
}

static void caps(void **state)
{
	(void)state;
	for (unsigned p = 0; p < ARRAY_SIZE(sim_policies); p++)
		for (unsigned cpus = 1; cpus <= 2; cpus++) {
			sim_setup(sim_policies[p], cpus);
			struct sched_group *capped = sim_vm(256), *free = sim_vm(256);
			set(capped, "cap", 30);
			for (unsigned i = 0; i < cpus; i++)
				sim_vcpu(capped, 0, 0);
			for (unsigned i = 0; i < cpus; i++)
				sim_vcpu(free, 0, 0);
			sim_mark();
			sim_run(10 * SECOND);
			expect_near(sim_got(capped) / (10.0 * SECOND), 0.3, 0.01);
			expect_near(sim_got(free) / (10.0 * SECOND), cpus - 0.3, 0.02);
			set(capped, "cap", 0); /* while it runs */
			sim_mark();
			sim_run(10 * SECOND);
			expect_near(share(capped), 0.5, 0.02);
			sim_teardown();
		}
}

static const struct sched_policy *counted;
static unsigned slices;

static u64 counted_slice(struct task *t, const struct task *next, u64 now)
{
	slices++;
	return counted->slice(t, next, now);
}

/* Its budget grows as it runs: the slice ends where it is used up, which is one step and not many ever
 * smaller ones. And a VM that is late to a CPU after its wait gets its due all the same. */
static void a_cap_costs_few_slices(void **state)
{
	(void)state;
	for (unsigned p = 0; p < ARRAY_SIZE(sim_policies); p++)
		for (unsigned cpus = 1; cpus <= 4; cpus += 3) {
			sim_setup(sim_policies[p], cpus);
			struct sched_group *capped = sim_vm(256), *free = sim_vm(256);
			set(capped, "cap", 30 * cpus);
			for (unsigned i = 0; i < cpus; i++) {
				sim_vcpu(capped, 0, 0);
				sim_vcpu(free, 0, 0);
			}
			counted = policy;
			struct sched_policy counting = *policy;
			counting.slice = counted_slice;
			policy = &counting;
			slices = 0;
			sim_mark();
			sim_run(10 * SECOND);
			policy = counted;
			expect_near(sim_got(capped) / (10.0 * SECOND), 0.3 * cpus, 0.01 * cpus);
			assert_true(slices < cpus * 10 * 600);
			sim_teardown();
		}
}

static struct sim_task *latency_scene(const char *name, unsigned cpus, u64 warp)
{
	sim_setup(name, cpus);
	struct sched_group *g = sim_vm(256);
	set(g, "warp", warp);
	struct sim_task *t = sim_vcpu(g, MS / 5, 10 * MS - MS / 5);
	for (unsigned i = 0; i < 3 * cpus; i++)
		sim_vcpu(sim_vm(256), 0, 0);
	sim_run(SECOND);
	t->wakes = t->late = 0;
	t->longest = 0;
	sim_mark();
	sim_run(10 * SECOND);
	return t;
}

static void warp_gives_latency(void **state)
{
	(void)state;
	for (unsigned cpus = 1; cpus <= 4; cpus += 3) {
		struct sim_task *t = latency_scene("bvt", cpus, 20000);
		double with = sim_got(t->task.group);
		assert_true(t->wakes > 950);
		assert_true(t->late * 100 <= t->wakes);
		expect_near(share(&sim_group[1]), share(&sim_group[2]), 0.005);
		sim_teardown();
		t = latency_scene("bvt", cpus, 0);
		/* It takes no more than without: the warp moves its share in time, and adds nothing. */
		assert_true(with <= 0.021 * 10 * SECOND);
		sim_teardown();
	}
	struct sim_task *t = latency_scene("rr", 1, 0);
	assert_true(t->late * 2 > t->wakes); /* the scene is one where it matters */
	sim_teardown();
}

/* A hog with a warp is not better off in the long run; with a limit, others come in between. */
static void warp_is_borrowed(void **state)
{
	(void)state;
	for (unsigned limit = 0; limit <= 2000; limit += 2000) {
		sim_setup("bvt", 1);
		struct sched_group *hog = sim_vm(256), *other = sim_vm(256);
		set(hog, "warp", 100000);
		set(hog, "warp_limit", limit);
		set(hog, "unwarp", limit ? 50000 : 0);
		sim_vcpu(hog, 0, 0);
		struct sim_task *t = sim_vcpu(other, 1 * MS, 20 * MS);
		sim_run(SECOND);
		t->longest = 0;
		sim_run(10 * SECOND);
		if (limit)
			assert_true(t->longest < 20 * MS);
		sim_teardown();
		sim_setup("bvt", 1);
		hog = sim_vm(256), other = sim_vm(256);
		set(hog, "warp", 100000);
		set(hog, "warp_limit", limit);
		set(hog, "unwarp", limit ? 50000 : 0);
		sim_vcpu(hog, 0, 0);
		sim_vcpu(other, 0, 0);
		sim_run(SECOND);
		sim_mark();
		sim_run(10 * SECOND);
		expect_near(share(hog), 0.5, 0.01);
		sim_teardown();
	}
}

static void change_while_running(void **state)
{
	(void)state;
	for (unsigned p = 0; p < ARRAY_SIZE(sim_policies); p++) {
		sim_setup(sim_policies[p], 1);
		struct sched_group *a = sim_vm(256), *b = sim_vm(256);
		sim_vcpu(a, 0, 0);
		sim_vcpu(b, 0, 0);
		sim_run(SECOND);
		set(a, "weight", 768);
		sim_mark();
		sim_run(SECOND);
		expect_near(share(a), 0.75, 0.02);
		sim_teardown();
	}
}

/* M35: a VM that wakes and sleeps all the time does not get more than its share, nor cost the victim. */
static void a_nuisance_costs_nothing(void **state)
{
	(void)state;
	for (unsigned p = 0; p < ARRAY_SIZE(sim_policies); p++) {
		sim_setup(sim_policies[p], 1);
		struct sched_group *victim = sim_vm(256), *nuisance = sim_vm(256);
		sim_vcpu(victim, 0, 0);
		for (unsigned i = 0; i < 8; i++)
			sim_vcpu(nuisance, 3 * MS + i * 100000, 50000);
		sim_run(SECOND);
		sim_mark();
		sim_run(10 * SECOND);
		assert_true(share(victim) >= 0.48);
		sim_teardown();
	}
}

static void yields(struct sim_task *t)
{
	(void)t;
}

/* M35: who sleeps so short that it has not left the CPU before it is to wake, or yields all the time, pays
 * for the way from task to task himself. */
static void leaving_is_not_free(void **state)
{
	(void)state;
	for (unsigned p = 0; p < ARRAY_SIZE(sim_policies); p++)
		for (unsigned spins = 0; spins < 2; spins++) {
			sim_setup(sim_policies[p], 1);
			struct sched_group *victim = sim_vm(256), *nuisance = sim_vm(256);
			sim_vcpu(victim, 0, 0);
			sim_vcpu(nuisance, 10000, 3000)->spun = spins ? yields : NULL;
			sim_cost = 5000;
			sim_run(SECOND);
			sim_mark();
			sim_run(10 * SECOND);
			assert_true(sim_got(victim) >= 0.48 * 10 * SECOND);
			sim_teardown();
		}
}

static struct sim_task *woken_from_afar;

static void wake_it(struct sim_task *t)
{
	(void)t;
	if (woken_from_afar->task.state != TASK_BLOCKED)
		return;
	woken_from_afar->left = woken_from_afar->burst;
	woken_from_afar->woken_at = shim_tsc;
	task_wake(&woken_from_afar->task);
}

/* Beside one that runs for over a second before a light one is to be considered; it wants a twentieth. */
static void woken_by_another_cpu(const char *name)
{
	sim_setup(name, 2);
	struct sim_task *heavy = sim_vcpu(sim_vm(256), 0, 0), *light = sim_vcpu(sim_vm(1), 0, 0);
	struct sim_task *w = woken_from_afar = sim_vcpu(sim_vm(256), MS, 1000 * SECOND);
	struct sim_task *afar = sim_vcpu(sim_vm(256), 20 * MS, 0);
	afar->spun = wake_it;
	assert_int_equal(task_set_affinity(&heavy->task, BIT(0)), 0);
	assert_int_equal(task_set_affinity(&light->task, BIT(0)), 0);
	assert_int_equal(task_set_affinity(&w->task, BIT(0)), 0);
	assert_int_equal(task_set_affinity(&afar->task, BIT(1)), 0);
	sim_run(SECOND);
	w->longest = 0;
	sim_mark();
	sim_run(20 * SECOND);
	expect_near(sim_got(w->task.group) / (double)(20 * SECOND), 0.05, 0.0005);
	expect_near(sim_got(light->task.group) / sim_got(heavy->task.group), 1 / 256.0, 0.001);
	assert_true(w->longest < 12 * MS);
	sim_teardown();
}

static void a_wake_from_afar_does_not_wait_for_a_long_slice(void **state)
{
	(void)state;
	woken_by_another_cpu("bvt");
	woken_by_another_cpu("credit");
}

/* What a victim has of the CPU beside a VM that ends after `life`, and is made anew, which takes
 * `cost` and is nobody's turn. */
static double beside_one_that_starts_again(const char *name, u64 life, u64 cost)
{
	sim_setup(name, 1);
	struct sched_group *victim = sim_vm(256), *loop = sim_vm(256), past;
	sim_vcpu(victim, 0, 0);
	struct sim_task *t = sim_vcpu(loop, life, 1000 * SECOND);
	u64 start = shim_tsc;
	sim_mark();
	while (shim_tsc - start < 10 * SECOND) {
		sim_run(MS / 20);
		if (t->task.state != TASK_BLOCKED)
			continue;
		timer_destroy(&t->alarm);
		task_destroy(&t->task);
		past = *loop;
		sched_group_succeed(loop, &past);
		sim_tasks--;
		shim_tsc += cost;
		sched_charge_beginning(loop, cost);
		assert_ptr_equal(sim_vcpu(loop, life, 1000 * SECOND), t);
	}
	double got = sim_got(victim) / (double)(shim_tsc - start);
	sim_teardown();
	return got;
}

/* M35: a VM that crashes and starts again all the time, by on_reboot = restart, has no more than its
 * share. */
static void to_start_again_is_not_free(void **state)
{
	static const struct {
		u64 life, cost;
	} cases[] = {{MS / 10, 0}, {MS / 10, 2 * MS}, {9 * MS, MS}, {6 * MS, 11 * MS}, {MS, 30 * MS}};
	(void)state;
	for (unsigned p = 0; p < ARRAY_SIZE(sim_policies); p++)
		for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
			assert_true(beside_one_that_starts_again(sim_policies[p], cases[i].life,
								 cases[i].cost) >= 0.48);
}

/* A capped VM whose timers alone cost more than its cap, on top of one that computes. */
#define EXPENSIVE (20 * MS / 1000)
static struct timer expensive;

static void expensive_fires(void *opaque)
{
	shim_tsc += EXPENSIVE;
	timer_set(opaque, shim_tsc + MS - EXPENSIVE);
}

static void a_cap_is_not_for_ever(void **state)
{
	(void)state;
	sim_setup("bvt", 1);
	struct sched_group *g = sim_vm(256);
	struct sim_task *t = sim_vcpu(g, 0, 0);
	sim_vcpu(sim_vm(256), 0, 0);
	set(g, "cap", 1);
	timer_init(&expensive, expensive_fires, &expensive, NULL);
	expensive.group = g;
	timer_set(&expensive, shim_tsc + MS);
	sim_mark();
	for (unsigned i = 0; i < 60; i++) {
		sim_run(SECOND);
		assert_true(!t->task.parked || t->task.unpark.deadline < shim_tsc + SECOND + 100 * MS);
	}
	assert_true(sim_got(g) > 10 * MS);
	assert_true(sim_got(g) < 60 * SECOND / 100);
	set(g, "cap", 0);
	sim_run(2 * SECOND);
	sim_mark();
	sim_run(10 * SECOND);
	expect_near(share(g), 0.49, 0.02); /* the timers are its own */
	sim_teardown();
}

#define T(name) cmocka_unit_test(name)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(equal_spinners),
	    T(weighted_spinners),
	    T(eight_on_four_cpus),
	    T(infeasible_weight),
	    T(weight_belongs_to_the_vm),
	    T(caps),
	    T(warp_gives_latency),
	    T(warp_is_borrowed),
	    T(change_while_running),
	    T(a_nuisance_costs_nothing),
	    T(leaving_is_not_free),
	    T(a_cap_costs_few_slices),
	    T(a_wake_from_afar_does_not_wait_for_a_long_slice),
	    T(a_cap_is_not_for_ever),
	    T(to_start_again_is_not_free),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
