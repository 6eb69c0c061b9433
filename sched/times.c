/* SPDX-License-Identifier: Apache-2.0 */
/* Where a task's time goes: each change of its state closes an account and opens another. */
#include "internal.h"

static void times_add(struct task_times *times, enum task_state state, u64 ticks)
{
	switch (state) {
	case TASK_RUNNING:
		times->run += ticks;
		break;
	case TASK_READY:
		times->ready += ticks;
		break;
	case TASK_BLOCKED:
		times->blocked += ticks;
		break;
	case TASK_NEW:
	case TASK_DEAD:
		break;
	}
}

/* The TSCs of two CPUs may disagree by a little: time does not run backwards. */
static u64 elapsed(u64 since, u64 now)
{
	return now > since ? now - since : 0;
}

void times_account(struct task *t, u64 now, enum task_state state)
{
	__atomic_store_n(&t->times_seq, t->times_seq + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE); /* the odd count before what follows */
	u64 ticks = elapsed(t->since, now);
	if (t->state == TASK_RUNNING) {
		u64 hypervisor = t->hypervisor > 0 ? MIN((u64)t->hypervisor, ticks) : 0;
		t->times.hypervisor += hypervisor;
		ticks -= hypervisor;
	}
	times_add(&t->times, t->state, ticks);
	t->since = MAX(now, t->since);
	t->state = state;
	__atomic_store_n(&t->times_seq, t->times_seq + 1, __ATOMIC_RELEASE);
}

void times_cpu(struct sched_cpu *s, u64 now, bool idle)
{
	u64 ticks = elapsed(s->times_since, now), *account = idle ? &s->times.idle : &s->times.hypervisor;
	__atomic_store_n(account, *account + ticks, __ATOMIC_RELAXED);
	s->times_since = MAX(now, s->times_since);
}

struct sched_cpu_times sched_cpu_times(unsigned index)
{
	const struct sched_cpu *s = cpu_get(index)->sched;
	return (struct sched_cpu_times){.idle = __atomic_load_n(&s->times.idle, __ATOMIC_RELAXED),
					.hypervisor =
					    __atomic_load_n(&s->times.hypervisor, __ATOMIC_RELAXED)};
}

struct task_times task_times(const struct task *t)
{
	struct task_times times;
	u64 since;
	enum task_state state;
	u32 seq;
	do {
		seq = __atomic_load_n(&t->times_seq, __ATOMIC_ACQUIRE);
		times = t->times;
		since = t->since;
		state = t->state;
		__atomic_thread_fence(__ATOMIC_ACQUIRE); /* the second look after what it guards */
	} while (seq & 1 || seq != __atomic_load_n(&t->times_seq, __ATOMIC_RELAXED));
	times_add(&times, state, elapsed(since, tsc_now()));
	return times;
}
