/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of sched/. */
#pragma once

#include "sched.h"

#define SLICE_NS 5000000u

static inline struct sched_cpu *self(void)
{
	return this_cpu()->sched;
}

/* ---- queue.c: run queues; who may run where ---- */
extern u64 sched_online; /* CPUs whose scheduler's loop runs, by index; atomic */
/* Locks the run queue that the task belongs to. */
struct sched_cpu *task_lock(struct task *t);
bool task_allowed(const struct task *t, const struct sched_cpu *s);
/* With the lock of t->cpu. A paused task stays out. */
void queue_insert(struct sched_cpu *s, struct task *t);
void queue_remove(struct sched_cpu *s, struct task *t);
/* Makes the CPU look at its work and its queue again. */
void queue_resched(struct sched_cpu *s);
/* Puts a task that is ready and in no queue where it may run; without locks. */
void queue_place(struct task *t);
/* This CPU's next task, taken out of its queue and made the current one; NULL: there is none. */
struct task *queue_take(struct sched_cpu *s);

/* The running task has had its turn. */
void queue_slice_over(void *opaque);

/* ---- times.c ---- */
/* The task changes its state now: the time since the last change is accounted. With the lock of t->cpu. */
void times_account(struct task *t, u64 now, enum task_state state);

/* ---- work.c ---- */
void work_run(struct sched_cpu *s);

/* ---- timer.c ---- */
/* After resched has changed: next_deadline follows. On this CPU. */
void timer_update_next(struct sched_cpu *s);

/* ---- switch.asm ---- */
void task_switch(u64 **save, u64 *load);
