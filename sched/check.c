/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold of run queues, tasks, groups and timers at any moment. Only looks. All run-queue locks are
 * taken at once, by index; nobody else holds two of them, except by trying. What is on its way between two
 * queues, or from a turn to its stack's end, is in neither: the caller looks again. */
#include "internal.h"

/* Longer than hypervisor code ever keeps a CPU: output that waits for a serial line, a VM being built. */
#define LATE_NS ((u64)3000000000)

static void report(const struct sched_finding *f, const char *what, u64 a, u64 b)
{
	f->report(f->opaque, what, a, b);
}

void sched_freeze(void)
{
	for (unsigned i = 0; i < cpu_count(); i++)
		spin_lock(&cpu_get(i)->sched->lock);
}

void sched_thaw(void)
{
	for (unsigned i = cpu_count(); i-- > 0;)
		spin_unlock(&cpu_get(i)->sched->lock);
}

/* ---- run queues ---- */

static void check_node(const struct vnode *n, const struct sched_finding *f)
{
	const struct vnode *const below[] = {n->left, n->right};
	for (unsigned i = 0; i < ARRAY_SIZE(below); i++) {
		if (below[i] && below[i]->parent != n)
			report(f, "a task or a timer hangs below another one", n->key, below[i]->key);
		if (below[i] && below[i]->rank > n->rank)
			report(f, "a tree of tasks or timers is out of balance", n->rank, below[i]->rank);
	}
}

static void check_waiting(const struct sched_cpu *s, const struct task *t, const struct sched_finding *f)
{
	if (!t->queued || t->state != TASK_READY)
		report(f, "a task waits in a run queue and is not ready", t->state, t->queued);
	if (t->cpu != s)
		report(f, "a task waits in the run queue of a CPU that is not its own", s->index,
		       t->cpu->index);
	if (t->parked)
		report(f, "a task waits in a run queue that its group's cap keeps out", s->index, 0);
}

/* A damaged tree may have circles. */
static unsigned check_tree(const struct sched_cpu *s, const struct sched_finding *f)
{
	const struct vnode *first = s->ready.root;
	unsigned count = 0;
	u64 key = 0;
	if (first)
		check_node(first, f);
	while (first && first->left && count++ <= s->nr_ready) {
		first = first->left;
		check_node(first, f);
	}
	count = 0;
	if (s->ready.first != first)
		report(f, "a run queue's first task is not the first of its tree", s->index, s->nr_ready);
	for (const struct vnode *n = first; n && count <= s->nr_ready; n = vtree_next(n), count++) {
		if (n->key < key)
			report(f, "a run queue is out of order", key, n->key);
		key = n->key;
		check_node(n, f);
		check_waiting(s, list_entry(n, struct task, node), f);
	}
	return count;
}

static void check_current(const struct sched_cpu *s, u64 now, const struct sched_finding *f)
{
	const struct task *t = s->current;
	if (s->rests && (!s->resident || s->resident->state != TASK_BLOCKED || s->resident->cpu != s))
		report(f, "a CPU idles on the stack of a task that does not sleep there", s->index, s->rests);
	if (!t) {
		if (s->current_key)
			report(f, "a CPU without a task has a key of one", s->index, s->current_key);
		return;
	}
	if (t->state != TASK_RUNNING || t->cpu != s || !task_on_cpu(t))
		report(f, "a CPU's task does not run there", s->index, t->state);
	/* Its turn ends some time, or it has been asked to end it. */
	if (s->nr_ready && s->slice_end == NEVER && !__atomic_load_n(&s->resched, __ATOMIC_RELAXED))
		report(f, "tasks wait and nothing ends the turn of the one that runs", s->index, s->nr_ready);
	if (s->slice_end < now && now - s->slice_end > ns_to_tsc(LATE_NS))
		report(f, "the turn of a CPU's task is long over", s->slice_end, now);
}

unsigned sched_check_cpu(unsigned index, u64 now, const struct sched_finding *f)
{
	const struct sched_cpu *s = cpu_get(index)->sched;
	unsigned count = check_tree(s, f);
	u64 first = s->ready.first ? s->ready.first->key : VT_NONE;
	if (count != s->nr_ready)
		report(f, "ready tasks of a CPU, counted and noted", count, s->nr_ready);
	if (s->first_key != first)
		report(f, "first key of a run queue, in the tree and noted", first, s->first_key);
	check_current(s, now, f);
	struct sched_cpu_times t = sched_cpu_times_at(index, now);
	if (t.idle + t.hypervisor > now - MIN(now, s->started))
		report(f, "a CPU has had more time of its own than there was", t.idle + t.hypervisor,
		       now - s->started);
	return count;
}

/* ---- tasks ---- */

/* One that could take the task, and has nothing to do; the calling CPU has its check to do. */
static bool somebody_idles(const struct task *t)
{
	u64 mask = __atomic_load_n(&sched_online, __ATOMIC_ACQUIRE);
	for (; mask; mask &= mask - 1) {
		const struct sched_cpu *s = cpu_get((unsigned)__builtin_ctzll(mask))->sched;
		if (s != self() && task_allowed(t, s) && !s->current && !s->nr_ready)
			return true;
	}
	return false;
}

static void check_ready(const struct task *t, u64 now, const struct sched_finding *f)
{
	if (t->parked && t->queued)
		report(f, "a parked task waits in a run queue", t->cpu->index, 0);
	else if (t->parked && !timer_is_waiting(&t->unpark))
		report(f, "a parked task has no timer", t->unpark.deadline, now);
	else if (!t->parked && !t->queued)
		report(f, "a ready task is in no run queue", t->cpu->index, now - MIN(now, t->since));
	else if (t->queued && t->portable && now > t->since && now - t->since > ns_to_tsc(LATE_NS) &&
		 somebody_idles(t))
		report(f, "a ready task waits while a CPU that may run it is idle", t->cpu->index,
		       now - t->since);
}

