/* SPDX-License-Identifier: Apache-2.0 */
/* The part of KVM's interface that unmodified kernels use, for time: wall clock, system time and steal time
 * by MSRs 0x4b564d00, 01 and 03, and for the end of interrupts by 04 (pv_eoi.c). The layouts are KVM's
 * (Linux, Documentation/virt/kvm/x86/msr.rst). What else KVM has is not in the feature bits, so a kernel does
 * not ask for it. */
#include "clock.h"
#include "exit.h"
#include "msr.h"

#define KVM_MSR_WALL_CLOCK 0x4b564d00u
#define KVM_MSR_SYSTEM_TIME 0x4b564d01u
#define KVM_MSR_STEAL_TIME 0x4b564d03u
#define KVM_MSR_EOI 0x4b564d04u
#define KVM_ENABLE BIT(0)
#define KVM_STEAL_RESERVED ((u64)0x3e) /* bits 5:1 */

struct kvm_wall {
	u32 version; /* odd while it is written */
	u32 seconds, nanoseconds;
};

#define KVM_TSC_STABLE 1u
#define KVM_WAS_PAUSED 2u /* the guest clears it */
struct kvm_time {
	u32 version;
	u32 pad0;
	/* system_time + ((TSC - tsc_timestamp) << shift, or >> -shift) * factor >> 32, ns */
	u64 tsc_timestamp, system_time;
	u32 factor;
	i8 shift;
	u8 flags;
	u8 pad[2];
};
_Static_assert(sizeof(struct kvm_time) == 32, "KVM's layout");

#define KVM_PREEMPTED 1u
struct kvm_steal {
	u64 steal; /* ns */
	u32 version;
	u32 flags; /* 0 */
	u8 preempted;
	u8 pad[47];
};
_Static_assert(sizeof(struct kvm_steal) == 64, "KVM's layout");

static bool kvm_hidden(const struct vcpu *v)
{
	return !v->guest->config.hypervisor_cpuid;
}

/* ---- system time ---- */
/* ns = ticks * 2^shift * factor / 2^32, with the factor's highest bit set. */
static void kvm_scale(struct kvm_time *t)
{
	u64 hz = tsc_hz(), ns = 1000000000;
	t->shift = 0;
	while (ns >= hz) {
		hz <<= 1;
		t->shift++;
	}
	while (ns << 1 < hz) {
		ns <<= 1;
		t->shift--;
	}
	t->factor = (u32)mul_div(ns, (u64)1 << 32, hz);
}

