/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of sched/. */
#pragma once

#include "sched.h"

/* Virtual time: a task that runs alone at the default weight ages VT_PER_TICK in a TSC tick. */
#define VT_ONE 65536u
#define VT_PER_TICK (VT_ONE / SCHED_WEIGHT_DEFAULT)
#define VT_NONE (~(u64)0)
#define NEVER (~(u64)0)

/* In TSC ticks, or in virtual time at the default weight; set by sched_init(). */
struct sched_constants {
	u64 ms;
	u64 lead, lead_vt; /* how far behind makes a task worth moving to another CPU */
	u64 frame_vt;      /* how far a task's time may be from that of a CPU it comes to */
	u64 cap_period;    /* a capped VM may run this long times its cap at a stretch */
};
extern struct sched_constants sched_const;
void sched_constants_init(void);

enum ready_why { READY_WOKEN, READY_RAN, READY_MOVED };

/* Pure logic over virtual times; called with the lock of the CPU in question. */
struct sched_policy {
	const char *name;
	/* The task is about to wait in the queue of s: sets vt and node.key. */
	void (*ready)(struct task *t, const struct sched_cpu *s, enum ready_why why, u64 now);
	/* It ran for `ticks`, which are vticks for its weight as it is shared. */
	void (*ran)(struct task *t, u64 ticks, u64 vticks, u64 now);
	/* How many ticks it may run from now before `next` is to be considered; next may be NULL. */
	u64 (*slice)(struct task *t, const struct task *next, u64 now);
	/* After how many more ticks of `current`, which was charged up to now after its turn of `ran` ticks,
	 * the woken task is to run; 0: now, ~0: not before the end of the slice. */
	u64 (*preempts)(struct task *woken, struct task *current, u64 ran, u64 now);
};
extern const struct sched_policy sched_bvt, sched_credit, sched_rr;
extern const struct sched_policy *policy;

static inline struct sched_cpu *self(void)
{
	return this_cpu()->sched;
}

/* ---- queue.c: run queues; who may run where ---- */
extern u64 sched_polling; /* CPUs that poll and run no task; written before the others run */
void poll_step(struct sched_cpu *s);
extern u64 sched_online; /* CPUs whose scheduler's loop runs, by index; atomic */
/* Locks the run queue that the task belongs to. */
struct sched_cpu *task_lock(struct task *t);
static inline bool task_allowed(const struct task *t, const struct sched_cpu *s)
{
	return __atomic_load_n(&t->affinity, __ATOMIC_RELAXED) >> s->index & 1;
}
/* With the lock of t->cpu. One that its cap has parked stays out. */
void queue_insert(struct sched_cpu *s, struct task *t, enum ready_why why, u64 now);
void queue_remove(struct sched_cpu *s, struct task *t);
/* Sets its virtual time and key as if it were to wait there. With the lock. */
void queue_ready(struct sched_cpu *s, struct task *t, enum ready_why why, u64 now);
/* As its key says, and no more. */
void queue_put(struct sched_cpu *s, struct task *t);
/* Makes the CPU look at its work and its queue again. */
void queue_resched(struct sched_cpu *s);
/* Puts a task that is ready and in no queue where it may run; without locks. */
void queue_place(struct task *t, enum ready_why why);
/* The same, with the lock of its CPU, which is released. */
void queue_place_locked(struct sched_cpu *s, struct task *t, enum ready_why why, u64 now);
/* The fire() of a task's `unpark`. */
void queue_unpark(void *opaque);
/* No other CPU idles or has tasks that this one should take when t, which may move, is about to wait here. */
bool queue_alone(const struct sched_cpu *s, const struct task *t);
/* This CPU's next task, taken out of its queue and made the current one; NULL: there is none. */
struct task *queue_take(struct sched_cpu *s);

