/* SPDX-License-Identifier: Apache-2.0 */
/* Who runs next (owner: sched/): timers, deferred work, tasks. Knows nothing of VT-x. Everything runs with
 * interrupts off; each CPU has its own queues, each with a lock of its own. Order of locks: a device's,
 * then a run queue's, then a timer or work queue's; or then a group's, then a quota's. */
#pragma once

#include "host.h"
#include "list.h"
#include "spinlock.h"

struct sched_cpu;
struct sched_group;

/* A place in a tree by a key, such as time. */
struct vnode {
	struct vnode *left, *right, *parent;
	u64 key;
	u32 rank;
};
struct vtree {
	struct vnode *root, *first;
	u32 seed;
};

/* ---- timers ---- */
/* A timer belongs to the CPU that armed it last and fires there, in hypervisor context. Who arms and
 * cancels the same timer from several CPUs does so under a lock of his own. */
struct timer {
	union {
		struct list near;
		struct vnode far;
	};
	u64 deadline; /* absolute TSC; of one that fire() armed not before the time when it ran */
	void (*fire)(void *opaque);
	void *opaque;
	struct spinlock *lock;     /* held while fire() runs, and by all who arm or cancel; may be NULL */
	struct sched_group *group; /* who pays for fire(); NULL: whoever runs. Set after timer_init() */
	struct sched_cpu *cpu;     /* where it is armed or firing; NULL: neither. Atomic */
	bool armed;
	bool is_far; /* while it is armed: which of the CPU's two parts it is in */
};
/* lock NULL: only the task that owns the timer arms and cancels it, holding no lock that fire() takes. */
void timer_init(struct timer *t, void (*fire)(void *opaque), void *opaque, struct spinlock *lock);
/* (Re)arms it on this CPU; a deadline in the past fires at the next timer_run(). */
void timer_set(struct timer *t, u64 deadline_tsc);
/* From any CPU; true when it was armed. After this fire() does not begin any more; without a lock of its
 * own it does not run any more either. */
bool timer_cancel(struct timer *t);
/* Whether timer_cancel() would find anything to do. */
static inline bool timer_is_known(const struct timer *t)
{
	return __atomic_load_n(&t->cpu, __ATOMIC_ACQUIRE);
}
/* Before the timer's memory goes; holding no lock that fire() takes. */
void timer_destroy(struct timer *t);
/* Fires what is due on this CPU. */
void timer_run(u64 now);

/* ---- deferred work: runs once, on the scheduler stack of its CPU, before the next task; the one that runs
 * ends its turn for it ---- */
struct work {
	struct list node;
	void (*run)(void *opaque);
	void *opaque;
	bool queued; /* atomic */
};
void work_init(struct work *w, void (*run)(void *opaque), void *opaque);
/* On this CPU. Work that waits already is not queued again; it may queue itself when it runs. */
void work_queue(struct work *w);
/* On another CPU, which is woken if it sleeps; from any context but NMI. */
void work_queue_on(unsigned cpu, struct work *w);

/* ---- policy: one for the machine ---- */
/* Before the first task: "bvt", "credit" or "rr". ERR_INVAL: none of these. */
int sched_select(const char *name);
const char *sched_policy_name(void);

/* ---- quotas: a limit of time for the tasks of one group, or of several ---- */
struct sched_quota {
	unsigned cap; /* percent of one CPU, 0: none; atomic, written with the lock */
	struct spinlock lock;
	i64 budget; /* hundredths of ticks that it leaves */
	u64 since;  /* when that was so */
	u64 front;  /* what the last of `groups` had spent for its weight, while there are none */
	struct vtree
	    groups; /* that share it and have tasks that can run, by what they spent for their weight */
};
void sched_quota_init(struct sched_quota *q); /* no cap */
#define SCHED_CAP_MAX (100u * MAX_CPUS)
/* At any time, from any CPU. ERR_INVAL: beyond SCHED_CAP_MAX. */
int sched_quota_set(struct sched_quota *q, u64 cap);

/* ---- groups: what one VM is for the scheduler ---- */
#define SCHED_WEIGHT_DEFAULT 256u
struct sched_group {
	/* Parameters; see sched_set(). */
	unsigned weight, warp, warp_limit, unwarp;
	bool limited; /* one of the quotas may have a cap */
	struct sched_quota quota;
	struct sched_quota *shared; /* with other groups; NULL: none. Its lock is for these two: */
	struct vnode turns;
	bool has_turns;
	u64 billed; /* to it while no task of it ran: TSC ticks, atomic */