/* The same base for all vCPUs, and never another one: so none of them ever sees time go backwards. */
void kvm_write_time(struct vcpu *v, bool was_paused)
{
	gpa_t gpa = v->clock.kvm_time & ~KVM_ENABLE;
	struct kvm_time *r, t = {.flags = tsc_stable() ? KVM_TSC_STABLE : 0};
	u32 *version = &v->clock.kvm_sequence;
	if (!(v->clock.kvm_time & KVM_ENABLE))
		return;
	r = clock_place(v, gpa, sizeof(*r));
	if (!r)
		return;
	kvm_scale(&t);
	t.tsc_timestamp = v->guest->tsc_start + v->tsc_offset;
	t.system_time = tsc_to_ns(v->guest->tsc_start - tsc_at_boot());
	if (was_paused)
		t.flags |= KVM_WAS_PAUSED;
	t.version = *version + 1;
	__atomic_store_n(&r->version, t.version, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	*r = t;
	*version += 2;
	__atomic_store_n(&r->version, *version, __ATOMIC_RELEASE);
}

static int system_time_read(struct vcpu *v, u32 msr, u64 *value)
{
	(void)msr;
	*value = v->clock.kvm_time;
	return kvm_hidden(v) ? ERR_NOENT : 0;
}

static int system_time_write(struct vcpu *v, u32 msr, u64 value)
{
	(void)msr;
	if (kvm_hidden(v))
		return ERR_NOENT;
	if (value & KVM_ENABLE) {
		int rc = gmem_check(&v->guest->mem, value & ~KVM_ENABLE, sizeof(struct kvm_time), 4);
		if (rc)
			return rc;
	}
	v->clock.kvm_time = value;
	kvm_write_time(v, false);
	return 0;
}

/* ---- wall clock ---- */
static int wall_clock_read(struct vcpu *v, u32 msr, u64 *value)
{
	(void)msr;
	*value = v->guest->clock.kvm_wall;
	return kvm_hidden(v) ? ERR_NOENT : 0;
}

/* What the wall clock was when the system time was 0, once at each write. */
static int wall_clock_write(struct vcpu *v, u32 msr, u64 value)
{
	struct guest_clock *c = &v->guest->clock;
	struct kvm_wall *r, w;
	int rc = kvm_hidden(v) ? ERR_NOENT : gmem_check(&v->guest->mem, value, sizeof(*r), 4);
	(void)msr;
	if (rc)
		return rc;
	r = clock_place(v, value, sizeof(*r));
	if (!r)
		return ERR_NOMEM;
	spin_lock(&c->lock);
	c->kvm_wall = value;
	w = (struct kvm_wall){c->kvm_sequence + 1, (u32)(c->wall_ns / 1000000000),
			      (u32)(c->wall_ns % 1000000000)};
	__atomic_store_n(&r->version, w.version, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	*r = w;
	c->kvm_sequence += 2;
	__atomic_store_n(&r->version, c->kvm_sequence, __ATOMIC_RELEASE);
	spin_unlock(&c->lock);
	return 0;
}

/* ---- steal time ---- */
void kvm_write_steal(struct vcpu *v, bool running)
{
	struct kvm_steal *r = clock_place(v, v->clock.kvm_steal & ~KVM_ENABLE, sizeof(*r));
	u32 *version = &v->clock.steal_sequence;
	struct vcpu_times t;
	if (!r)
		return;
	if (!running) { /* other vCPUs of the guest do not wait for one that does not run */
		__atomic_store_n(&r->preempted, KVM_PREEMPTED, __ATOMIC_RELAXED);
		return;
	}
	vcpu_times(v, &t);
	__atomic_store_n(&r->version, *version + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	r->steal = t.steal_ns;
	r->flags = 0;
	r->preempted = 0;
	*version += 2;
	__atomic_store_n(&r->version, *version, __ATOMIC_RELEASE);
}

static int steal_time_read(struct vcpu *v, u32 msr, u64 *value)
{
	(void)msr;
	*value = v->clock.kvm_steal;
	return kvm_hidden(v) ? ERR_NOENT : 0;
}

static int steal_time_write(struct vcpu *v, u32 msr, u64 value)
{
	(void)msr;
	if (kvm_hidden(v))
		return ERR_NOENT;
	if (value & KVM_STEAL_RESERVED)
		return ERR_INVAL;
	if (value & KVM_ENABLE) {
		int rc = gmem_check(&v->guest->mem, value & ~KVM_ENABLE, sizeof(struct kvm_steal), 64);
		if (rc)
			return rc;
	}
	v->clock.kvm_steal = value;
	clock_duty(v, CLOCK_ON_STEAL, value & KVM_ENABLE);
	if (value & KVM_ENABLE)
		kvm_write_steal(v, true);
	return 0;
}

/* ---- the end of interrupts ---- */
static int eoi_read(struct vcpu *v, u32 msr, u64 *value)
{
	(void)msr;
	*value = v->lapic.pv_eoi;
	return kvm_hidden(v) ? ERR_NOENT : 0;
}

static int eoi_write(struct vcpu *v, u32 msr, u64 value)
{
	(void)msr;
	return kvm_hidden(v) ? ERR_NOENT : lapic_pv_eoi_write(&v->lapic, value);
}

static const struct msr_row kvm_rows[] = {
    {KVM_MSR_WALL_CLOCK, KVM_MSR_WALL_CLOCK, 0, wall_clock_read, wall_clock_write, "KVM wall clock"},
    {KVM_MSR_SYSTEM_TIME, KVM_MSR_SYSTEM_TIME, 0, system_time_read, system_time_write, "KVM system time"},
    {KVM_MSR_STEAL_TIME, KVM_MSR_STEAL_TIME, 0, steal_time_read, steal_time_write, "KVM steal time"},
    {KVM_MSR_EOI, KVM_MSR_EOI, 0, eoi_read, eoi_write, "KVM end of interrupt"},
};

const struct msr_row *kvm_msr_find(u32 msr)
{
	for (size_t i = 0; i < ARRAY_SIZE(kvm_rows); i++)
		if (kvm_rows[i].first == msr)
			return &kvm_rows[i];
	return NULL;
}