/* No other CPU takes tasks, or has any. */
static inline bool sched_alone(void)
{
	u64 online = __atomic_load_n(&sched_online, __ATOMIC_RELAXED);
	return !(online & (online - 1));
}
static inline struct task *task_of(struct vnode *n)
{
	return n ? list_entry(n, struct task, node) : NULL;
}
static inline struct task *queue_first(const struct sched_cpu *s)
{
	return task_of(s->ready.first);
}
/* Whether a task waits on another CPU that this one should rather run than the one with that key. */
bool queue_elsewhere(const struct sched_cpu *s, u64 key);

/* ---- rebase.c: before virtual time ends, all of it goes back ---- */
extern u32 sched_rebases; /* how often; written with all run-queue locks */
void rebase_start(void);  /* on the CPU that looks after it from now on */
void rebase_now(void);
/* The virtual time of what was in no queue, nor running; *seen: as of which of them. With a run-queue lock.
 */
u64 rebase_catch_up(u64 vt, u32 *seen);

/* ---- vtree.c ---- */
void vtree_insert(struct vtree *tree, struct vnode *n);
void vtree_remove(struct vtree *tree, struct vnode *n);
struct vnode *vtree_next(const struct vnode *n);
/* The first one goes and n comes, which is not before it. */
static inline void vtree_replace_first(struct vtree *tree, struct vnode *n)
{
	struct vnode *first = tree->first;
	if (likely(tree->root == first && !first->right)) { /* the only one */
		n->left = n->right = n->parent = NULL;
		n->rank = ~(u32)0;
		tree->root = tree->first = n;
		return;
	}
	vtree_remove(tree, first);
	vtree_insert(tree, n);
}

/* ---- group.c ---- */
/* With the lock. The virtual clock of a group is what a task that runs all the time is charged: faster
 * the more tasks share the weight. */
static inline void group_clock_advance(struct sched_group *g, u64 now)
{
	if (now <= g->clock_since)
		return;
	if (g->runnable)
		g->clock += (now - g->clock_since) * VT_ONE * g->runnable / g->weight;
	g->clock_since = now;
}

/* What a task of the group ages by between two readings, if it runs all the time. */
static inline u64 group_clock(struct sched_group *g, u64 now)
{
	spin_lock(&g->lock);
	group_clock_advance(g, now);
	u64 clock = g->clock;
	spin_unlock(&g->lock);
	return clock;
}
u64 group_vticks(const struct sched_group *g, u64 ticks);
/* Whether the task counts among those that share the weight. */
void group_count(struct task *t, bool runnable, u64 now);

/* ---- quota.c: of a group that is limited ---- */
/* Of a group in whose place another one begins. */
void quota_succeed(struct sched_quota *q, const struct sched_quota *past);
/* It has a task that can run now, or none any more; a group with a shared quota. */
void quota_enter(struct sched_group *g);
void quota_leave(struct sched_group *g);
void group_spend_budget(struct sched_group *g, u64 ticks, u64 now);
static inline void group_spend(struct sched_group *g, u64 ticks, u64 now)
{
	if (unlikely(g->limited))
		group_spend_budget(g, ticks, now);
}
u64 group_budget_left(struct sched_group *g, u64 now);
/* Ticks that the cap leaves it, ~0 without one; at 0, group_wait() ticks until it may go on. */
u64 group_wait(struct sched_group *g, u64 now);
static inline u64 group_budget(struct sched_group *g, u64 now)
{
	return likely(!g->limited) ? NEVER : group_budget_left(g, now);
}

/* ---- turn.c: the turn of the running task; all with the lock ---- */
/* The latest virtual time of all CPUs; atomic. That of a CPU that nobody contended for goes on to it. */
extern u64 sched_front;
void turn_catch_up(struct sched_cpu *s);
void turn_begin(struct sched_cpu *s, struct task *t, u64 now);
/* Charges the running task up to now. */
void turn_charge(struct sched_cpu *s, u64 now);
/* freely: of its own accord. */
void turn_end(struct sched_cpu *s, enum task_state state, bool freely, u64 now);
/* Another task waits now: the slice may end sooner. */
void turn_shorten(struct sched_cpu *s, struct task *woken, u64 now);
void turn_over(struct sched_cpu *s); /* its slice is; without the lock */

