/* SPDX-License-Identifier: Apache-2.0 */
/* CPUs that poll: no task comes to them. Each has a list with a lock, which is held over a round; so who
 * removes a poller waits for a round's end at most. */
#include "poll.h"

#include "internal.h"

unsigned sched_poll_cpus(unsigned wanted)
{
	unsigned n = MIN(wanted, cpu_count() - 1);

	for (unsigned i = cpu_count() - n; i < cpu_count(); i++)
		sched_polling |= BIT(i);
	return n;
}

unsigned sched_guest_cpus(void)
{
	return sched_polling ? (unsigned)__builtin_ctzll(sched_polling) : cpu_count();
}

int poller_add(struct poller *p)
{
	struct sched_cpu *least = NULL;

	for (unsigned i = sched_guest_cpus(); i < cpu_count(); i++) {
		struct sched_cpu *s = cpu_get(i)->sched;
		if (!least || __atomic_load_n(&s->nr_pollers, __ATOMIC_RELAXED) <
				  __atomic_load_n(&least->nr_pollers, __ATOMIC_RELAXED))
			least = s;
	}
	if (!least)
		return ERR_NOENT;
	p->cpu = least;
	spin_lock(&least->poll_lock);
	list_insert(&least->pollers, &p->node);
	__atomic_fetch_add(&least->nr_pollers, 1, __ATOMIC_RELAXED);
	spin_unlock(&least->poll_lock);
	queue_resched(least);
	return 0;
}

void poller_remove(struct poller *p)
{
	struct sched_cpu *s = p->cpu;

	if (!s)
		return;
	spin_lock(&s->poll_lock);
	list_remove(&p->node);
	__atomic_fetch_sub(&s->nr_pollers, 1, __ATOMIC_RELAXED);
	spin_unlock(&s->poll_lock);
	p->cpu = NULL;
}

/* What found nothing is the CPU's idle time. */
static void poll_round(struct sched_cpu *s)
{
	spin_lock(&s->poll_lock);
	list_for_each(n, &s->pollers)
	{
		struct poller *p = list_entry(n, struct poller, node);
		u64 begun = tsc_now();

		if (p->poll(p->opaque))
			sched_charge(p->group, tsc_now() - begun);
	}
	spin_unlock(&s->poll_lock);
}

/* With nothing to poll it waits, as others do; poller_add() wakes it. */
void poll_step(struct sched_cpu *s)
{
	if (!__atomic_load_n(&s->nr_pollers, __ATOMIC_RELAXED)) {
		wait_for_interrupt(s);
		return;
	}
	times_cpu(s, tsc_now(), false);
	__atomic_store_n(&s->halted, true, __ATOMIC_RELAXED);
	poll_round(s);
	cpu_relax();
	cpu_poll_interrupts();
	times_cpu(s, tsc_now(), true);
	__atomic_store_n(&s->halted, false, __ATOMIC_RELAXED);
}
