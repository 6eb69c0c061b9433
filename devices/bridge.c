/* SPDX-License-Identifier: Apache-2.0 */
/* A switch with its clock; see bridge.h. */
#include "bridge.h"

#include "host.h"

#define BUDGET 64u /* frames at one go */
#define MAX_AGE_NS                                                                                           \
	(300ull * 1000000000) /* of a learned address; IEEE 802.1Q, 8.8.3: the recommended value             \
			       */
#define BURST_MS 50u

/* With the lock. Who has found out less does not put off what another CPU wants sooner. */
static void go_on(struct bridge *b, bool more, u64 next)
{
	u64 now = tsc_to_ns(tsc_now()), at = more ? now : MAX(next, now);

	if (at >= b->at)
		return;
	b->at = at;
	timer_set(&b->later, tsc_now() + ns_to_tsc(at - now));
}

void bridge_charge(struct bridge *b, struct sched_group *g, u64 ticks)
{
	__atomic_fetch_add(&b->charged, ticks, __ATOMIC_RELAXED);
	sched_charge(g, ticks);
}

struct bridge_time bridge_time(const struct bridge *b)
{
	return (struct bridge_time){tsc_now(), __atomic_load_n(&b->charged, __ATOMIC_RELAXED)};
}

/* Where another CPU has run the switch meanwhile, its charges are taken for ours: nobody pays too much. */
static u64 unpaid(const struct bridge *b, struct bridge_time t)
{
	struct bridge_time now = bridge_time(b);
	u64 ticks = now.since - t.since;

	return ticks - MIN(ticks, now.charged - t.charged);
}

u64 bridge_pay(const struct bridge *b, struct sched_group *g, struct bridge_time t)
{
	u64 ticks = unpaid(b, t);

	sched_charge(g, ticks);
	return ticks;
}

void bridge_pay_part(struct bridge *b, struct sched_group *g, struct bridge_time t)
{
	bridge_charge(b, g, unpaid(b, t));
}

/* Who sends pays for what the switch does with his frames; and rests as long as it took, whoever else has
 * paid a part of it. */
static void turns(struct net_switch *sw, struct net_port *p)
{
	struct bridge *b = container_of(sw, struct bridge, sw);
	struct net_port *s = b->sender;

	if (s) {
		u64 now = tsc_now();

		bridge_pay_part(b, s->payer, b->turn);
		if (unlikely(sched_go_on(s->payer, now - b->turn.since, now) > now))
			s->may_rest = true;
	}
	b->sender = p && p->payer ? p : NULL;
	b->turn = bridge_time(b);
}

/* It depends on the CPU: where its VM runs, or nobody, there is no need to. */
static u64 rests(struct net_switch *sw, const struct net_port *p)
{
	u64 now = tsc_now(), until = sched_rests_until(p->payer, now);

	(void)sw;
	return until > now ? tsc_to_ns(until) + 1 : 0;
}

/* The switch runs without the lock: a port's own timer may be waiting for it that a frame's complete() is to
 * arm. What is no frame's is the hypervisor's. */
static void later(void *opaque)
{
	struct bridge *b = opaque;
	struct bridge_time began = bridge_time(b);
	u64 next, ticks;
	bool more;

	b->at = ~(u64)0;
	spin_unlock(&b->lock);
	more = net_switch_run(&b->sw, tsc_to_ns(began.since), BUDGET, &next);
	spin_lock(&b->lock);
	ticks = bridge_pay(b, NULL, began);
	sched_go_on(NULL, ticks, tsc_now());
	go_on(b, more, next);
}

static void run(struct bridge *b, unsigned budget)
{
	u64 next;
	bool more = net_switch_run(&b->sw, tsc_to_ns(tsc_now()), budget, &next);

	if (likely(!more && next == ~(u64)0))
		return;
	spin_lock(&b->lock);
	go_on(b, more, next);
	spin_unlock(&b->lock);
}

void bridge_run(struct bridge *b)
{
	run(b, BUDGET);
}

void bridge_flush(struct bridge *b, struct net_port *p)
{
	net_port_flush(p);
	run(b, 0);
}

void bridge_init(struct bridge *b, u64 secret)
{
	net_switch_init(&b->sw, secret, MAX_AGE_NS);
	b->sw.turns = turns;
	b->sw.rests = rests;
	b->sender = NULL;
	b->lock = (struct spinlock){0};
	b->at = ~(u64)0;
	timer_init(&b->later, later, b, &b->lock);
}

void bridge_fini(struct bridge *b)
{
	timer_destroy(&b->later);
}

int bridge_join(const struct bridge_nic *nic, struct net_port *p, const struct net_port_ops *ops)
{
	int rc = net_port_init(p, &nic->bridge->sw, ops, nic->address, nic->flags);

	if (!rc)
		p->payer = nic->payer;
	while (!rc && nic->nr_rules && net_port_filter(p, nic->rules, nic->nr_rules))
		cpu_poll_interrupts();
	if (!rc && nic->rate)
		net_port_limit(p, nic->rate, MAX(nic->rate / (1000 / BURST_MS), (u64)NET_FRAME_MAX));
	return rc;
}

void bridge_leave(struct bridge *b, struct net_port *p)
{
	do {
		bridge_flush(b, p);
		cpu_poll_interrupts();
	} while (net_port_close(p));
}