void sched_check_task(const struct task *t, u64 now, const struct sched_finding *f)
{
	bool counted = t->state == TASK_READY || t->state == TASK_RUNNING;
	switch (t->state) {
	case TASK_READY:
		check_ready(t, now, f);
		break;
	case TASK_RUNNING:
		if (t->cpu->current != t)
			report(f, "a task runs, and its CPU knows of another one", t->cpu->index, 0);
		break;
	case TASK_NEW:
	case TASK_BLOCKED:
	case TASK_DEAD:
		/* A CPU may idle on its stack. */
		if (t->queued || t->parked || t->cpu->current == t ||
		    (task_on_cpu(t) && t->cpu->resident != t))
			report(f, "a task that does not want to run is on a CPU or waits for one",
			       t->cpu->index, t->state);
		break;
	}
	if (t->counted != counted)
		report(f, "a task counts for its group, or not, against its state", t->counted, t->state);
	if (t->since > now + ns_to_tsc(LATE_NS))
		report(f, "a task's state began in the future", t->since, now);
}

void sched_check_group(const struct sched_group *g, unsigned counted, const struct sched_finding *f)
{
	if (g->runnable != counted)
		report(f, "runnable tasks of a group, counted and noted", counted, g->runnable);
	if (g->weight < 1 || g->weight > 65535)
		report(f, "a group's weight", g->weight, 65535);
	const struct sched_quota *const quotas[] = {&g->quota, g->shared};
	for (unsigned i = 0; i < ARRAY_SIZE(quotas) && quotas[i]; i++)
		if (quotas[i]->budget > (i64)ns_to_tsc(LATE_NS) * SCHED_CAP_MAX)
			report(f, "a cap has left a group more than it can", (u64)quotas[i]->budget,
			       quotas[i]->cap);
	if (g->shared && g->has_turns != (counted != 0))
		report(f, "a group has turns in its quota, or not, against its tasks", g->has_turns, counted);
	if (!g->limited && (g->quota.cap || g->shared))
		report(f, "a group with a quota is not limited", g->quota.cap,
		       g->shared ? g->shared->cap : 0);
}

/* ---- timers ---- */

static const struct vnode *root_of(const struct vnode *n)
{
	while (n->parent)
		n = n->parent;
	return n;
}

/* With the timer lock. */
static bool is_armed_in(const struct sched_cpu *s, const struct timer *t)
{
	if (!t->armed)
		return false;
	if (t->is_far)
		return s->far.root == root_of(&t->far);
	list_for_each(n, &s->near) if (n == &t->near) return true;
	return false;
}

bool timer_is_waiting(const struct timer *t)
{
	struct sched_cpu *s = __atomic_load_n(&t->cpu, __ATOMIC_ACQUIRE);
	if (!s)
		return false;
	spin_lock(&s->timer_lock);
	bool waiting = s->firing == t || is_armed_in(s, t);
	spin_unlock(&s->timer_lock);
	return waiting;
}

/* One after the other, the list and then the tree. */
struct timer_look {
	const struct sched_cpu *s;
	const struct sched_finding *f;
	u64 now, last;
};

static void check_timer(struct timer_look *l, const struct timer *t)
{
	if (!t->armed || t->cpu != l->s)
		report(l->f, "a timer waits on a CPU and does not know it", l->s->index, t->armed);
	if (t->deadline < l->last)
		report(l->f, "timers are out of order", l->last, t->deadline);
	if (t->deadline < l->now && l->now - t->deadline > ns_to_tsc(LATE_NS))
		report(l->f, "a timer was forgotten", t->deadline, l->now);
	l->last = t->deadline;
}

static void check_near(struct timer_look *l)
{
	unsigned count = 0;
	list_for_each(n, &l->s->near)
	{
		const struct timer *t = list_entry(n, struct timer, near);
		if (n->next->prev != n || count++ > l->s->nr_near) {
			report(l->f, "a CPU's list of timers is broken", l->s->index, t->deadline);
			break;
		}
		check_timer(l, t);
	}
	if (count != l->s->nr_near || (!count && l->s->far.first))
		report(l->f, "next timers of a CPU, counted and noted", count, l->s->nr_near);
}

static void check_far(struct timer_look *l)
{
	const struct vnode *first = l->s->far.first;
	if (l->s->far_from != (first ? first->key : ~(u64)0))
		report(l->f, "first of a CPU's later timers, in the tree and noted", l->s->far_from,
		       first ? first->key : 0);
	for (const struct vnode *n = first; n; n = vtree_next(n)) {
		const struct timer *t = list_entry(n, struct timer, far);
		if (!t->is_far || t->deadline != n->key)
			report(l->f, "a later timer does not know where it is", t->deadline, n->key);
		check_timer(l, t);
		check_node(n, l->f);
	}
}

void sched_check_timers(unsigned index, u64 now, const struct sched_finding *f)
{
	struct sched_cpu *s = cpu_get(index)->sched;
	struct timer_look l = {s, f, now, 0};
	spin_lock(&s->timer_lock);
	check_near(&l);
	check_far(&l);
	u64 first = list_empty(&s->near) ? NEVER : list_entry(s->near.next, struct timer, near)->deadline;
	if (s->first_deadline != first)
		report(f, "first timer of a CPU, in the list and noted", first, s->first_deadline);
	if (s->next_deadline > MIN(first, s->slice_end))
		report(f, "a CPU's next deadline is later than its first timer, or than its slice",
		       s->next_deadline, MIN(first, s->slice_end));
	spin_unlock(&s->timer_lock);
}
