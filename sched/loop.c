/* SPDX-License-Identifier: Apache-2.0 */
/* The scheduler's loop of one CPU, on the CPU's own stack: a switch that has more to do than to ask this
 * CPU's queue goes by it (handover.c and linger.c have the short ways), and a task that ended can be freed
 * there. No other CPU takes a task before its stack is free. */
#include "internal.h"

int sched_init(bool (*idle)(void))
{
	struct sched_cpu *s = heap_alloc(sizeof(*s));
	if (!s)
		return ERR_NOMEM;
	s->first_key = VT_NONE;
	s->started = s->times_since = tsc_now();
	list_init(&s->near);
	s->far_from = ~(u64)0;
	list_init(&s->work);
	list_init(&s->pollers);
	s->index = this_cpu()->index;
	s->next_deadline = s->first_deadline = s->slice_end = NEVER;
	sched_constants_init();
	s->idle = idle;
	this_cpu()->sched = s;
	return 0;
}

void sched_resched_now(void)
{
	timer_update_next(self());
}

/* On the scheduler's stack, after the switch from the task's. */
void task_left(struct sched_cpu *s)
{
	struct task *t = s->leaving;
	spin_lock(&s->lock);
	t->portable = s->left_portable;
	bool ready = t->state == TASK_READY && !t->queued, dead = t->state == TASK_DEAD;
	/* Release: who sees that the stack is free also sees what the task did. */
	__atomic_store_n(&t->on_cpu, false, __ATOMIC_RELEASE);
	spin_unlock(&s->lock);
	if (ready)
		queue_place(t, READY_RAN);
	else if (dead && t->exited)
		t->exited(t); /* t may be gone after this */
}

static bool something_came(const struct sched_cpu *s)
{
	return cpu_kicked() || __atomic_load_n(&s->roused, __ATOMIC_RELAXED) ||
	       __atomic_load_n(&s->nr_ready, __ATOMIC_RELAXED) || !list_empty(&s->work) ||
	       __atomic_load_n(&s->resched, __ATOMIC_RELAXED) || s->next_deadline <= tsc_now();
}

void wait_for_interrupt(struct sched_cpu *s)
{
	times_cpu(s, tsc_now(), false);
	s->slice_end = NEVER;
	timer_update_next(s);
	__atomic_store_n(&s->halted, true, __ATOMIC_RELAXED);
	cpu_doze();
	for (; !something_came(s); cpu_poll_interrupts())
		if (!s->idle || !s->idle()) {
			apic_timer_arm(timer_next());
			cpu_idle_wait();
			break;
		}
	times_cpu(s, tsc_now(), true);
	__atomic_store_n(&s->halted, false, __ATOMIC_RELAXED);
	cpu_wake_up();
}

void timers_serve(struct sched_cpu *s)
{
	u64 now = tsc_now();
	resched_clear(s);
	if (s->next_deadline <= now)
		timer_run(now);
}

struct task *sched_next(struct sched_cpu *s)
{
	timers_serve(s);
	if (unlikely(!list_empty(&s->work))) /* who queues more from elsewhere makes us look again */
		work_run(s);
	return queue_take(s);
}

__attribute__((noreturn)) static void run_polling(struct sched_cpu *s)
{
	for (;;) {
		timers_serve(s);
		work_run(s);
		poll_step(s);
	}
}

void sched_run(void)
{
	struct sched_cpu *s = self();
	s->index = this_cpu()->index; /* it may have changed while CPUs were left out */
	if (sched_polling & BIT(s->index))
		run_polling(s);
	__atomic_fetch_or(&sched_online, BIT(s->index), __ATOMIC_RELEASE);
	if (!s->index)
		rebase_start();
	for (;;) {
		struct task *t = s->picked ? s->picked : sched_next(s);
		s->picked = NULL;
		if (t) {
			task_switch(&s->sp, t->sp);
			task_left(s);
		} else if (list_empty(&s->work) && !s->resched) {
			wait_for_interrupt(s);
		}
	}
}
