/* SPDX-License-Identifier: Apache-2.0 */
/* The clocks that Socle gives a guest beside its TSC and its devices (owner: vcpu/): real and virtual time,
 * wall clock, alarms, the times of a vCPU, in Socle's records (socle/clock.h) and in KVM's. */
#pragma once

#include "sched.h"
#include "spinlock.h"

struct guest;
struct vcpu;

enum clock_alarm { CLOCK_REAL, CLOCK_VIRTUAL, CLOCK_ALARMS };
#define CLOCK_OFF (~(u64)0)
#define CLOCK_NOWHERE (~(gpa_t)0)

struct alarm {
	struct timer timer;
	u64 at; /* ns of its clock; CLOCK_OFF */
	u32 how;
};

/* Embedded in struct vcpu. Only the CPU that runs the vCPU touches it, but for `duties`. */
struct vcpu_clock {
	u64 virtual_ticks; /* on a physical CPU, up to when it last left one */
	u64 entered;       /* TSC at which it came to the one it is on */
	u32 duties;        /* CLOCK_ON_ bits, atomic: what there is to do when it comes or leaves */
	u32 sequence, kvm_sequence, steal_sequence;
	gpa_t record;
	u64 kvm_time, kvm_steal; /* what the guest wrote to the MSRs */
	struct alarm alarms[CLOCK_ALARMS];
};

#define CLOCK_ON_RECORD 1u
#define CLOCK_ON_STEAL 2u
#define CLOCK_ON_ALARM 4u
#define CLOCK_ON_PAUSED 8u /* set by any CPU: the guest has to be told that it was paused */

/* Embedded in struct guest; the lock is for all of it. */
struct guest_clock {
	struct spinlock lock;
	u32 sequence, kvm_sequence;
	u64 wall_ns;   /* wall clock at real time 0 */
	bool wall_set; /* it is not the machine's any more */
	u64 paused_at, pause_ns;
	gpa_t record;
	u64 kvm_wall;
};

/* Times of a vCPU since its VM started. */
struct vcpu_times {
	u64 run_ns, steal_ns, hypervisor_ns, idle_ns;
};
void vcpu_times(const struct vcpu *v, struct vcpu_times *t);

/* ---- what a guest asks for, on the CPU that runs v ---- */
/* CLOCK_NOWHERE: no record. ERR_INVAL: alignment; ERR_FAULT: not in writable RAM. */
int clock_set_vcpu_record(struct vcpu *v, gpa_t gpa);
int clock_set_vm_record(struct vcpu *v, gpa_t gpa);
/* ERR_NOENT: there is no record. */
int clock_update(struct vcpu *v);
/* at: ns; CLOCK_OFF cancels. how: a vector, or CLOCK_BY_EVENT + number for guest_config.event. */
void clock_set_alarm(struct vcpu *v, enum clock_alarm which, u64 at, u32 how);
#define CLOCK_BY_EVENT 0x100u

/* ---- for the operator, any CPU ---- */
/* The guest's wall clock says ns since 1970-01-01 UTC now, and goes on from there. */
void clock_set_wall(struct guest *g, u64 ns);
u64 clock_wall(struct guest *g);
/* The vCPUs' tasks do not run between the two; virtual time stands still by that. */
void clock_vm_paused(struct guest *g);
void clock_vm_unpaused(struct guest *g);
