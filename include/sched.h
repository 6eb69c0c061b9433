/* SPDX-License-Identifier: Apache-2.0 */
/* Who runs next (owner: sched/): timers, tasks, deferred work. Knows nothing of VT-x. All of it is per
 * CPU and runs with interrupts off. */
#pragma once

#include "host.h"
#include "list.h"

/* ---- timers ---- */
/* A timer belongs to the CPU that armed it last and fires there, in hypervisor context. */
struct timer {
	struct list node;
	u64 deadline; /* absolute TSC */
	void (*fire)(void *opaque);
	void *opaque;
	bool armed;
};
void timer_init(struct timer *t, void (*fire)(void *opaque), void *opaque);
/* (Re)arms; a deadline in the past fires at the next timer_run(). */
void timer_set(struct timer *t, u64 deadline_tsc);
void timer_cancel(struct timer *t);
/* Fires what is due on this CPU. */
void timer_run(u64 now);

/* ---- deferred work: runs once on this CPU's scheduler stack, before the next task; the one that runs
 * ends its turn for it ---- */
struct work {
	struct list node;
	void (*run)(void *opaque);
	void *opaque;
	bool queued;
};
void work_init(struct work *w, void (*run)(void *opaque), void *opaque);
void work_queue(struct work *w);

/* ---- tasks ---- */
enum task_state { TASK_NEW, TASK_READY, TASK_RUNNING, TASK_BLOCKED, TASK_DEAD };

struct task {
	struct list node;
	u64 *sp; /* where its registers are saved while it does not run */
	enum task_state state;
	bool woken; /* a wake that came while it ran: its next block returns at once */
};

/* What a CPU's scheduler knows; struct cpu points to it. */
struct sched_cpu {
	struct list ready;
	struct list timers; /* by deadline */
	u64 next_deadline;  /* of the first timer; ~0 when there is none */
	struct list work;
	struct task *current; /* NULL in the scheduler's own context */
	u64 *sp;              /* the scheduler's context while a task runs */
	struct timer slice;
	bool resched;       /* the slice is over and another task is ready */
	bool (*idle)(void); /* a bit of something useful before halting; true: there is more; may be NULL */
};

/* Earliest deadline on this CPU, absolute TSC; ~0 when there is none. */
static inline u64 timer_next(void)
{
	return this_cpu()->sched->next_deadline;
}

/* Once per CPU, before anything else here. */
int sched_init(bool (*idle)(void));
/* The scheduler's loop of this CPU; does not return. */
__attribute__((noreturn)) void sched_run(void);

/* The task will start in entry(opaque), on the stack that ends at stack_top (16-byte aligned). */
void task_init(struct task *t, void *stack_top, void (*entry)(void *opaque), void *opaque);
/* Makes a new or blocked task ready; from any context of this CPU. */
void task_wake(struct task *t);
/* The calling task waits for task_wake(). */
void task_block(void);
/* The calling task goes to the end of the queue. */
void task_yield(void);
/* Whether the calling task's slice is over. */
bool task_should_yield(void);
/* The calling task ends; its memory may be freed by work queued before. */
__attribute__((noreturn)) void task_exit(void);
