/* SPDX-License-Identifier: Apache-2.0 */
/* Whose time it is (M31, M40): all of it is somebody's, and who was interrupted for another does not pay. */
#include "sched_sim.h"

static u64 total(void)
{
	u64 sum = 0;
	for (unsigned i = 0; i < sim_tasks; i++) {
		struct task_times t = task_times(&sim_task[i].task);
		sum += t.run + t.hypervisor;
	}
	for (unsigned i = 0; i < sim_groups; i++)
		sum += sim_group[i].billed;
	for (unsigned i = 0; i < sim_cpus; i++) {
		sim_on(i);
		if (!sim_current(i))
			times_cpu(sim_cpu[i].sched, shim_tsc, true);
		struct sched_cpu_times t = sched_cpu_times_at(i, shim_tsc);
		sum += t.idle + t.hypervisor;
	}
	return sum;
}

static void everything_is_accounted(void **state)
{
	(void)state;
	static const char *const names[] = {"bvt", "credit", "rr"};
	for (unsigned p = 0; p < ARRAY_SIZE(names); p++)
		for (unsigned cpus = 1; cpus <= 4; cpus++) {
			sim_setup(names[p], cpus);
			for (unsigned i = 0; i < 6; i++)
				sim_vcpu(sim_vm(100 * (i + 1)), i % 2 ? MS * i : 0, 3 * MS);
			for (unsigned i = 0; i < 1000; i++) {
				sim_run(10 * MS);
				sim_on(i % cpus);
				/* An interrupt of up to 60 microseconds for the third VM, or for the
				 * hypervisor. */
				shim_tsc += 60000;
				sched_charge(i % 3 ? &sim_group[2] : NULL, i * 60);
			}
			u64 wall = (shim_tsc - sim_started) * cpus, sum = total();
			assert_true(sum <= wall + wall / 1000 && sum >= wall - wall / 1000);
			sim_teardown();
		}
}

static void a_task_has_one_state_at_a_time(void **state)
{
	(void)state;
	sim_setup("bvt", 2);
	for (unsigned i = 0; i < 5; i++)
		sim_vcpu(sim_vm(256), i < 2 ? 0 : 2 * MS, 5 * MS);
	sim_run(5 * SECOND);
	for (unsigned i = 0; i < sim_tasks; i++) {
		struct task_times t = task_times(&sim_task[i].task);
		assert_true(t.run + t.ready + t.blocked + t.hypervisor == 5 * SECOND);
	}
	sim_teardown();
}

/* B's interrupts come while A runs: A has what it would have had without, B pays from its share. */
static void interrupts_are_paid_for_by_whom_they_are_for(void **state)
{
	(void)state;
	struct sched_group *a, *b;
	sim_two_alike(&a, &b);
	u64 start = shim_tsc, billed = b->billed;
	for (unsigned i = 0; i < 10000; i++) {
		sim_run(900000);
		shim_tsc += 100000; /* a tenth of the machine */
		sched_charge(b, 100000);
	}
	double wall = (double)(shim_tsc - start);
	double for_b = sim_got(b) + (double)(b->billed - billed);
	assert_true(sim_got(a) > wall * 0.495 && sim_got(a) < wall * 0.505);
	assert_true(for_b > wall * 0.495 && for_b < wall * 0.505);
	assert_true(b->billed - billed > wall * 0.04); /* what came in A's time was billed */
	sim_teardown();
}

/* From the VM's side: while an interrupt for another one, or for nobody, is served its vCPU waits. */
static void who_is_interrupted_waits(void **state)
{
	(void)state;
	sim_setup("bvt", 1);
	struct sched_group *a = sim_vm(256), *b = sim_vm(256);
	struct sim_task *t = sim_vcpu(a, 0, 0);
	u64 most = 0;
	for (unsigned i = 0; i < 1000; i++) {
		sim_run(900000);
		shim_tsc += 100000;
		sched_charge(i % 2 ? b : NULL, 100000);
		u64 run = task_times(&t->task).run;
		assert_true(run >= most); /* not even for a moment less than before */
		most = run;
	}
	struct task_times times = task_times(&t->task);
	assert_int_equal(times.run, SECOND - SECOND / 10);
	assert_int_equal(times.ready, SECOND / 10);
	assert_int_equal(b->billed, SECOND / 20);
	struct sched_cpu_times own = sched_cpu_times_at(0, shim_tsc);
	assert_int_equal(own.hypervisor, SECOND / 20);
	assert_int_equal(own.idle, 0);
	sim_teardown();
}

