/* SPDX-License-Identifier: Apache-2.0 */
/* The clocks that a guest is given: Socle's own records, the wall clock, and what happens when a vCPU
 * comes to a physical CPU or leaves it. A record's address comes from the guest and is checked when it is
 * given; its memory is looked up again each time, so a page that goes away does no harm. */
#include "clock.h"

#include "socle/clock.h"

_Static_assert(sizeof(struct socle_vcpu_clock) == 128, "the guests know it so");
_Static_assert(sizeof(struct socle_vm_clock) == 64, "the guests know it so");

void *clock_place(struct vcpu *v, gpa_t gpa, u64 n)
{
	return gmem_tlb_ptr(&v->guest->mem, &v->tlb, gpa, n);
}

/* ---- the record of a vCPU ---- */
/* Sequence numbers are our own: the guest may write what it likes into the record. The fences keep the order
 * in the compiler; the processor keeps that of stores anyway. */
static void record_write(struct vcpu *v)
{
	struct socle_vcpu_clock *r = clock_place(v, v->clock.record, sizeof(*r));
	struct tsc_scale scale = tsc_scale();
	struct vcpu_times t;
	if (!r)
		return;
	vcpu_times(v, &t);
	__atomic_store_n(&r->sequence, v->clock.sequence + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	r->flags = tsc_stable() ? SOCLE_CLOCK_STABLE : 0;
	r->factor = scale.factor;
	r->shift = scale.shift;
	r->vcpu = v->id;
	/* Both clocks as the TSC at which they were 0: then the guest computes what we do, to the ns. */
	r->real_tsc = tsc_at_boot() + v->tsc_offset;
	r->real_ns = 0;
	r->virtual_tsc = v->clock.entered - v->clock.virtual_ticks + v->tsc_offset;
	r->virtual_ns = 0;
	r->run_ns = t.run_ns;
	r->steal_ns = t.steal_ns;
	r->hypervisor_ns = t.hypervisor_ns;
	r->idle_ns = t.idle_ns;
	v->clock.sequence += 2;
	__atomic_store_n(&r->sequence, v->clock.sequence, __ATOMIC_RELEASE);
}

int clock_set_vcpu_record(struct vcpu *v, gpa_t gpa)
{
	int rc = gpa == CLOCK_NOWHERE ? 0
				      : gmem_check(&v->guest->mem, gpa, sizeof(struct socle_vcpu_clock),
						   sizeof(struct socle_vcpu_clock));
	if (rc)
		return rc;
	v->clock.record = gpa;
	clock_duty(v, CLOCK_ON_RECORD, gpa != CLOCK_NOWHERE);
	if (gpa == CLOCK_NOWHERE)
		return 0;
	void *r = clock_place(v, gpa, sizeof(struct socle_vcpu_clock));
	if (r)
		memset(r, 0, sizeof(struct socle_vcpu_clock));
	record_write(v);
	return 0;
}

int clock_update(struct vcpu *v)
{
	if (v->clock.record == CLOCK_NOWHERE)
		return ERR_NOENT;
	record_write(v);
	return 0;
}

/* ---- the record of the VM ---- */
/* Under the lock; from any CPU, hence copies and no pointer. */
static void vm_record_write(struct guest *g)
{
	struct guest_clock *c = &g->clock;
	struct socle_vm_clock r = {
	    .sequence = c->sequence + 1, .wall_ns = c->wall_ns, .pause_ns = c->pause_ns};
	if (c->record == CLOCK_NOWHERE || gmem_dma_write(&g->mem, c->record, &r.sequence, sizeof(r.sequence)))
		return;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	if (gmem_dma_write(&g->mem, c->record, &r, sizeof(r)))
		return;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	c->sequence += 2;
	(void)gmem_dma_write(&g->mem, c->record, &c->sequence, sizeof(c->sequence));
}

int clock_set_vm_record(struct vcpu *v, gpa_t gpa)
{
	struct guest *g = v->guest;
	int rc = gpa == CLOCK_NOWHERE
		     ? 0
		     : gmem_check(&g->mem, gpa, sizeof(struct socle_vm_clock), sizeof(struct socle_vm_clock));
	if (rc)
		return rc;
	if (gpa != CLOCK_NOWHERE)
		gmem_lend(&g->mem);
	spin_lock(&g->clock.lock);
	g->clock.record = gpa;
	vm_record_write(g);
	spin_unlock(&g->clock.lock);
	return 0;
}

void clock_set_wall(struct guest *g, u64 ns)
{
	spin_lock(&g->clock.lock);
	g->clock.wall_ns = ns - real_ns();
	g->clock.wall_set = true;
	vm_record_write(g);
	spin_unlock(&g->clock.lock);
}

u64 clock_wall(struct guest *g)
{
	spin_lock(&g->clock.lock);
	u64 ns = g->clock.wall_ns + real_ns();
	spin_unlock(&g->clock.lock);
	return ns;
}

void clock_vm_paused(struct guest *g)
{
	spin_lock(&g->clock.lock);
	g->clock.paused_at = real_ns();
	spin_unlock(&g->clock.lock);
}

/* Before the vCPUs may run again: each tells its guest when it comes to a CPU. */
void clock_vm_unpaused(struct guest *g)
{
	spin_lock(&g->clock.lock);
	g->clock.pause_ns += real_ns() - g->clock.paused_at;
	vm_record_write(g);
	spin_unlock(&g->clock.lock);
	for (unsigned i = 0; i < g->nr_vcpus; i++)
		clock_duty(g->vcpus[i], CLOCK_ON_PAUSED, true);
}

/* ---- alarms ---- */
static void alarm_ring(struct vcpu *v, struct alarm *a)
{
	const struct guest_config *c = &v->guest->config;
	a->at = CLOCK_OFF;
	if (a->how < CLOCK_BY_EVENT)
		lapic_post(&v->lapic, (u8)a->how, false);
	else
		c->event(c->opaque, a->how - CLOCK_BY_EVENT);
}

static void real_alarm_fired(void *opaque)
{
	struct vcpu *v = opaque;
	alarm_ring(v, &v->clock.alarms[CLOCK_REAL]);
}

static void virtual_alarm_fired(void *opaque)
{
	struct vcpu *v = opaque;
	clock_duty(v, CLOCK_ON_ALARM, false);
	alarm_ring(v, &v->clock.alarms[CLOCK_VIRTUAL]);
}

/* The first TSC at which a clock that was 0 at `zero` says at least ns; ~0 when that is beyond its end. */
static u64 alarm_deadline(u64 zero, u64 ns)
{
	u64 ticks = ns_to_tsc(ns);
	/* Both conversions round down, by less than a tick and less than a ns. */
	while (ticks < ~(u64)0 && tsc_to_ns(ticks) < ns && ns - tsc_to_ns(ticks) < 1000)
		ticks++;
	return ticks < ~zero ? zero + ticks : ~(u64)0;
}

static void virtual_alarm_arm(struct vcpu *v)
{
	struct alarm *a = &v->clock.alarms[CLOCK_VIRTUAL];
	u64 zero = v->clock.entered - v->clock.virtual_ticks;
	timer_set(&a->timer, alarm_deadline(zero, a->at));
}

void clock_set_alarm(struct vcpu *v, enum clock_alarm which, u64 at, u32 how)
{
	struct alarm *a = &v->clock.alarms[which];
	/* Also where another CPU holds it: its function does not run after this. */
	timer_cancel(&a->timer);
	a->at = at;
	a->how = how;
	if (which == CLOCK_VIRTUAL)
		clock_duty(v, CLOCK_ON_ALARM, at != CLOCK_OFF);
	if (at == CLOCK_OFF)
		return;
	if (which == CLOCK_VIRTUAL)
		virtual_alarm_arm(v);
	else
		timer_set(&a->timer, alarm_deadline(tsc_at_boot(), at));
}

/* ---- life of a vCPU ---- */
void clock_create(struct vcpu *v)
{
	struct vcpu_clock *c = &v->clock;
	c->record = CLOCK_NOWHERE;
	timer_init(&c->alarms[CLOCK_REAL].timer, real_alarm_fired, v, NULL);
	timer_init(&c->alarms[CLOCK_VIRTUAL].timer, virtual_alarm_fired, v, NULL);
	for (unsigned i = 0; i < CLOCK_ALARMS; i++)
		c->alarms[i].at = CLOCK_OFF;
}

void clock_destroy(struct vcpu *v)
{
	for (unsigned i = 0; i < CLOCK_ALARMS; i++)
		timer_destroy(&v->clock.alarms[i].timer);
}

void clock_tsc_changed(struct vcpu *v)
{
	if (v->clock.record != CLOCK_NOWHERE)
		record_write(v);
	kvm_write_time(v, false);
}

void clock_entered(struct vcpu *v)
{
	/* Acquire: what whoever set a bit wrote before is visible. */
	u32 duties = __atomic_fetch_and(&v->clock.duties, ~CLOCK_ON_PAUSED, __ATOMIC_ACQUIRE);
	if (duties & CLOCK_ON_RECORD)
		record_write(v);
	if (duties & CLOCK_ON_STEAL)
		kvm_write_steal(v, true);
	if (duties & CLOCK_ON_PAUSED)
		kvm_write_time(v, true);
	if (duties & CLOCK_ON_ALARM)
		virtual_alarm_arm(v);
}

void clock_leaves(struct vcpu *v)
{
	u32 duties = __atomic_load_n(&v->clock.duties, __ATOMIC_RELAXED);
	if (duties & CLOCK_ON_STEAL)
		kvm_write_steal(v, false);
	if (duties & CLOCK_ON_ALARM)
		timer_cancel(&v->clock.alarms[CLOCK_VIRTUAL].timer);
}

/* ---- times of a vCPU ---- */
void vcpu_times(const struct vcpu *v, struct vcpu_times *t)
{
	struct task_times ticks = task_times(&v->task);
	*t = (struct vcpu_times){.run_ns = tsc_to_ns(ticks.run),
				 .steal_ns = tsc_to_ns(ticks.ready),
				 .hypervisor_ns = tsc_to_ns(ticks.hypervisor),
				 .idle_ns = tsc_to_ns(ticks.blocked)};
}
