/* SPDX-License-Identifier: Apache-2.0 */
/* Where a task's time goes: each change of its state closes an account and opens another. */
#include "internal.h"

/* Whether what was read since the count was read is whole. */
static bool seq_same(const u32 *seq, u32 before)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE); /* the second look after what it guards */
	return !(before & 1) && before == __atomic_load_n(seq, __ATOMIC_RELAXED);
}

void times_account(struct task *t, u64 now, enum task_state state)
{
	times_change(t, now, t->state, state);
}

void times_lend(struct task *t, u64 ticks)
{
	seq_begin(&t->times_seq);
	t->since += ticks;
	t->times.ready += ticks;
	seq_end(&t->times_seq);
}

void times_cpu(struct sched_cpu *s, u64 now, bool idle)
{
	seq_begin(&s->times_seq);
	*(idle ? &s->times.idle : &s->times.hypervisor) += ticks_between(s->times_since, now);
	s->times_since = MAX(now, s->times_since);
	seq_end(&s->times_seq);
}

void times_charged(struct sched_cpu *s, const struct sched_group *g, u64 ticks)
{
	seq_begin(&s->times_seq);
	if (!s->current)
		s->times_since += ticks;
	if (!g)
		s->times.hypervisor += ticks;
	seq_end(&s->times_seq);
}

struct sched_cpu_times sched_cpu_times_at(unsigned index, u64 now)
{
	const struct sched_cpu *s = cpu_get(index)->sched;
	struct sched_cpu_times times;
	u64 open;
	bool halted;
	u32 seq;
	do {
		seq = __atomic_load_n(&s->times_seq, __ATOMIC_ACQUIRE);
		times = s->times;
		halted = __atomic_load_n(&s->halted, __ATOMIC_RELAXED);
		open =
		    __atomic_load_n(&s->current, __ATOMIC_RELAXED) ? 0 : ticks_between(s->times_since, now);
	} while (!seq_same(&s->times_seq, seq));
	*(halted ? &times.idle : &times.hypervisor) += open;
	return times;
}

u64 sched_cpu_started(unsigned index)
{
	return cpu_get(index)->sched->started;
}

struct task_times task_times_at(const struct task *t, u64 now)
{
	struct task_times times;
	u64 since, ticks;
	enum task_state state;
	i64 hypervisor;
	u32 seq;
	do {
		seq = __atomic_load_n(&t->times_seq, __ATOMIC_ACQUIRE);
		times = t->times;
		since = t->since;
		state = t->state;
		hypervisor = __atomic_load_n(&t->hypervisor, __ATOMIC_RELAXED);
	} while (!seq_same(&t->times_seq, seq));
	ticks = ticks_between(since, now);
	if (state == TASK_RUNNING && hypervisor > 0) {
		times.hypervisor += MIN((u64)hypervisor, ticks);
		ticks -= MIN((u64)hypervisor, ticks);
	}
	ticks_add(&times, state, ticks);
	return times;
}

struct task_times task_times(const struct task *t)
{
	return task_times_at(t, tsc_now());
}
