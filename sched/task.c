/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks and the scheduler loop of one CPU. Every switch goes through the scheduler's own context, on
 * the CPU's boot stack; so a task that ended can be freed there. Policy: first come, first served,
 * with a time slice. */
#include "host.h"
#include "log.h"
#include "sched.h"

#define SLICE_NS 5000000u

void task_switch(u64 **save, u64 *load);

static struct sched_cpu *self(void)
{
	return this_cpu()->sched;
}

static void slice_over(void *opaque)
{
	struct sched_cpu *s = opaque;
	s->resched = !list_empty(&s->ready) || !list_empty(&s->work);
}

int sched_init(bool (*idle)(void))
{
	struct sched_cpu *s = heap_alloc(sizeof(*s));
	if (!s)
		return ERR_NOMEM;
	list_init(&s->ready);
	list_init(&s->timers);
	s->next_deadline = ~(u64)0;
	list_init(&s->work);
	timer_init(&s->slice, slice_over, s);
	s->idle = idle;
	this_cpu()->sched = s;
	return 0;
}

void work_init(struct work *w, void (*run)(void *opaque), void *opaque)
{
	list_init(&w->node);
	w->run = run;
	w->opaque = opaque;
	w->queued = false;
}

void work_queue(struct work *w)
{
	struct sched_cpu *s = self();
	if (w->queued)
		return;
	w->queued = true;
	list_insert(&s->work, &w->node);
	if (s->current) /* a task may run for ever: its turn ends now */
		timer_set(&s->slice, tsc_now());
}

static void work_run(struct sched_cpu *s)
{
	while (!list_empty(&s->work)) {
		struct work *w = list_entry(s->work.next, struct work, node);
		list_remove(&w->node);
		w->queued = false;
		w->run(w->opaque);
	}
}

/* The first return from task_switch() into a new task lands here. */
static void task_begin(void);

/* What task_switch() pops, and above it what task_begin() finds in RBX and R12. */
struct task_frame {
	u64 r15, r14, r13, r12, rbp, rbx, rip, pad;
};

void task_init(struct task *t, void *stack_top, void (*entry)(void *opaque), void *opaque)
{
	struct task_frame *f = (struct task_frame *)stack_top - 1;
	*f = (struct task_frame){.rbx = (u64)entry, .r12 = (u64)opaque, .rip = (u64)task_begin};
	list_init(&t->node);
	t->sp = (u64 *)f;
	t->state = TASK_NEW;
	t->woken = false;
}

/* Entered by RET with RSP ≡ 8 (mod 16), as after a call. */
__attribute__((naked)) static void task_begin(void)
{
	__asm__("mov %r12, %rdi\n\t"
		"xor %ebp, %ebp\n\t"
		"call *%rbx\n\t"
		"ud2");
}

void task_wake(struct task *t)
{
	struct sched_cpu *s = self();
	if (t->state == TASK_RUNNING || t->state == TASK_READY) {
		t->woken = true;
		return;
	}
	if (t->state == TASK_DEAD)
		return;
	t->state = TASK_READY;
	list_insert(&s->ready, &t->node);
	if (s->current && !s->slice.armed)
		timer_set(&s->slice, tsc_now() + ns_to_tsc(SLICE_NS));
}

static void task_leave(enum task_state state)
{
	struct sched_cpu *s = self();
	struct task *t = s->current;
	t->state = state;
	if (state == TASK_READY)
		list_insert(&s->ready, &t->node);
	s->current = NULL;
	task_switch(&t->sp, s->sp);
}

void task_block(void)
{
	struct task *t = self()->current;
	if (t->woken)
		t->woken = false;
	else
		task_leave(TASK_BLOCKED);
}

void task_yield(void)
{
	task_leave(TASK_READY);
}

bool task_should_yield(void)
{
	return self()->resched;
}

void task_exit(void)
{
	task_leave(TASK_DEAD);
	panic("a task that ended was run again");
}

static void run_next(struct sched_cpu *s)
{
	struct task *t = list_entry(s->ready.next, struct task, node);
	list_remove(&t->node);
	t->state = TASK_RUNNING;
	t->woken = false;
	s->current = t;
	s->resched = false;
	if (list_empty(&s->ready))
		timer_cancel(&s->slice);
	else
		timer_set(&s->slice, tsc_now() + ns_to_tsc(SLICE_NS));
	task_switch(&s->sp, t->sp);
}

static void wait_for_interrupt(struct sched_cpu *s)
{
	apic_timer_arm(timer_next());
	if (s->idle && s->idle())
		cpu_poll_interrupts();
	else
		cpu_idle_wait();
}

void sched_run(void)
{
	struct sched_cpu *s = self();
	for (;;) {
		timer_run(tsc_now());
		work_run(s);
		if (!list_empty(&s->ready))
			run_next(s);
		else if (list_empty(&s->work))
			wait_for_interrupt(s);
	}
}
