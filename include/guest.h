/* SPDX-License-Identifier: Apache-2.0 */
/* What all vCPUs of one VM share (owner: vcpu/). vm/ embeds it in struct vm; devices/ hold a pointer
 * to it and use the functions here, in io.h, lapic.h and gmem.h. */
#pragma once

#include "lib.h"

struct guest;

/* Why a VM stops running. */
enum guest_stop {
	GUEST_RUNNING,
	GUEST_POWEROFF,   /* the guest asked for it */
	GUEST_RESET,      /* the guest asked for it, or a triple fault where the VM says so */
	GUEST_DEBUG_EXIT, /* isa-debug-exit port; code = value written */
	GUEST_CRASHED,    /* guest_fail() */
	GUEST_HALTED,     /* halted with interrupts off: nothing can wake it */
	GUEST_DESTROYED   /* the operator asked for it */
};
/* The code of a GUEST_RESET that a triple fault caused. */
#define GUEST_TRIPLE_FAULT 1u

/* Asks every vCPU of the guest to stop before its next instruction. The first reason wins. From any
 * context; returns at once. */
void guest_stop(struct guest *g, enum guest_stop why, u32 code);

/* The guest did something that ends it (a failed VM entry, no memory behind RAM, ...). Logs the
 * reason, then guest_stop(GUEST_CRASHED); the dump follows when its vCPUs have stopped. */
void guest_fail(struct guest *g, const char *fmt, ...) PRINTF(2, 3);

const char *guest_name(const struct guest *g);
struct gmem *guest_mem(struct guest *g);
unsigned guest_vcpu_count(const struct guest *g);
/* The flush_gen (ept.h) that every vCPU of the guest has noticed, or has stopped since; any CPU. */
u64 guest_flush_seen(const struct guest *g);

/* Meters of a VM, for benchmarks inside it: sums over its vCPUs since it began; TSC ticks of the host. Below
 * GUEST_METER_EXITS: VM exits of that basic reason (SDM volume 3, appendix C). */
#define GUEST_METER_EXITS 0x100u      /* of all reasons */
#define GUEST_METER_RUN 0x101u        /* in the guest */
#define GUEST_METER_HYPERVISOR 0x102u /* in the hypervisor, for a vCPU */
#define GUEST_METER_BILLED 0x103u     /* in the hypervisor, for the VM beside its vCPUs: timers, say */
/* Of its disks and network interfaces together, of which vcpu/ knows nothing (pc_config.meter): */
#define GUEST_METER_DEVICES 0x104u
#define GUEST_METER_COPIED 0x104u    /* bytes that were copied: by devices, disks, bridges */
#define GUEST_METER_DOORBELLS 0x105u /* see struct device_meters */
#define GUEST_METER_INTERRUPTS 0x106u
#define GUEST_METER_SUPPRESSED 0x107u
#define GUEST_METER_ACCESSES 0x108u
#define GUEST_METER_DROPPED 0x109u /* frames that came and found no room */
/* 0 for what is not known. Up to now, the exit that goes on included. */
u64 guest_meter(const struct guest *g, u32 which);