/* The exit before the handler is for whom that is. */
static void the_rest_of_an_interrupt(void **state)
{
	(void)state;
	sim_setup("bvt", 1);
	struct sched_group *a = sim_vm(256), *b = sim_vm(256);
	struct sim_task *t = sim_vcpu(a, 0, 0);
	sim_run(MS);
	shim_tsc += 1000;
	sched_before(400);
	sched_charge(a, 300); /* its own */
	assert_int_equal(a->billed, 0);
	sched_charge(b, 600);
	assert_int_equal(b->billed, 1000);
	assert_int_equal(task_times(&t->task).ready, 1000);
	shim_tsc += 500;
	sched_charge(b, 200); /* what came before was paid for */
	assert_int_equal(b->billed, 1200);
	sched_charge(NULL, 300);
	assert_int_equal(sched_cpu_times_at(0, shim_tsc).hypervisor, 300);
	sched_before(100);
	sched_before(0); /* nobody was charged for that one */
	sched_charge(b, 1);
	assert_int_equal(b->billed, 1201);
	sim_teardown();
}

static void hypervisor_time_is_told_apart(void **state)
{
	(void)state;
	sim_setup("bvt", 1);
	struct sim_task *t = sim_vcpu(sim_vm(256), 8 * MS, 2 * MS);
	sim_run(4 * MS); /* in the middle of a burst, from here on every time */
	for (unsigned i = 0; i < 100; i++) {
		sim_run(10 * MS);
		if (sim_current(0))
			t->task.hypervisor += (i64)MS;
	}
	sim_run(3 * MS);
	struct task_times times = task_times(&t->task);
	assert_true(times.hypervisor > 50 * MS && times.hypervisor <= 100 * MS);
	assert_true(times.run + times.hypervisor + times.blocked + times.ready == shim_tsc - sim_started);
	sim_teardown();
}

/* Nobody else wants the CPU, so its state does not change for long. */
static void hypervisor_time_shows_at_once(void **state)
{
	(void)state;
	sim_setup("bvt", 1);
	struct sim_task *t = sim_vcpu(sim_vm(256), 0, 0);
	sim_run(10 * MS);
	t->task.hypervisor += (i64)MS;
	struct task_times times = task_times(&t->task);
	assert_int_equal(times.hypervisor, MS);
	assert_int_equal(times.run, 9 * MS);
	t->task.hypervisor = (i64)SECOND; /* more than there was, or than none */
	assert_int_equal(task_times(&t->task).run, 0);
	t->task.hypervisor = -(i64)MS;
	assert_int_equal(task_times(&t->task).run, 10 * MS);
	sim_teardown();
}

/* What a handler took is within the exit that it came in, and is not the hypervisor's work for the task. */
static void an_exit_is_charged_once(void **state)
{
	(void)state;
	sim_setup("bvt", 1);
	struct sched_group *a = sim_vm(256), *b = sim_vm(256);
	struct sim_task *t = sim_vcpu(a, 10 * MS, MS);
	sim_run(MS);
	shim_tsc += 1000;
	sched_charge(b, 600);
	t->task.hypervisor += 1000; /* the exit, at its end */
	sim_leave(0, t, true);
	struct task_times times = task_times(&t->task);
	assert_int_equal(times.hypervisor, 400);
	assert_int_equal(times.ready, 600);
	assert_int_equal(times.run, MS);
	assert_int_equal(b->billed, 600);
	sim_teardown();
}

/* Nobody runs: the time of the interrupt is whom it is for's alone, and not the CPU's as well. */
static void an_interrupt_of_an_idle_cpu(void **state)
{
	(void)state;
	for (unsigned idle = 0; idle < 2; idle++) {
		sim_setup("bvt", 1);
		struct sched_group *b = sim_vm(256);
		self()->halted = idle;
		shim_tsc += MS;
		sched_charge(b, 300);
		sched_charge(NULL, 200);
		struct sched_cpu_times own = sched_cpu_times_at(0, shim_tsc);
		assert_int_equal(b->billed, 300);
		assert_int_equal(own.idle, idle ? MS - 500 : 0);
		assert_int_equal(own.hypervisor, idle ? 200 : MS - 300);
		sim_teardown();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(everything_is_accounted),
	    cmocka_unit_test(a_task_has_one_state_at_a_time),
	    cmocka_unit_test(interrupts_are_paid_for_by_whom_they_are_for),
	    cmocka_unit_test(who_is_interrupted_waits),
	    cmocka_unit_test(the_rest_of_an_interrupt),
	    cmocka_unit_test(hypervisor_time_is_told_apart),
	    cmocka_unit_test(hypervisor_time_shows_at_once),
	    cmocka_unit_test(an_exit_is_charged_once),
	    cmocka_unit_test(an_interrupt_of_an_idle_cpu),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