	struct spinlock lock; /* what follows, and changes of the parameters */
	unsigned runnable;    /* tasks that share its weight now */
	u64 clock, clock_since;
	u64 turn;          /* the tag of its next turn (rr) */
	u32 turn_rebases;  /* as of which of sched_rebases */
	u64 vt;            /* the latest virtual time of its tasks that are gone: new ones begin there */
	u32 vt_rebases;    /* as turn_rebases */
	u64 billed_unpaid; /* of `billed`, not yet in a task's virtual time; atomic */
	/* See sched_go_on(): a rest in the own time of a CPU, NULL: none, and its end, TSC, in any case. */
	struct sched_cpu *rests_on;
	u64 rests_until, rests_end;
};
void sched_group_init(struct sched_group *g);
/* In the place of a group that has no tasks any more: with parameters as after sched_group_init(), but what
 * that one owed is owed still, so that a VM gains nothing by ending and beginning again. */
void sched_group_succeed(struct sched_group *g, const struct sched_group *past);
/* What all groups of one quota get together is limited by it as well. Before the group's first task. */
void sched_group_share(struct sched_group *g, struct sched_quota *q);
/* The time that this CPU has just spent to make a group whose tasks have not begun: it is billed to the
 * group, and its tasks begin that much later. Not while a task runs here. */
void sched_charge_beginning(struct sched_group *g, u64 ticks);
/* At any time, from any CPU:
 *   weight      1 .. 65535, its share in proportion to others', 256 by default
 *   cap         percent of one CPU that all its tasks together get at most, 0: no cap
 *   warp        microseconds of virtual time that bvt lets it borrow, 0: none
 *   warp_limit  microseconds that it may run warped without a pause, 0: no limit
 *   unwarp      microseconds that it stays unwarped after that
 * ERR_INVAL with what was expected in why: the parameter is none of these, the value is out of range. */
int sched_set(struct sched_group *g, const char *name, u64 value, char *why, size_t why_size);
/* ERR_INVAL: no such parameter. */
int sched_get(const struct sched_group *g, const char *name, u64 *value);
/* The time that this CPU has just spent on behalf of a group, in an interrupt, say: it is billed to the
 * group, NULL: to the hypervisor; and the task that was running has waited meanwhile. */
void sched_charge(struct sched_group *g, u64 ticks);
/* A piece of work for g has just taken so many ticks here, beside its tasks: when the next piece may begin,
 * TSC. At once, where nobody else wants this CPU; else so much later that g has no more than its share of it
 * beside the tasks here (of 8 VMs at least) and beside what other groups have put off to it, after up to
 * 100 ms in which it did no such work, and a second in all; and when g's cap allows. Whether there is more to
 * do or not: the next piece waits for what the last one took. NULL: at once. Holding no lock of the
 * scheduler. */
u64 sched_go_on(struct sched_group *g, u64 ticks, u64 now);
/* When g's rest is over, as far as is known now: others may do work meanwhile, so ask again then. now: g may
 * go on. */
u64 sched_rests_until(struct sched_group *g, u64 now);
/* An interrupt is about to be handled that has taken so many ticks already: the first who is charged for it
 * pays for those, too. 0: it was handled. */
static inline void sched_before(u64 ticks);

/* ---- tasks ---- */
enum task_state { TASK_NEW, TASK_READY, TASK_RUNNING, TASK_BLOCKED, TASK_DEAD };

/* Time in TSC ticks since the task was made. run: on a CPU, without hypervisor: the hypervisor at work
 * for it; ready: it could have run (what guests know as stolen time). */
struct task_times {
	u64 run, ready, blocked, hypervisor;
};

struct task {
	struct vnode node; /* in the run queue; its key is the effective virtual time */
	u64 *sp;           /* where its registers are saved while it does not run */
	struct sched_group *group;
	/* Called on the CPU that holds the task's state in its registers, when another CPU may take it. */
	void (*leave)(struct task *t);
	/* Called on the scheduler's stack after the task has ended and left its own; the memory of the
	 * task may go. */
	void (*exited)(struct task *t);

