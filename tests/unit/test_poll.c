/* SPDX-License-Identifier: Apache-2.0 */
/* CPUs that poll (M84): which they are, who is called there and who pays; and that no task comes to them. */
#include <pthread.h>

#include "sched_sim.h"

#include "../../sched/poll.c"

static unsigned waits;

static void on_wait(void)
{
	waits++;
}

static void begin(unsigned cpus, unsigned wanted, unsigned expected)
{
	sched_polling = 0;
	sim_setup("bvt", cpus);
	assert_int_equal(sched_poll_cpus(wanted), expected);
	sched_online &= ~sched_polling;
	assert_int_equal(sched_guest_cpus(), cpus - expected);
	sim_idle = on_wait;
	waits = 0;
}

static void end(void)
{
	sim_teardown();
	sched_polling = 0;
	sim_idle = NULL;
}

struct device {
	struct poller poller;
	unsigned calls, work; /* so often it finds something to do */
};

static bool look(void *opaque)
{
	struct device *d = opaque;

	d->calls++;
	if (!d->work)
		return false;
	d->work--;
	shim_tsc += 100;
	return true;
}

static struct device device(struct sched_group *g)
{
	return (struct device){.poller = {.poll = look, .group = g}};
}

static void which_cpus(void **state)
{
	(void)state;
	begin(4, 0, 0);
	end();
	begin(4, 3, 3);
	assert_int_equal(sched_polling, 0xe);
	end();
	begin(4, 63, 3);
	end();
	begin(1, 1, 0);
	struct device d = device(NULL);
	assert_int_equal(poller_add(&d.poller), ERR_NOENT);
	poller_remove(&d.poller);
	end();
}

static void who_is_called_and_pays(void **state)
{
	(void)state;
	begin(2, 1, 1);
	struct sched_group *g = sim_vm(256);
	struct device a = device(g), b = device(NULL);
	struct sched_cpu_times before, after;

	a.poller.opaque = &a;
	b.poller.opaque = &b;
	sim_on(1);
	poll_step(self());
	assert_int_equal(waits, 1);
	sim_on(0);
	sim_kicked[1] = false;
	assert_int_equal(poller_add(&a.poller), 0);
	assert_true(sim_kicked[1]);
	assert_int_equal(poller_add(&b.poller), 0);
	sim_on(1);
	resched_clear(self());
	a.work = 3;
	before = sched_cpu_times_at(1, shim_tsc);
	for (unsigned i = 0; i < 10; i++) {
		poll_step(self());
		shim_tsc += 50;
	}
	after = sched_cpu_times_at(1, shim_tsc);
	assert_int_equal(waits, 1);
	assert_int_equal(a.calls, 10);
	assert_int_equal(b.calls, 10);
	assert_int_equal(g->billed, 300);
	/* The rest is the CPU's own: the sum is all there was. */
	assert_int_equal(after.idle + after.hypervisor - before.idle - before.hypervisor, 500);
	poller_remove(&a.poller);
	poll_step(self());
	assert_int_equal(a.calls, 10);
	assert_int_equal(b.calls, 11);
	poller_remove(&b.poller);
	poller_remove(&b.poller);
	poll_step(self());
	assert_int_equal(waits, 2);
	end();
}

static void shared_out(void **state)
{
	struct device d[6];
	unsigned on[3] = {0};

	(void)state;
	begin(4, 3, 3);
	for (unsigned i = 0; i < 6; i++) {
		d[i] = device(NULL);
		d[i].poller.opaque = &d[i];
		assert_int_equal(poller_add(&d[i].poller), 0);
		on[d[i].poller.cpu->index - 1]++;
	}
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(on[i], 2);
	for (unsigned i = 0; i < 6; i++)
		poller_remove(&d[i].poller);
	end();
}

/* Even one that is pinned there. */
static void no_tasks(void **state)
{
	(void)state;
	begin(3, 1, 1);
	for (unsigned i = 0; i < 8; i++) {
		struct sim_task *t = sim_vcpu(sim_vm(256), 0, 0);
		assert_int_equal(task_set_affinity(&t->task, BIT(2)), ERR_INVAL);
		assert_int_equal(task_set_affinity(&t->task, 6), 0);
		assert_int_not_equal(t->task.cpu->index, 2);
	}
	end();
}

/* ---- removal while a CPU polls ---- */
static bool over;

struct racer {
	struct poller poller;
	bool alive, called_dead; /* atomic */
	unsigned calls;
};

static bool race_look(void *opaque)
{
	struct racer *r = opaque;

	for (unsigned i = 0; i < 50; i++)
		if (!__atomic_load_n(&r->alive, __ATOMIC_SEQ_CST))
			__atomic_store_n(&r->called_dead, true, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&r->calls, 1, __ATOMIC_RELAXED);
	return false;
}

static void *polls(void *opaque)
{
	while (!__atomic_load_n(&over, __ATOMIC_RELAXED))
		poll_round(opaque);
	return NULL;
}

static void removal_races(void **state)
{
	struct racer r = {.poller = {.poll = race_look}};
	pthread_t thread;

	(void)state;
	begin(2, 1, 1);
	r.poller.opaque = &r;
	over = false;
	assert_int_equal(pthread_create(&thread, NULL, polls, sim_cpu[1].sched), 0);
	for (unsigned i = 0; i < 300; i++) {
		unsigned before = __atomic_load_n(&r.calls, __ATOMIC_RELAXED);

		__atomic_store_n(&r.alive, true, __ATOMIC_SEQ_CST);
		assert_int_equal(poller_add(&r.poller), 0);
		while (__atomic_load_n(&r.calls, __ATOMIC_RELAXED) - before < 3)
			;
		poller_remove(&r.poller);
		__atomic_store_n(&r.alive, false, __ATOMIC_SEQ_CST);
	}
	__atomic_store_n(&over, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	assert_false(r.called_dead);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(which_cpus),    cmocka_unit_test(who_is_called_and_pays),
	    cmocka_unit_test(shared_out),    cmocka_unit_test(no_tasks),
	    cmocka_unit_test(removal_races),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
