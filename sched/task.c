/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks: how they begin, wait, are woken and end. A change of state happens under the lock of the run
 * queue that the task belongs to, so no wake is lost between a look at the reason to wait and the wait. */
#include "internal.h"
#include "log.h"

/* The first return from task_switch() into a new task lands here. */
static void task_begin(void);

/* What task_switch() pops, and above it what task_begin() finds in RBX and R12. */
struct task_frame {
	u64 r15, r14, r13, r12, rbp, rbx, rip, pad;
};

void task_init(struct task *t, struct sched_group *group, void *stack_top, void (*entry)(void *opaque),
	       void *opaque)
{
	struct task_frame *f = (struct task_frame *)stack_top - 1;
	*f = (struct task_frame){.rbx = (u64)entry, .r12 = (u64)opaque, .rip = (u64)task_begin};
	*t = (struct task){.group = group,
			   .sp = (u64 *)f,
			   .cpu = self(),
			   .affinity = ~(u64)0,
			   .vt = group->vt,
			   .rebases = group->vt_rebases};
	timer_init(&t->unpark, queue_unpark, t, NULL);
}

void task_destroy(struct task *t)
{
	timer_destroy(&t->unpark);
	struct sched_group *g = t->group;
	if (!g)
		return;
	g->vt = rebase_catch_up(g->vt, &g->vt_rebases);
	g->vt = MAX(g->vt, rebase_catch_up(t->vt, &t->rebases));
}

/* Entered by RET with RSP ≡ 8 (mod 16), as after a call. */
__attribute__((naked)) static void task_begin(void)
{
	__asm__("call task_arrived\n\t"
		"mov %r12, %rdi\n\t"
		"xor %ebp, %ebp\n\t"
		"call *%rbx\n\t"
		"ud2");
}

/* ---- from outside ---- */
void task_wake(struct task *t)
{
	if (self()->current == t) { /* nobody but itself changes its state now */
		t->woken = true;
		return;
	}
	struct sched_cpu *s = task_lock(t);
	if (t == s->resident && s->rests) { /* it does the rest itself */
		__atomic_store_n(&s->rests, false, __ATOMIC_RELAXED);
		__atomic_store_n(&s->roused, true, __ATOMIC_RELAXED);
		spin_unlock(&s->lock);
		cpu_kick(s->index);
		return;
	}
	if (t->state == TASK_NEW || t->state == TASK_BLOCKED) {
		u64 now = tsc_now();
		times_account(t, now, TASK_READY);
		group_count(t, true, now);
		queue_place_locked(s, t, READY_WOKEN, now);
		return;
	}
	if (t->state != TASK_DEAD)
		t->woken = true;
	if (t->state == TASK_RUNNING && s != self())
		cpu_kick(s->index);
	spin_unlock(&s->lock);
}

void task_detach(struct task *t)
{
	if (!t->portable && t->leave)
		t->leave(t);
	t->portable = true;
}

int task_set_affinity(struct task *t, u64 mask)
{
	u64 existing = cpu_count() < 64 ? BIT(cpu_count()) - 1 : ~(u64)0;
	if (!(mask & existing & ~sched_polling))
		return ERR_INVAL;
	struct sched_cpu *s = task_lock(t);
	__atomic_store_n(&t->affinity, mask, __ATOMIC_RELAXED);
	if (!task_allowed(t, s) && (t->state == TASK_RUNNING || t->queued))
		queue_resched(s);
	spin_unlock(&s->lock);
	return 0;
}

/* ---- the calling task ---- */

void task_leave(struct sched_cpu *s, struct task *t)
{
	s->left_portable = task_unload(t);
	s->leaving = t;
	task_switch(&t->sp, s->sp);
	task_arrived();
}

void task_give_way(void)
{
	self()->current->gives_way = true;
	task_yield();
}

void task_exit(void)
{
	struct sched_cpu *s = self();
	struct task *t = s->current;
	spin_lock(&s->lock);
	turn_end(s, TASK_DEAD, true, tsc_now());
	spin_unlock(&s->lock);
	task_leave(s, t);
	panic("a task that ended was run again");
}
