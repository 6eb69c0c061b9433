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
	times_add(&t->times, t->state, elapsed(t->since, now));
	t->since = MAX(now, t->since);
	t->state = state;
	__atomic_store_n(&t->times_seq, t->times_seq + 1, __ATOMIC_RELEASE);
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