/* ---- loop.c ---- */
/* After task_switch() to the scheduler's context. */
void task_left(struct sched_cpu *s);
/* Timers, work, then the next task, made the current one; NULL: nothing to do. */
struct task *sched_next(struct sched_cpu *s);
/* What is due, and a request to look again. */
void timers_serve(struct sched_cpu *s);
/* Halts until an interrupt was handled, or does a bit of something useful. */
void wait_for_interrupt(struct sched_cpu *s);

/* ---- task.c ---- */
/* The running task blocks; false when a wake had come before. It becomes the CPU's resident when nothing else
 * is there to do (linger.c). */
bool turn_block(struct sched_cpu *s, struct task *t);
/* To the scheduler's stack; the state of the task is changed already. */
void task_leave(struct sched_cpu *s, struct task *t);

/* ---- times.c ---- */
/* The TSCs of two CPUs may disagree by a little: time does not run backwards. */
static inline u64 ticks_between(u64 since, u64 now)
{
	return now > since ? now - since : 0;
}
static inline void ticks_add(struct task_times *times, enum task_state state, u64 ticks)
{
	if (state == TASK_RUNNING)
		times->run += ticks;
	else if (state == TASK_READY)
		times->ready += ticks;
	else if (state == TASK_BLOCKED)
		times->blocked += ticks;
}
static inline void seq_begin(u32 *seq)
{
	__atomic_store_n(seq, *seq + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE); /* the odd count before what follows */
}
static inline void seq_end(u32 *seq)
{
	__atomic_store_n(seq, *seq + 1, __ATOMIC_RELEASE);
}
/* As times_account(), from a state that is known. */
static inline void times_change(struct task *t, u64 now, enum task_state from, enum task_state to)
{
	seq_begin(&t->times_seq);
	u64 ticks = ticks_between(t->since, now);
	if (from == TASK_RUNNING) {
		u64 hypervisor = t->hypervisor > 0 ? MIN((u64)t->hypervisor, ticks) : 0;
		t->times.hypervisor += hypervisor;
		ticks -= hypervisor;
	}
	ticks_add(&t->times, from, ticks);
	t->since = MAX(now, t->since);
	t->state = to;
	seq_end(&t->times_seq);
}
/* The time of this CPU since it was last called is its own: the scheduler's, or idle. */
void times_cpu(struct sched_cpu *s, u64 now, bool idle);
/* The task changes its state now: the time since the last change is accounted. With the lock of t->cpu. */
void times_account(struct task *t, u64 now, enum task_state state);
/* The running task's last ticks were spent for others. */
void times_lend(struct task *t, u64 ticks);
/* And what that is for the times of the CPU itself. */
void times_charged(struct sched_cpu *s, const struct sched_group *g, u64 ticks);

/* ---- handover.c ---- */
/* On the CPU that holds the state of the task: true when another may have it, which is then in memory. */
bool task_unload(struct task *t);
/* After every task_switch() to a task. */
void task_arrived(void);

/* ---- work.c ---- */
void work_run(struct sched_cpu *s);

/* ---- timer.c ---- */
/* After resched or slice_end has changed: next_deadline follows. It is this CPU's own, so no lock: a timer
 * that another CPU cancels makes it too early, which costs a look. A task that is to give up the CPU is a
 * deadline that has passed. */
static inline void timer_update_next(struct sched_cpu *s)
{
	u64 next = MIN(__atomic_load_n(&s->first_deadline, __ATOMIC_RELAXED), s->slice_end);
	if (unlikely(__atomic_load_n(&s->resched, __ATOMIC_RELAXED)))
		next = 0;
	__atomic_store_n(&s->next_deadline, next, __ATOMIC_RELAXED);
}

/* Before the queues are looked at: what is asked for from now on asks anew. */
static inline void resched_clear(struct sched_cpu *s)
{
	if (likely(!__atomic_load_n(&s->resched, __ATOMIC_RELAXED)))
		return;
	__atomic_store_n(&s->resched, false, __ATOMIC_SEQ_CST);
	timer_update_next(s);
}

/* ---- switch.asm ---- */
void task_switch(u64 **save, u64 *load);