	/* Under the run-queue lock of `cpu`. */
	struct sched_cpu *cpu; /* whose run queue it belongs to; changes under the lock of the old one */
	u64 affinity;          /* CPUs that may run it, by index */
	enum task_state state;
	bool queued;
	bool woken;     /* a wake that came while it ran: its next block returns at once */
	bool portable;  /* no CPU holds its state: another may take it */
	bool parked;    /* its group has used up its cap: not in the queue until `unpark` fires */
	bool counted;   /* among its group's runnable ones */
	bool gives_way; /* it lets the first of the queue go first, once */
	bool unwarped;  /* it used up its warp limit */
	u32 rebases;    /* its vt is as of which of sched_rebases */
	u64 vt;         /* actual virtual time */
	u64 warp_ran, unwarped_since; /* bvt */
	u64 turn_ran;                 /* rr: of its turn */
	struct timer unpark;

	i64 hypervisor; /* TSC ticks in the hypervisor since it was last accounted; the running task's own */
	bool on_cpu;    /* its stack is in use; atomic: released after the switch to another */

	/* Written by the CPU that runs it or changes its state, an odd count while it does. */
	u32 times_seq;
	u64 since; /* when its state changed last */
	struct task_times times;
};

/* TSC ticks that were no task's. */
struct sched_cpu_times {
	u64 idle, hypervisor;
};

/* What a CPU's scheduler knows; struct cpu points to it. */
struct sched_cpu {
	u64 next_deadline;    /* the least of the next two, 0 when the task is to give up the CPU, ~0: none */
	u64 first_deadline;   /* of the first timer, ~0: none; atomic */
	u64 slice_end;        /* when the running task's slice is over, ~0: never */
	bool resched;         /* the running task is to give up the CPU; atomic */
	unsigned index;       /* of the CPU */
	struct task *current; /* NULL in the scheduler's own context; written under the lock */
	u64 *sp;              /* the scheduler's context while a task runs */
	struct task *leaving; /* has just switched to the scheduler's context */
	struct task *left;    /* has just switched to another task's; NULL: none */
	bool left_portable;   /* and its leave() was called */
	struct task *resident; /* blocked, and the CPU idles on its stack */
	bool rests;            /* so far; atomic, written under the lock: a wake ends it */
	bool roused;           /* it was woken, and has not seen it yet; atomic, as that */
	struct task *picked;   /* to run next, its turn has begun already */
	bool (*idle)(void); /* a bit of something useful before halting; true: there is more; may be NULL */

	struct spinlock lock;
	struct vtree ready;
	unsigned nr_ready; /* these three are written under the lock and read by CPUs that look for work */
	u64 first_key;     /* of the first ready task, ~0: none */
	u64 current_key;   /* of the running one when it began, 0: none */
	u64 svt;           /* scheduler virtual time: the least of the tasks that can run here */
	u64 run_since, run_clock; /* the running task's turn, or what is not charged of it yet */
	u64 stolen;               /* ticks of it that were billed to others; atomic */
	u64 before;               /* of it that nobody pays for yet; see sched_before() */
	u64 way;                  /* ticks from a task that left of its own accord to the next, last time */
	bool left_freely;         /* `way` is to be measured */
	u64 put_off;              /* ticks of work beside tasks, see sched_go_on(); atomic */
	/* These are written by the CPU itself, an odd count while it does. */
	u32 times_seq;
	bool halted; /* what is not in `times` yet is idle time */
	struct sched_cpu_times times;
	u64 times_since; /* since when the scheduler's own time is not in `times` */
	u64 started;     /* what is accounted began then */

	struct spinlock timer_lock;
	struct list near; /* the next timers, by deadline, and how many; see timer.c */
	unsigned nr_near;
	struct vtree far;     /* the others */
	u64 far_from;         /* the first deadline of those, ~0: there are none */
	struct timer *firing; /* whose fire() runs, or is about to */
	u64 firing_end; /* deadlines before this one fire in the timer_run() that goes on, 0: none does */
	bool fire_cancelled;

	struct spinlock work_lock;
	struct list work;

	struct spinlock poll_lock; /* held over a round; see poll.h */
	struct list pollers;
	unsigned nr_pollers; /* atomic */
};

static inline void sched_before(u64 ticks)
{
	this_cpu()->sched->before = ticks;
}

/* Earliest deadline on this CPU, absolute TSC; ~0 when there is none. */
static inline u64 timer_next(void)
{
	return __atomic_load_n(&this_cpu()->sched->next_deadline, __ATOMIC_RELAXED);
}

/* Where it stands, for who asks at every VM entry; for as long as the caller stays on this CPU. */
static inline const u64 *timer_next_word(void)
{
	return &this_cpu()->sched->next_deadline;
}

/* Once per CPU, before anything else here. */
int sched_init(bool (*idle)(void));
/* The scheduler's loop of this CPU; does not return. */
__attribute__((noreturn)) void sched_run(void);

/* The task will start in entry(opaque), on the stack that ends at stack_top (16-byte aligned). It
 * belongs to this CPU until it is woken. */
void task_init(struct task *t, struct sched_group *group, void *stack_top, void (*entry)(void *opaque),
	       void *opaque);
/* Before the memory of a task goes that has ended, or was never woken; or never made, then it is all zeros.
 */
void task_destroy(struct task *t);
/* The CPUs that may run it, by index. ERR_INVAL when none of them runs tasks. */
int task_set_affinity(struct task *t, u64 mask);
/* Of a task that does not run, on the CPU that may hold its state: any CPU may take it from now on. */
void task_detach(struct task *t);
/* Makes a new or blocked task ready, or ends the run of one that runs on another CPU, so that it looks
 * at what has changed. From any CPU and any context but NMI. */
void task_wake(struct task *t);
/* The calling task waits for task_wake(). */
void task_block(void);
/* The same, for one whose state is dear to unload: while its CPU has nothing else to do, that idles on the
 * task's stack, and no other CPU takes the task. */
void task_linger(void);
/* The calling task lets others run first that are behind it. */
void task_yield(void);
/* The same, and for once the next one that waits here, whose time it is not yet. */
void task_give_way(void);
/* The calling task, which is about to yield, lets one of its group run in its place: next on this CPU, unless
 * another group's is far behind. False: that one waits for no CPU, or must not come to this one. */
bool task_give_place(struct task *t);
/* Whether the calling task is to call task_yield() before it goes on. */
static inline bool task_should_yield(void)
{
	return __atomic_load_n(&this_cpu()->sched->resched, __ATOMIC_RELAXED);
}
/* After an interrupt that ended a guest's run: the guest does not go on before task_should_yield() was
 * looked at, as after a deadline. */
void sched_resched_now(void);
static inline void sched_interrupted(void)
{
	if (unlikely(task_should_yield()))
		sched_resched_now();
}
/* Whether its stack is in use. Acquire: after false, what it did is visible. */
static inline bool task_on_cpu(const struct task *t)
{
	return __atomic_load_n(&t->on_cpu, __ATOMIC_ACQUIRE);
}
/* The calling task ends; exited() follows. */
__attribute__((noreturn)) void task_exit(void);
/* Up to now, from any CPU, all of one moment. */
struct task_times task_times(const struct task *t);
/* Up to a moment that has just passed. */
struct task_times task_times_at(const struct task *t, u64 now);
struct sched_cpu_times sched_cpu_times_at(unsigned index, u64 now);
/* TSC from which on all time of a CPU is some task's, some group's bill, or its own. */
u64 sched_cpu_started(unsigned index);

/* ---- checks: what must hold at any moment (sched/check.c) ---- */
/* Between the two no task changes its state, its queue or its CPU. Short: every CPU waits that wants to. */
void sched_freeze(void);
void sched_thaw(void);
/* What is wrong, with two figures. */
struct sched_finding {
	void (*report)(void *opaque, const char *what, u64 a, u64 b);
	void *opaque;
};
/* Frozen: the run queue of a CPU is a queue, and what the CPU says of it and of its current task is so. How
 * many tasks wait in it. */
unsigned sched_check_cpu(unsigned index, u64 now, const struct sched_finding *f);
/* Frozen: the task is where its state says, and is not forgotten there. */
void sched_check_task(const struct task *t, u64 now, const struct sched_finding *f);
/* Frozen: the group agrees with its tasks, of which so many are `counted`. */
void sched_check_group(const struct sched_group *g, unsigned counted, const struct sched_finding *f);
/* The timers of a CPU stand by their deadlines, and none was forgotten. */
void sched_check_timers(unsigned index, u64 now, const struct sched_finding *f);
/* Whether it is armed and waits in its CPU's list, or is being fired. */
bool timer_is_waiting(const struct timer *t);
